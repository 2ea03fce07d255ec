"""Watches a run's checkpoints, queues a round for each, and works the queue off.

What was asked and how it ended stands in the run's own logs; the queue (Huey) only holds what
waits. So nothing is lost with it, and a round that a kill interrupted goes on.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from huey import Huey
from huey.exceptions import HueyException

from control_room.error_words import words_for
from control_room.previews.checkpoints import Checkpoint, find_checkpoints
from control_room.previews.config import Config
from control_room.previews.config import Round as RoundSettings
from control_room.previews.examples import ExampleSet, ExampleSource, Place
from control_room.previews.log import Tally, ended_rounds, open_failures, tally
from control_room.previews.queue import NotAMessage, redis_queue, sqlite_queue
from control_room.previews.round import Round, RoundEnd, RoundPlan
from control_room.previews.state import RunnerState
from control_room.recording.closed_words import RoundKind
from control_room.recording.recorder import Recorder
from control_room.recording.records import RoundRecord
from control_room.rundir import RunDir

log = logging.getLogger(__name__)

_TASK = "round"
_PRIORITY: Mapping[RoundKind, int] = {"request": 4, "preview": 3, "eval": 2, "samples": 1}
_LEASE_S = 60.0


class Runner:
    """One run's previews. :meth:`watch` queues rounds, :meth:`work` does the next one.

    ``left_out`` is what of the run's own settings is not taken: the app shows it.
    """

    def __init__(self, run: RunDir, config: Config, left_out: Sequence[str] = ()) -> None:
        self._run = run
        self._config = config
        self._examples = ExampleSet(
            [
                ExampleSource(
                    config.base / each.file.expanduser(),
                    each.source_pool,
                    each.dataset_id,
                    each.regime,
                    each.pattern,
                    inside=run.inside if each.inside else None,
                )
                for each in config.examples
            ]
        )
        self._recorder = Recorder(run, stay_inside=True)
        self.stopped = threading.Event()
        self._lock = threading.Lock()  # around _ended: both threads end rounds
        self._ended = ended_rounds(run)
        self._seen: set[Checkpoint] = set()
        self._queued: set[str] = set()  # ids of rounds, by this process
        self.state = RunnerState(run)
        self.state.problems["settings"] = tuple(left_out)
        self.huey = _queue(run, config)
        self._do_round = self.huey.task(name=_TASK)(self._round)

    def stop(self) -> None:
        """Finish the answers that are out, and no more."""
        self.stopped.set()

    def close(self) -> None:
        """Close the logs."""
        self.state.write()
        self._recorder.close()

    def watch(self) -> None:
        """Look for checkpoints and requests until :meth:`stop`."""
        while not self.stopped.is_set():
            try:
                self.look()
            except Exception:
                # A queue or a directory that is away for a while must not end the watching.
                log.exception("looking for checkpoints broke")
            self.stopped.wait(self._config.checkpoints.poll_s)

    def look(self) -> None:
        """Queue what is due now."""
        found = self._checkpoints()
        for kind, settings in self._kinds():
            self._queue_due(kind, settings, found)
        self._seen.update(found)
        if found and self._take_request():
            newest = found[-1]
            self._enqueue("request", newest, f"request:{newest.name}:{time.time():.0f}")
        self._count_pending()

    def work(self) -> bool:
        """Do the next round that waits; False when none does."""
        try:
            task = self.huey.dequeue()
        except (NotAMessage, HueyException) as error:
            log.warning("what waited in the queue is no round, and is left out: %s", error)
            return True
        if task is None:
            return False
        self._count_pending()
        self.huey.execute(task)
        return True

    def _kinds(self) -> list[tuple[RoundKind, RoundSettings]]:
        kinds: tuple[RoundKind, ...] = ("preview", "eval", "samples")
        return [(kind, self._settings(kind)) for kind in kinds if self._settings(kind).every]

    def _settings(self, kind: str) -> RoundSettings:
        of_kind = {"eval": self._config.eval, "samples": self._config.samples}
        return of_kind.get(kind, self._config.preview)

    def _checkpoints(self) -> list[Checkpoint]:
        where = self._config.checkpoints
        directory = None if where.directory is None else self._config.base / where.directory
        return find_checkpoints(
            self._run, directory=directory, pattern=where.pattern, settle_s=where.settle_s
        )

    def _queue_due(
        self, kind: RoundKind, settings: RoundSettings, found: Sequence[Checkpoint]
    ) -> None:
        """The newest checkpoint gets a round, when it is due; those it overtook are skipped."""
        ended = [each for each in self._ended.values() if each.kind == kind]
        last = max((each.step for each in ended), default=None)
        known = self._seen | set(found)
        new = sorted(
            each
            for each in known
            if (last is None or each.step > last) and _id(kind, each) not in self._queued
        )
        if not new or not found:
            return
        *overtaken, newest = new
        if settings.every == 1:
            # Before the first round of a run, its older checkpoints are history.
            for each in overtaken if last is not None or self._queued else ():
                self._end_skipped(kind, each, newest)
        elif not self._is_due_again(kind, settings.every, last, new):
            return
        self._enqueue(kind, newest, _id(kind, newest))

    def _is_due_again(
        self, kind: RoundKind, every: int, last: int | None, new: Sequence[Checkpoint]
    ) -> bool:
        """Enough checkpoints since the last, and none of its kind waits or runs."""
        if any(each.startswith(f"{kind}:") for each in self._queued - self._ended.keys()):
            return False
        if last is None:
            return True
        passed = {each.step for each in new}
        passed |= {each.step for each in self._ended.values() if each.step > last}
        return len(passed) >= every

    def _enqueue(self, kind: RoundKind, checkpoint: Checkpoint, round_id: str) -> None:
        """Once: what an earlier process queued is there already."""
        self._queued.add(round_id)
        if round_id not in [task.args[0] for task in self.huey.pending()]:
            task = self._do_round.s(round_id, kind, checkpoint.name, checkpoint.step)
            task.priority = _PRIORITY[kind]
            self.huey.enqueue(task)

    def _round(self, round_id: str, kind: RoundKind, name: str, step: int) -> None:
        """What the queue runs: one round, from its plan to its record."""
        checkpoint = Checkpoint(step, name)
        if not self._lease(round_id):
            return
        if self._config.queue.redis_url is not None:
            with self._lock:
                self._ended = ended_rounds(self._run)  # another runner's too
        try:
            if round_id in self._ended:
                return
            newest = max((*self._checkpoints(), checkpoint))
            if kind == "preview" and newest.step > checkpoint.step:
                self._end_skipped(kind, checkpoint, newest)
            else:
                self._ask(round_id, kind, checkpoint)
        except Exception as error:
            # One round that breaks must not stop the next; it is told as what it is.
            log.exception("%s broke", round_id)
            self._log_end(
                RoundRecord(
                    step=step,
                    round_id=round_id,
                    kind=kind,
                    checkpoint_id=name,
                    outcome="failed",
                    reason=f"{words_for(error)}; the runner's log says more",
                )
            )
        finally:
            self._release(round_id)

    def _ask(self, round_id: str, kind: RoundKind, checkpoint: Checkpoint) -> None:
        found = tally(self._run, round_id)
        plan = self._plan(round_id, kind, checkpoint)
        self.state.problems[kind] = tuple(self._examples.problems)
        total = len(plan.places) * plan.decoding.samples
        self.state.begin(plan, found, total)
        if not plan.places:
            problem = "; ".join(self._examples.problems) or "the files hold none of the pools"
            end: RoundEnd | None = RoundEnd("failed", f"there are no examples: {problem}", 0.0)
            asked = None
        else:
            asked = Round(
                plan,
                found,
                config=self._config,
                examples=self._examples,
                recorder=self._recorder,
                stopping=self.stopped.is_set,
                answered=self.state.answered,
                away=self.state.away,
            )
            # In a thread of its own: the caller's may have an event loop running, as notebooks do.
            with ThreadPoolExecutor(1, thread_name_prefix="ask") as asking:
                end = asking.submit(asyncio.run, asked.run()).result()
        if asked is not None and asked.warning is not None:
            self.state.problems[kind] += (asked.warning,)
        if end is not None:
            self._end(plan, found, end, total)

    def _plan(self, round_id: str, kind: RoundKind, checkpoint: Checkpoint) -> RoundPlan:
        settings = self._settings(kind)
        places = self._examples.choose(settings.examples, seed=settings.seed, pools=settings.pools)
        failures: frozenset[Place] = frozenset()
        if settings.failures:
            wrong = set(open_failures(self._run, settings.failures, but_not_of=round_id))
            failures = frozenset(self._examples.find(wrong)) - set(places)
        return RoundPlan(
            round_id=round_id,
            kind=kind,
            checkpoint=checkpoint,
            places=[*places, *sorted(failures)],
            decoding=self._config.decoding_of(kind),
            failures=failures,
            deadline_s=settings.deadline_s,
            token_budget=settings.token_budget,
        )

    def _end(self, plan: RoundPlan, found: Tally, end: RoundEnd, total: int) -> None:
        record = RoundRecord(
            step=plan.checkpoint.step,
            round_id=plan.round_id,
            kind=plan.kind,
            checkpoint_id=plan.checkpoint.name,
            outcome=end.outcome,
            reason=end.reason,
            examples=total,
            answered=found.answered,
            errors=found.errors,
            correct=found.correct,
            time_s=round(end.time_s, 3),
            prompt_tokens=found.prompt_tokens,
            model_tokens=found.model_tokens,
        )
        if plan.kind == "eval" and end.outcome == "completed" and found.scored:
            self._recorder.log_eval(
                step=plan.checkpoint.step,
                kind="fixed",
                checkpoint_id=plan.checkpoint.name,
                em=found.correct / found.scored,
                ce=found.ce_sum / found.ces if found.ces else None,
                count=found.scored,
            )
        self._log_end(record)

    def _end_skipped(self, kind: RoundKind, checkpoint: Checkpoint, newer: Checkpoint) -> None:
        round_id = _id(kind, checkpoint)
        found = tally(self._run, round_id)
        self._log_end(
            RoundRecord(
                step=checkpoint.step,
                round_id=round_id,
                kind=kind,
                checkpoint_id=checkpoint.name,
                outcome="skipped",
                reason=f"{newer.name} came before it was its turn",
                answered=found.answered,
            )
        )

    def _log_end(self, record: RoundRecord) -> None:
        self._recorder.log_round(record)
        with self._lock:
            # Replaced, not changed: the other thread may be going through it.
            self._ended = {**self._ended, record.round_id: record}
        log.info("%s: %s", record.round_id, record.outcome)
        self.state.end(
            {
                "id": record.round_id,
                "kind": record.kind,
                "checkpoint": record.checkpoint_id,
                "outcome": record.outcome,
                "reason": record.reason,
                "answered": record.answered,
                "total": record.examples,
                "errors": record.errors,
                "correct": record.correct,
                "time_s": record.time_s,
            }
        )

    def _count_pending(self) -> None:
        self.state.pending = Counter(task.args[1] for task in self.huey.pending())
        self.state.write()

    def _take_request(self) -> bool:
        try:
            self._run.inside.remove(self._run.round_request_file)
        except OSError:
            return False
        return True

    def _lease(self, round_id: str) -> bool:
        """Whether this runner does the round: of several on one Redis, one must."""
        if self._config.queue.redis_url is None:
            return True
        key = f"lease:{round_id}"
        if self.huey.put_if_empty(key, time.time()):
            return True
        taken_at = self.huey.get(key, peek=True)
        longest = self._settings(round_id.partition(":")[0]).deadline_s + _LEASE_S
        if isinstance(taken_at, float) and time.time() - taken_at < longest:
            return False
        self.huey.put(key, time.time())
        return True

    def _release(self, round_id: str) -> None:
        if self._config.queue.redis_url is not None:
            self.huey.get(f"lease:{round_id}")


def _id(kind: RoundKind, checkpoint: Checkpoint) -> str:
    return f"{kind}:{checkpoint.name}"


def _queue(run: RunDir, config: Config) -> Huey:
    name = "control-room-" + run.path.resolve().name
    if config.queue.redis_url is not None:
        return redis_queue(name, config.queue.redis_url.get_secret_value())
    return sqlite_queue(name, run.cache / "rounds.sqlite")


def run_until_stopped(runner: Runner) -> None:
    """Watch in the background and work here, until :meth:`Runner.stop`."""
    watching = threading.Thread(target=runner.watch, name="watch-checkpoints", daemon=True)
    watching.start()
    try:
        while not runner.stopped.wait(0.0 if runner.work() else 0.2):
            continue
    finally:
        runner.stop()
        watching.join(timeout=5.0)
        runner.close()


__all__ = ["Runner", "run_until_stopped"]
