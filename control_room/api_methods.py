"""A method for each address of the API. Written by ``python -m app.generate``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

if TYPE_CHECKING:
    from datetime import datetime

    from control_room.api_types import (
        Choices,
        ComparedFlips,
        ComparisonSides,
        DataFileEffects,
        Drift,
        EvalStatus,
        EvaluationsOverSteps,
        Failures,
        Heads,
        Health,
        HeatmapView,
        KeptWeights,
        Learning,
        LiveStatus,
        LoggedPreview,
        MachineHistoryView,
        MetricSeries,
        Notes,
        Overfitting,
        PreviewHistory,
        PreviewStatus,
        RateCurve,
        RatesOverSteps,
        Rejects,
        Reliability,
        RunCurve,
        RunsTable,
        Samples,
        SidesCompared,
        Statistics,
        SystemStatus,
        Throughput,
        ThroughputSamples,
        Timelines,
    )


class ApiMethods:
    """What :class:`control_room.client.Client` can ask for; docs/API.md says more."""

    def _get(self, path: str, /, **query: Any) -> Any:
        raise NotImplementedError

    def _ask_history(self, path: str, /, **query: Any) -> Any:
        raise NotImplementedError

    def compare(
        self,
        *,
        by: Literal["checkpoint", "regime", "dataset", "run"] = "checkpoint",
        a: str | None = None,
        b: str | None = None,
        limit: int = 100,
    ) -> SidesCompared:
        """Is `b` better than `a`?"""
        answer: SidesCompared = self._ask_history(
            "/api/compare",
            by=by,
            a=a,
            b=b,
            limit=limit,
        )
        return answer

    def compare_flips(
        self,
        *,
        by: Literal["checkpoint", "regime", "dataset", "run"] = "checkpoint",
        a: str | None = None,
        b: str | None = None,
        turned: Literal["fixed", "broken"] = "broken",
        limit: int = 100,
    ) -> ComparedFlips:
        """The examples whose answer is right in one of two sides and wrong in the other."""
        answer: ComparedFlips = self._ask_history(
            "/api/compare/flips",
            by=by,
            a=a,
            b=b,
            turned=turned,
            limit=limit,
        )
        return answer

    def comparison_sides(
        self,
        *,
        by: Literal["checkpoint", "regime", "dataset", "run"] = "checkpoint",
        limit: int = 1000,
    ) -> ComparisonSides:
        """What can be compared with what; of more than `limit` the last."""
        answer: ComparisonSides = self._ask_history(
            "/api/compare/sides",
            by=by,
            limit=limit,
        )
        return answer

    def data_file_effects(
        self,
        *,
        regime: str | None = None,
        source_pool: str | None = None,
        failure_mode: str | None = None,
        dataset_id: str | None = None,
        pattern: str | None = None,
        checkpoint_id: str | None = None,
        exact_match: bool | None = None,
        normalized_match: bool | None = None,
        min_length: int | None = None,
        below_length: int | None = None,
        length_known: bool | None = None,
        min_step: int | None = None,
        max_step: int | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        example_id: str | None = None,
        q: str | None = None,
        checkpoints: int = 20,
        limit: int = 100,
    ) -> DataFileEffects:
        """What the data files between checkpoints cost or gained, by pattern."""
        answer: DataFileEffects = self._ask_history(
            "/api/stability/data_files",
            regime=regime,
            source_pool=source_pool,
            failure_mode=failure_mode,
            dataset_id=dataset_id,
            pattern=pattern,
            checkpoint_id=checkpoint_id,
            exact_match=exact_match,
            normalized_match=normalized_match,
            min_length=min_length,
            below_length=below_length,
            length_known=length_known,
            min_step=min_step,
            max_step=max_step,
            since=since,
            until=until,
            example_id=example_id,
            q=q,
            checkpoints=checkpoints,
            limit=limit,
        )
        return answer

    def drift(
        self,
        *,
        regime: str | None = None,
        source_pool: str | None = None,
        failure_mode: str | None = None,
        dataset_id: str | None = None,
        pattern: str | None = None,
        checkpoint_id: str | None = None,
        exact_match: bool | None = None,
        normalized_match: bool | None = None,
        min_length: int | None = None,
        below_length: int | None = None,
        length_known: bool | None = None,
        min_step: int | None = None,
        max_step: int | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        example_id: str | None = None,
        q: str | None = None,
        bins: int = 24,
    ) -> Drift:
        """Does the content survive while the form dies, or is the content wrong?"""
        answer: Drift = self._ask_history(
            "/api/stability/drift",
            regime=regime,
            source_pool=source_pool,
            failure_mode=failure_mode,
            dataset_id=dataset_id,
            pattern=pattern,
            checkpoint_id=checkpoint_id,
            exact_match=exact_match,
            normalized_match=normalized_match,
            min_length=min_length,
            below_length=below_length,
            length_known=length_known,
            min_step=min_step,
            max_step=max_step,
            since=since,
            until=until,
            example_id=example_id,
            q=q,
            bins=bins,
        )
        return answer

    def evals(
        self,
    ) -> EvalStatus:
        """Evaluations of sets that do not change, and what is kept on disk."""
        answer: EvalStatus = self._get(
            "/api/status/evals",
        )
        return answer

    def evaluations(
        self,
        *,
        points: int = 400,
        limit: int = 100,
    ) -> EvaluationsOverSteps:
        """EM, CE and ECE of the fixed set and of its domains, over the steps."""
        answer: EvaluationsOverSteps = self._ask_history(
            "/api/evals",
            points=points,
            limit=limit,
        )
        return answer

    def example_learning(
        self,
        *,
        regime: str | None = None,
        source_pool: str | None = None,
        failure_mode: str | None = None,
        dataset_id: str | None = None,
        pattern: str | None = None,
        checkpoint_id: str | None = None,
        exact_match: bool | None = None,
        normalized_match: bool | None = None,
        min_length: int | None = None,
        below_length: int | None = None,
        length_known: bool | None = None,
        min_step: int | None = None,
        max_step: int | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        example_id: str | None = None,
        q: str | None = None,
        ranking: Literal["flips", "forgotten", "sure"] = "flips",
        right_at_step: int | None = None,
        limit: int = 100,
    ) -> Learning:
        """When was each example learned, how often did it turn, and what is forgotten?"""
        answer: Learning = self._ask_history(
            "/api/stability/learning",
            regime=regime,
            source_pool=source_pool,
            failure_mode=failure_mode,
            dataset_id=dataset_id,
            pattern=pattern,
            checkpoint_id=checkpoint_id,
            exact_match=exact_match,
            normalized_match=normalized_match,
            min_length=min_length,
            below_length=below_length,
            length_known=length_known,
            min_step=min_step,
            max_step=max_step,
            since=since,
            until=until,
            example_id=example_id,
            q=q,
            ranking=ranking,
            right_at_step=right_at_step,
            limit=limit,
        )
        return answer

    def example_timelines(
        self,
        *,
        regime: str | None = None,
        source_pool: str | None = None,
        failure_mode: str | None = None,
        dataset_id: str | None = None,
        pattern: str | None = None,
        checkpoint_id: str | None = None,
        exact_match: bool | None = None,
        normalized_match: bool | None = None,
        min_length: int | None = None,
        below_length: int | None = None,
        length_known: bool | None = None,
        min_step: int | None = None,
        max_step: int | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        example_id: str | None = None,
        q: str | None = None,
        ranking: Literal["flips", "forgotten", "sure"] = "flips",
        right_at_step: int | None = None,
        limit: int = 15,
        answers: int = 1000,
    ) -> Timelines:
        """Every answer to the first examples of a ranking."""
        answer: Timelines = self._ask_history(
            "/api/stability/timelines",
            regime=regime,
            source_pool=source_pool,
            failure_mode=failure_mode,
            dataset_id=dataset_id,
            pattern=pattern,
            checkpoint_id=checkpoint_id,
            exact_match=exact_match,
            normalized_match=normalized_match,
            min_length=min_length,
            below_length=below_length,
            length_known=length_known,
            min_step=min_step,
            max_step=max_step,
            since=since,
            until=until,
            example_id=example_id,
            q=q,
            ranking=ranking,
            right_at_step=right_at_step,
            limit=limit,
            answers=answers,
        )
        return answer

    def failures(
        self,
        *,
        regime: str | None = None,
        source_pool: str | None = None,
        failure_mode: str | None = None,
        dataset_id: str | None = None,
        pattern: str | None = None,
        checkpoint_id: str | None = None,
        exact_match: bool | None = None,
        normalized_match: bool | None = None,
        min_length: int | None = None,
        below_length: int | None = None,
        length_known: bool | None = None,
        min_step: int | None = None,
        max_step: int | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        example_id: str | None = None,
        q: str | None = None,
        bins: int = 1,
    ) -> Failures:
        """How answers fail: all of them together, or over the steps."""
        answer: Failures = self._ask_history(
            "/api/analytics/failures",
            regime=regime,
            source_pool=source_pool,
            failure_mode=failure_mode,
            dataset_id=dataset_id,
            pattern=pattern,
            checkpoint_id=checkpoint_id,
            exact_match=exact_match,
            normalized_match=normalized_match,
            min_length=min_length,
            below_length=below_length,
            length_known=length_known,
            min_step=min_step,
            max_step=max_step,
            since=since,
            until=until,
            example_id=example_id,
            q=q,
            bins=bins,
        )
        return answer

    def heads(
        self,
        *,
        step: int | None = None,
        limit: int = 1000,
    ) -> Heads:
        """What each attention head does, and which are dead or collapsing: at the newest step."""
        answer: Heads = self._ask_history(
            "/api/heads",
            step=step,
            limit=limit,
        )
        return answer

    def health(
        self,
    ) -> Health:
        """Is the app well?"""
        answer: Health = self._get(
            "/health",
        )
        return answer

    def heatmap(
        self,
        *,
        regime: str | None = None,
        source_pool: str | None = None,
        failure_mode: str | None = None,
        dataset_id: str | None = None,
        pattern: str | None = None,
        checkpoint_id: str | None = None,
        exact_match: bool | None = None,
        normalized_match: bool | None = None,
        min_length: int | None = None,
        below_length: int | None = None,
        length_known: bool | None = None,
        min_step: int | None = None,
        max_step: int | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        example_id: str | None = None,
        q: str | None = None,
    ) -> HeatmapView:
        """EM by pattern and golden answer length."""
        answer: HeatmapView = self._ask_history(
            "/api/analytics/heatmap",
            regime=regime,
            source_pool=source_pool,
            failure_mode=failure_mode,
            dataset_id=dataset_id,
            pattern=pattern,
            checkpoint_id=checkpoint_id,
            exact_match=exact_match,
            normalized_match=normalized_match,
            min_length=min_length,
            below_length=below_length,
            length_known=length_known,
            min_step=min_step,
            max_step=max_step,
            since=since,
            until=until,
            example_id=example_id,
            q=q,
        )
        return answer

    def kept_weights(
        self,
        *,
        limit: int = 1000,
    ) -> KeptWeights:
        """Checkpoints and snapshots on disk: how good, how large, and kept for how long."""
        answer: KeptWeights = self._get(
            "/api/evals/kept",
            limit=limit,
        )
        return answer

    def live(
        self,
    ) -> LiveStatus:
        """Is the run healthy?"""
        answer: LiveStatus = self._get(
            "/api/status/live",
        )
        return answer

    def machine_history(
        self,
        *,
        machine: str | None = None,
        hours: int = 24,
    ) -> MachineHistoryView:
        """Temperature, use, memory and power of a machine, minute by minute."""
        answer: MachineHistoryView = self._get(
            "/api/system/history",
            machine=machine,
            hours=hours,
        )
        return answer

    def metric_series(
        self,
        *,
        field: Literal[
            "epoch",
            "loss",
            "val_loss",
            "learning_rate",
            "grad_norm",
            "tokens_per_sec",
            "step_time_ms",
        ] = "loss",
        points: int = 500,
        min_step: int | None = None,
        max_step: int | None = None,
    ) -> MetricSeries:
        """One metric over steps, thinned to at most ``points``; extremes are kept."""
        answer: MetricSeries = self._ask_history(
            "/api/metrics/series",
            field=field,
            points=points,
            min_step=min_step,
            max_step=max_step,
        )
        return answer

    def notes(
        self,
        *,
        limit: int = 100,
    ) -> Notes:
        """What was noted on the run, each with its step."""
        answer: Notes = self._ask_history(
            "/api/notes",
            limit=limit,
        )
        return answer

    def one_preview(
        self,
        id: str,
        *,
        fields: str = "*",
    ) -> LoggedPreview:
        """One preview by its id."""
        answer: LoggedPreview = self._ask_history(
            f"/api/preview/{quote(id, safe='')}",
            fields=fields,
        )
        return answer

    def overfitting(
        self,
        *,
        points: int = 400,
    ) -> Overfitting:
        """Does the validation loss rise while the training loss goes on falling?"""
        answer: Overfitting = self._ask_history(
            "/api/evals/overfitting",
            points=points,
        )
        return answer

    def preview(
        self,
    ) -> PreviewStatus:
        """What has it learned?"""
        answer: PreviewStatus = self._get(
            "/api/status/preview",
        )
        return answer

    def preview_choices(
        self,
        *,
        column: Literal[
            "regime",
            "source_pool",
            "failure_mode",
            "dataset_id",
            "pattern",
            "checkpoint_id",
        ] = "regime",
        limit: int = 1000,
    ) -> Choices:
        """The values of a column that previews can be filtered by."""
        answer: Choices = self._ask_history(
            "/api/preview/choices",
            column=column,
            limit=limit,
        )
        return answer

    def preview_history(
        self,
        *,
        regime: str | None = None,
        source_pool: str | None = None,
        failure_mode: str | None = None,
        dataset_id: str | None = None,
        pattern: str | None = None,
        checkpoint_id: str | None = None,
        exact_match: bool | None = None,
        normalized_match: bool | None = None,
        min_length: int | None = None,
        below_length: int | None = None,
        length_known: bool | None = None,
        min_step: int | None = None,
        max_step: int | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        example_id: str | None = None,
        q: str | None = None,
        limit: int = 100,
        offset: int = 0,
        fields: str = "*",
    ) -> PreviewHistory:
        """A page of the previews that match, newest first."""
        answer: PreviewHistory = self._ask_history(
            "/api/preview/history",
            regime=regime,
            source_pool=source_pool,
            failure_mode=failure_mode,
            dataset_id=dataset_id,
            pattern=pattern,
            checkpoint_id=checkpoint_id,
            exact_match=exact_match,
            normalized_match=normalized_match,
            min_length=min_length,
            below_length=below_length,
            length_known=length_known,
            min_step=min_step,
            max_step=max_step,
            since=since,
            until=until,
            example_id=example_id,
            q=q,
            limit=limit,
            offset=offset,
            fields=fields,
        )
        return answer

    def rate_curve(
        self,
        *,
        regime: str | None = None,
        source_pool: str | None = None,
        failure_mode: str | None = None,
        dataset_id: str | None = None,
        pattern: str | None = None,
        checkpoint_id: str | None = None,
        exact_match: bool | None = None,
        normalized_match: bool | None = None,
        min_length: int | None = None,
        below_length: int | None = None,
        length_known: bool | None = None,
        min_step: int | None = None,
        max_step: int | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        example_id: str | None = None,
        q: str | None = None,
        by: Literal["answer_length", "ce"] = "answer_length",
    ) -> RateCurve:
        """Exact match by the length of the answer, or by the CE of the golden one."""
        answer: RateCurve = self._ask_history(
            "/api/analytics/curve",
            regime=regime,
            source_pool=source_pool,
            failure_mode=failure_mode,
            dataset_id=dataset_id,
            pattern=pattern,
            checkpoint_id=checkpoint_id,
            exact_match=exact_match,
            normalized_match=normalized_match,
            min_length=min_length,
            below_length=below_length,
            length_known=length_known,
            min_step=min_step,
            max_step=max_step,
            since=since,
            until=until,
            example_id=example_id,
            q=q,
            by=by,
        )
        return answer

    def rates(
        self,
        *,
        regime: str | None = None,
        source_pool: str | None = None,
        failure_mode: str | None = None,
        dataset_id: str | None = None,
        pattern: str | None = None,
        checkpoint_id: str | None = None,
        exact_match: bool | None = None,
        normalized_match: bool | None = None,
        min_length: int | None = None,
        below_length: int | None = None,
        length_known: bool | None = None,
        min_step: int | None = None,
        max_step: int | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        example_id: str | None = None,
        q: str | None = None,
    ) -> Statistics:
        """Exact match over all that match, by regime and by source, with intervals."""
        answer: Statistics = self._ask_history(
            "/api/analytics/rates",
            regime=regime,
            source_pool=source_pool,
            failure_mode=failure_mode,
            dataset_id=dataset_id,
            pattern=pattern,
            checkpoint_id=checkpoint_id,
            exact_match=exact_match,
            normalized_match=normalized_match,
            min_length=min_length,
            below_length=below_length,
            length_known=length_known,
            min_step=min_step,
            max_step=max_step,
            since=since,
            until=until,
            example_id=example_id,
            q=q,
        )
        return answer

    def rates_over_steps(
        self,
        *,
        regime: str | None = None,
        source_pool: str | None = None,
        failure_mode: str | None = None,
        dataset_id: str | None = None,
        pattern: str | None = None,
        checkpoint_id: str | None = None,
        exact_match: bool | None = None,
        normalized_match: bool | None = None,
        min_length: int | None = None,
        below_length: int | None = None,
        length_known: bool | None = None,
        min_step: int | None = None,
        max_step: int | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        example_id: str | None = None,
        q: str | None = None,
        group: Literal["regime", "source_pool", "dataset_id", "pattern"] = "regime",
        bins: int = 40,
        limit: int = 100,
    ) -> RatesOverSteps:
        """Exact match over the steps, by group."""
        answer: RatesOverSteps = self._ask_history(
            "/api/analytics/steps",
            regime=regime,
            source_pool=source_pool,
            failure_mode=failure_mode,
            dataset_id=dataset_id,
            pattern=pattern,
            checkpoint_id=checkpoint_id,
            exact_match=exact_match,
            normalized_match=normalized_match,
            min_length=min_length,
            below_length=below_length,
            length_known=length_known,
            min_step=min_step,
            max_step=max_step,
            since=since,
            until=until,
            example_id=example_id,
            q=q,
            group=group,
            bins=bins,
            limit=limit,
        )
        return answer

    def rejects(
        self,
        *,
        limit: int = 100,
    ) -> Rejects:
        """The lines of the logs that cannot be read, and so are missing everywhere else."""
        answer: Rejects = self._ask_history(
            "/api/rejects",
            limit=limit,
        )
        return answer

    def reliability(
        self,
        *,
        regime: str | None = None,
        source_pool: str | None = None,
        failure_mode: str | None = None,
        dataset_id: str | None = None,
        pattern: str | None = None,
        checkpoint_id: str | None = None,
        exact_match: bool | None = None,
        normalized_match: bool | None = None,
        min_length: int | None = None,
        below_length: int | None = None,
        length_known: bool | None = None,
        min_step: int | None = None,
        max_step: int | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        example_id: str | None = None,
        q: str | None = None,
        binning: Literal["equal_width", "equal_count"] = "equal_width",
        bins: int = 10,
    ) -> Reliability:
        """Confidence against exact match, in bins, with ECE, MCE and the Brier score."""
        answer: Reliability = self._ask_history(
            "/api/reliability",
            regime=regime,
            source_pool=source_pool,
            failure_mode=failure_mode,
            dataset_id=dataset_id,
            pattern=pattern,
            checkpoint_id=checkpoint_id,
            exact_match=exact_match,
            normalized_match=normalized_match,
            min_length=min_length,
            below_length=below_length,
            length_known=length_known,
            min_step=min_step,
            max_step=max_step,
            since=since,
            until=until,
            example_id=example_id,
            q=q,
            binning=binning,
            bins=bins,
        )
        return answer

    def run_curve(
        self,
        *,
        run: str | None = None,
        curve: Literal[
            "loss",
            "val_loss",
            "learning_rate",
            "grad_norm",
            "tokens_per_sec",
            "exact_match",
        ] = "loss",
        points: int = 500,
    ) -> RunCurve:
        """One metric of any run over its steps, or the exact match of its fixed set."""
        answer: RunCurve = self._ask_history(
            "/api/runs/curve",
            run=run,
            curve=curve,
            points=points,
        )
        return answer

    def runs(
        self,
        *,
        limit: int = 100,
    ) -> RunsTable:
        """Every run that the settings name: status, steps, losses, exact match and settings."""
        answer: RunsTable = self._get(
            "/api/runs",
            limit=limit,
        )
        return answer

    def samples(
        self,
        *,
        regime: str | None = None,
        source_pool: str | None = None,
        failure_mode: str | None = None,
        dataset_id: str | None = None,
        pattern: str | None = None,
        checkpoint_id: str | None = None,
        exact_match: bool | None = None,
        normalized_match: bool | None = None,
        min_length: int | None = None,
        below_length: int | None = None,
        length_known: bool | None = None,
        min_step: int | None = None,
        max_step: int | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        example_id: str | None = None,
        q: str | None = None,
        limit: int = 100,
    ) -> Samples:
        """Of several answers to one example: how often is one right, and do they agree?"""
        answer: Samples = self._ask_history(
            "/api/stability/samples",
            regime=regime,
            source_pool=source_pool,
            failure_mode=failure_mode,
            dataset_id=dataset_id,
            pattern=pattern,
            checkpoint_id=checkpoint_id,
            exact_match=exact_match,
            normalized_match=normalized_match,
            min_length=min_length,
            below_length=below_length,
            length_known=length_known,
            min_step=min_step,
            max_step=max_step,
            since=since,
            until=until,
            example_id=example_id,
            q=q,
            limit=limit,
        )
        return answer

    def system(
        self,
    ) -> SystemStatus:
        """Machines and job queues."""
        answer: SystemStatus = self._get(
            "/api/status/system",
        )
        return answer

    def throughput(
        self,
        *,
        points: int = 2000,
    ) -> Throughput:
        """Speed and memory over the run, and by batch size and sequence length."""
        answer: Throughput = self._ask_history(
            "/api/throughput",
            points=points,
        )
        return answer

    def throughput_samples(
        self,
        *,
        limit: int = 100,
    ) -> ThroughputSamples:
        """The newest throughput samples: of the log, or without one of the trainer's status."""
        answer: ThroughputSamples = self._ask_history(
            "/api/throughput/samples",
            limit=limit,
        )
        return answer
