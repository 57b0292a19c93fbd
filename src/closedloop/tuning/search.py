"""Runs the trials of a search, side by side or one after the other, and keeps their record."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from closedloop.config import Params
from closedloop.errors import ConfigError, TrainingError
from closedloop.registry.runs import Run
from closedloop.registry.trials import SearchRuns
from closedloop.tuning.pool import Pool
from closedloop.tuning.space import with_values
from closedloop.tuning.study import DEATHS, OUTCOME, RUN, TRIED, Search
from closedloop.tuning.worker import Epoch, Metrics, Outcome, Work

if TYPE_CHECKING:
    from optuna.trial import Trial

HOPELESS = 3  # trials of which not one could be trained, after which the next ones need not be tried


@dataclass
class _Running:
    trial: "Trial"
    run: Run
    reported: set[int]  # steps that the study knows already, of a trial that goes on after a kill
    epoch: int = 0


class Trials:
    """The trials of a search; each has an MLflow run below the search's own."""

    def __init__(self, search: Search, runs: SearchRuns, params: Params) -> None:
        self.search, self._runs, self._params = search, runs, params
        self._running: dict[str, _Running] = {}
        self._bar: tqdm[Any]

    def run(self, pool: Pool) -> None:
        """Go on until tune.trials have ended, those of earlier runs included.

        Raises TrainingError when none of the first can be trained at all.
        """
        wanted, ended = self._params.tune.trials, len(self.search.ended)
        if ended >= wanted:
            return
        with tqdm(total=wanted, initial=ended, desc="tune", unit="trial", disable=None) as self._bar:
            try:
                pool.run(self._works(wanted), self._on_epoch, self._on_end, self._show_best)
            finally:  # what is still running has been interrupted, and goes on next time
                for running in self._running.values():
                    self._runs.end(running.run, "interrupted")

    def _works(self, wanted: int) -> Iterator[Work]:
        for trial in self.search.interrupted():
            yield self._begin(trial)
        while len(self.search.ended) + len(self._running) < wanted:
            trial = self.search.ask()
            try:
                yield self._begin(trial)
            except ConfigError as error:  # values that do not go together, although each by itself is allowed
                self._end(trial, None, Outcome("broken", reason=str(error)))

    def _begin(self, trial: "Trial") -> Work:
        work = Work(with_values(self._params, self.search.values(trial)), f"trial-{trial.number:04d}")
        tags = {"closedloop.trial": str(trial.number)}
        run = self._runs.training("trial", f"trial {trial.number}", work.params, trial.user_attrs.get(RUN), tags)
        trial.set_user_attr(RUN, run.id)
        self._running[work.attempt] = _Running(trial, run, self.search.reported(trial))
        return work

    def _on_epoch(self, work: Work, epoch: Epoch) -> bool:
        running, step = self._running[work.attempt], epoch.number - 1
        running.epoch = epoch.number
        running.run.log(epoch.metrics, epoch.number)
        if step not in running.reported:
            running.trial.report(score(self._params, epoch.metrics), step)
        return not running.trial.should_prune()

    def _on_end(self, work: Work, outcome: Outcome | None) -> Work | None:
        running = self._running.pop(work.attempt)
        trial = running.trial
        if outcome is None:
            trial.set_user_attr(DEATHS, trial.user_attrs.get(DEATHS, 0) + 1)
            if trial.user_attrs[DEATHS] < TRIED:
                return self._begin(trial)
            outcome = Outcome("broken", reason=f"its process was ended from outside, {TRIED} times: too little memory?")
        self._end(trial, running.run, outcome)
        return None

    def _end(self, trial: "Trial", run: Run | None, outcome: Outcome) -> None:
        from optuna.trial import TrialState

        trial.set_user_attr(OUTCOME, asdict(outcome))
        if run is not None:
            if outcome.best:
                run.log_best(outcome.best, outcome.epochs, outcome.seconds)
            self._runs.end(run, outcome.state, outcome.reason)
        if outcome.state == "complete":
            self.search.study.tell(trial, score(self._params, outcome.best))
        else:
            # one that diverged teaches the sampler what one that was pruned does: these values are bad
            bad = outcome.state in ("pruned", "diverged")
            self.search.study.tell(trial, state=TrialState.PRUNED if bad else TrialState.FAIL)
        self._bar.write(f"trial {trial.number}: {_in_words(self._params, outcome)}")
        self._bar.update()
        self._show_best()
        ended = self.search.ended
        if len(ended) >= HOPELESS and all(one.state == TrialState.FAIL for one in ended):
            raise TrainingError(f"no trial can be trained: {outcome.reason}")

    def _show_best(self) -> None:
        best = self.search.best
        said = f"best {self._params.tune.metric} {best.value:.4g} (trial {best.number})" if best else "none complete"
        under_way = ", ".join(f"{one.trial.number} in epoch {one.epoch}" for one in self._running.values())
        self._bar.set_postfix_str(f"{said}; running: {under_way}" if under_way else said)


def score(params: Params, metrics: Metrics) -> float:
    """The figure that the search is about, from the metrics of an epoch; raises ConfigError when it is not there."""
    try:
        return metrics[params.tune.metric]
    except KeyError:
        there = ", ".join(name for name in metrics if name.startswith("val/"))
        raise ConfigError(f"tune.metric: the training has no {params.tune.metric}; it has {there}") from None


def _in_words(params: Params, outcome: Outcome) -> str:
    epochs = "1 epoch" if outcome.epochs == 1 else f"{outcome.epochs} epochs"
    if outcome.state == "complete":
        return f"{params.tune.metric} {score(params, outcome.best):.4g}, {epochs} in {outcome.seconds:.0f} s"
    if outcome.state == "pruned":
        return f"pruned after {epochs}"
    return f"{outcome.state}: {' '.join(outcome.reason.split())}"
