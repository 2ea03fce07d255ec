"""One round: some examples, asked of the model behind one checkpoint, scored and logged.

An answer is finished when its line is in the preview log. A round that was interrupted goes on
with what the log does not hold yet.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from control_room.judging.scorers import score_with
from control_room.judging.scoring import score
from control_room.previews.answers import NoReply, Reply, RoundFailed
from control_room.previews.asking import Asker
from control_room.previews.checkpoints import Checkpoint, step_of
from control_room.previews.config import Config, Decoding
from control_room.previews.examples import Example, ExampleSet, Place, as_failure
from control_room.previews.log import Tally
from control_room.recording.closed_words import RoundKind, RoundOutcome
from control_room.recording.recorder import Recorder
from control_room.recording.records import SAMPLES_POOL, PreviewRecord

_LOOK_S = 0.2
_GRACE_S = 5.0  # for the answers that are out when the runner is told to stop


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundPlan:
    """What is to be asked. ``failures`` are those of ``places`` that were answered wrongly."""

    round_id: str
    kind: RoundKind
    checkpoint: Checkpoint
    places: Sequence[Place]
    decoding: Decoding
    failures: frozenset[Place] = frozenset()
    deadline_s: float = 1800.0
    token_budget: int | None = None


@dataclass(frozen=True, slots=True)
class RoundEnd:
    """How a round ended."""

    outcome: RoundOutcome
    reason: str | None
    time_s: float


class _OverBudget(Exception):
    pass


class Round:
    """One round on its way. ``warning`` says when another checkpoint answered than was asked."""

    def __init__(
        self,
        plan: RoundPlan,
        tally: Tally,
        *,
        config: Config,
        examples: ExampleSet,
        recorder: Recorder,
        stopping: Callable[[], bool],
        answered: Callable[[PreviewRecord], None],
        away: Callable[[str], None] = lambda reason: None,
    ) -> None:
        self._plan = plan
        self._tally = tally
        self._config = config
        self._examples = examples
        self._recorder = recorder
        self._stopping = stopping
        self._answered = answered
        self._say_away = away
        self._away: str | None = None  # why the server could not be reached when it was asked last
        self._names: tuple[str, ...] = (plan.checkpoint.name,)  # what the server may call it
        self._active_model: str | None = None  # what the server said after loading
        self.warning: str | None = None

    async def run(self) -> RoundEnd | None:
        """Ask what the tally does not hold, and add to it; None when told to stop meanwhile."""
        began = time.monotonic()

        def end(outcome: RoundOutcome, reason: str | None) -> RoundEnd:
            return RoundEnd(outcome, reason, time.monotonic() - began)

        try:
            async with asyncio.timeout(self._plan.deadline_s):
                await self._ask_all()
        except TimeoutError:
            over = f"{self._plan.deadline_s:g} s were over"
            if self._away is not None:
                over = f"{over}; {self._away}"
            return end("deadline" if self._tally.answered else "failed", over)
        except RoundFailed as error:
            return end("failed", str(error))
        except _OverBudget:
            return end("budget", f"{self._plan.token_budget:,} tokens were spent")
        if self._stopping():
            return None
        if (why := self._tally.nothing) is not None:
            return end("failed", why)
        return end("completed", self.warning)

    async def _ask_all(self) -> None:
        async with Asker(self._config.server, self._plan.decoding, self._is_away) as asker:
            self._names = asker.names_of(self._plan.checkpoint)
            self._active_model = await asker.load(self._plan.checkpoint)
            work = self._work()
            workers = [
                asyncio.create_task(self._work_off(asker, work))
                for _ in range(self._config.server.concurrency)
            ]
            try:
                await self._until_done(workers)
            finally:
                for worker in workers:
                    worker.cancel()
                await asyncio.gather(*workers, return_exceptions=True)

    def _is_away(self, reason: str) -> None:
        self._away = reason
        self._say_away(reason)

    async def _until_done(self, workers: Sequence[asyncio.Task[None]]) -> None:
        """Wait for them; told to stop, only for what is answered soon. Raises what one raises."""
        left, stop_at = set(workers), None
        while left and (stop_at is None or time.monotonic() < stop_at):
            done, left = await asyncio.wait(
                left, timeout=_LOOK_S, return_when=asyncio.FIRST_EXCEPTION
            )
            for worker in done:
                worker.result()
            if stop_at is None and self._stopping():
                stop_at = time.monotonic() + _GRACE_S

    def _work(self) -> Iterator[tuple[Example, int]]:
        """Each example and sample that is still to be asked; shared by all workers."""
        for place in self._plan.places:
            for example in self._examples.read([place]):
                asked = as_failure(example) if place in self._plan.failures else example
                for sample_index in range(self._plan.decoding.samples):
                    if (example.example_id, sample_index) not in self._tally.done:
                        yield asked, sample_index

    async def _work_off(self, asker: Asker, work: Iterator[tuple[Example, int]]) -> None:
        budget = self._plan.token_budget
        for example, sample_index in work:
            if self._stopping():
                return
            if budget is not None and self._tally.tokens >= budget:
                raise _OverBudget
            record = await self._preview(asker, example, sample_index)
            self._away = None
            self._recorder.log_preview(record)
            self._tally.add(record)
            self._answered(record)

    async def _preview(self, asker: Asker, example: Example, sample_index: int) -> PreviewRecord:
        reply: Reply | None = None
        error: str | None = None
        try:
            reply = await asker.ask(example, self._plan.checkpoint, sample_index)
        except NoReply as reason:
            error = str(reason)
        ce = None
        if reply is not None and not reply.failed and sample_index == 0:
            ce = await asker.golden_ce(example, self._plan.checkpoint)
        return self._record(example, sample_index, reply, error, ce, asker.host)

    def _record(
        self,
        example: Example,
        sample_index: int,
        reply: Reply | None,
        error: str | None,
        ce: float | None,
        host: str,
    ) -> PreviewRecord:
        asked, decoding = self._plan.checkpoint, self._plan.decoding
        name = self._served(reply)
        step = asked.step if name == asked.name else step_of(name)
        fields: dict[str, Any] = {
            "step": asked.step if step is None else step,
            "checkpoint_id": name,
            "requested_checkpoint_id": None if name == asked.name else asked.name,
            "example_id": example.example_id,
            "dataset_id": example.dataset_id,
            "regime": example.regime,
            "pattern": example.pattern,
            "source_pool": SAMPLES_POOL if self._plan.kind == "samples" else example.source_pool,
            "prompt": example.prompt,
            "golden": example.golden,
            "sample_index": sample_index,
            "temperature": decoding.temperature,
            "top_p": decoding.top_p,
            "max_tokens": decoding.max_tokens,
            "seed": None if decoding.seed is None else decoding.seed + sample_index,
            "host": host,
            "round_id": self._plan.round_id,
            "ce": ce,
        }
        if reply is None:
            # Not an answer of the model: it is neither right nor wrong.
            return PreviewRecord(
                **fields, model_answer="", failure_mode="server_error", error=error
            )
        return PreviewRecord(
            **fields,
            **self._scores(example, reply),
            model_answer=reply.text,
            finish_reason=reply.finish_reason,
            prompt_tokens=reply.prompt_tokens,
            model_tokens=reply.model_tokens,
            generation_time_ms=round(reply.time_ms, 1),
            token_log_probs=reply.log_probs,
        )

    def _scores(self, example: Example, reply: Reply) -> dict[str, Any]:
        scorer = self._config.scorer(example.dataset_id)
        cut = reply.finish_reason == "length"
        found = (score if scorer is None else partial(score_with, scorer))(
            example.golden,
            reply.text,
            example.regime,
            hit_token_limit=cut,
            server_failed=reply.failed,
            contracts=self._config.all_contracts,
        )
        return found.fields()

    def _served(self, reply: Reply | None) -> str:
        """The checkpoint that answered, as far as the server tells."""
        asked = self._plan.checkpoint.name
        told = self._active_model
        if told is None and "{checkpoint}" in self._config.server.model and reply is not None:
            told = reply.model
        # Servers add a path, a revision or an ending to the name they were given.
        names = "|".join(map(re.escape, self._names))
        whole_name = rf"(?<![\w-])(?:{names})(?![\w-])"
        served = asked if told is None or re.search(whole_name, told) else told
        if served != asked and self.warning is None:
            self.warning = f"the server answered as {served} where {asked} was asked for"
        return served
