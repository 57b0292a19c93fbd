"""A search in Optuna's hands: which values come next, which trials end early, and how it goes on after a kill.

One process alone reads and writes the SQLite file, the one that holds the folder: no lock is ever waited for.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from closedloop.config import Params
from closedloop.errors import DataError
from closedloop.learning.influences import influences
from closedloop.paths import Paths
from closedloop.tuning.space import Choice, Range, Space, Values, configured, encoded, holds

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.pruners import BasePruner
    from optuna.storages import RDBStorage
    from optuna.study import Study
    from optuna.trial import FrozenTrial, Trial

STARTUP = 10  # trials drawn at random before the sampler has something to learn from
JUDGED = 5  # complete trials, below which none is ended early
DIGITS = 4  # of a searched number: nobody reads more, and the file with the best values says exactly what was trained
RUN, DEATHS, OUTCOME = "run", "deaths", "outcome"  # attributes of a trial; a study has a run, too
TRIED = 2  # times, a trial whose process dies


@dataclass(frozen=True)
class Search:
    """A study with what it searches."""

    study: "Study"
    space: Space
    params: Params

    @property
    def name(self) -> str:
        return self.study.study_name

    @property
    def label(self) -> str:
        """The name without the task's, for where only one task is spoken of."""
        return self.name.removeprefix(f"{self.params.task.name}-").replace("-", " ")

    @property
    def ended(self) -> "list[FrozenTrial]":
        return [trial for trial in self.study.get_trials(deepcopy=False) if trial.state.is_finished()]

    @property
    def best(self) -> "FrozenTrial | None":
        """The complete trial with the best score, the first of equals; None when none is complete."""
        complete = [trial for trial in self.ended if trial.state.name == "COMPLETE"]
        sign = 1 if self.params.tune.goal == "minimize" else -1
        return min(complete, key=lambda trial: sign * (trial.value or 0.0), default=None)

    @property
    def configured_is_best(self) -> bool:
        own = configured(self.params)
        return self.best is not None and self.values(self.best) == {key: own[key] for key in self.space}

    def values(self, trial: "FrozenTrial | Trial") -> Values:
        """A trial's values by key, as the configuration takes them."""
        return {key: _decoded(self.space[key], value) for key, value in trial.params.items()}

    def ask(self) -> "Trial":
        """A new trial.

        Its number seeds the sampler, so that a search that was killed goes on as an undisturbed one would.
        """
        from optuna.samplers import TPESampler

        number = len(self.study.get_trials(deepcopy=False))
        seed = self.params.tune.seed * 1_000_003 + number
        self.study.sampler = TPESampler(seed=seed, n_startup_trials=STARTUP)
        return self.study.ask(_distributions(self.space, self.params))

    def reported(self, trial: "Trial") -> set[int]:
        """The epochs, from 0, that a trial has reported already."""
        return set(self.study.get_trials(deepcopy=False)[trial.number].intermediate_values)

    def interrupted(self) -> "Iterator[Trial]":
        """The trials that a kill has left behind, to go on with; one that was hardly begun is given up."""
        from optuna.trial import Trial, TrialState

        for frozen in self.study.get_trials(deepcopy=False, states=[TrialState.RUNNING]):
            if frozen.params.keys() == self.space.keys():
                yield Trial(self.study, frozen._trial_id)
            else:
                self.study.tell(frozen.number, state=TrialState.FAIL)


def open_search(params: Params, paths: Paths, space: Space) -> Search:
    """The study of exactly this search, or a new one.

    A study goes on as long as data, code, space and all values that are not searched are the same: otherwise its
    trials could not be compared. More trials, other jobs or another seed of the sampler are the same search.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        storage=_storage(paths.studies),
        study_name=_name(params, paths, space),
        direction=params.tune.goal,
        pruner=_pruner(params),
        load_if_exists=True,
    )
    search = Search(study, space, params)
    own = {key: configured(params)[key] for key in space}
    if not study.get_trials(deepcopy=False) and holds(space, own):
        study.enqueue_trial({key: encoded(value) for key, value in own.items()})  # the first trial: as configured
    return search


@contextmanager
def readable(file: Path) -> Iterator[None]:
    """Turn the failures of the file with the trials into a DataError that says what to do."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (SQLAlchemyError, StorageInternalError) as error:
        reason = str(error.__cause__ or error).splitlines()[0]
        raise DataError(
            f"{file} with the trials of all searches failed ({reason}): free the disk, close what has the file open, "
            "or move it away to begin every search anew; then run again"
        ) from error


def _storage(file: Path) -> "RDBStorage":
    """The SQLite file; what is committed outlives a kill, and no commit waits for the disk."""
    from optuna.storages import RDBStorage
    from sqlalchemy import event

    storage = RDBStorage(f"sqlite:///{file}")

    @event.listens_for(storage.engine, "connect")
    def _relaxed(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")

    storage.engine.dispose()  # the connection that has made the tables
    return storage


def _name(params: Params, paths: Paths, space: Space) -> str:
    what = influences(params, paths)
    for key in space:
        section, _, rest = key.partition(".")
        names = rest.split(".")
        inner: dict[str, Any] = what["params"][section]
        for name in names[:-1]:
            inner = inner[name]
        del inner[names[-1]]
    what |= {
        "space": {key: distribution.model_dump() for key, distribution in space.items()},
        "judged": params.tune.model_dump(include={"metric", "goal", "pruner", "warmup_share"}),
    }
    digest = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()
    return f"{params.task.name}-{params.model.name}-{digest[:8]}"


def _pruner(params: Params) -> "BasePruner":
    from optuna import pruners

    epochs = params.trainer.max_epochs
    warmup = round(params.tune.warmup_share * epochs)
    if params.tune.pruner == "median":
        return pruners.MedianPruner(n_startup_trials=JUDGED, n_warmup_steps=warmup)
    if params.tune.pruner == "hyperband":
        return pruners.HyperbandPruner(min_resource=max(1, warmup), max_resource=epochs)
    return pruners.NopPruner()


def _distributions(space: Space, params: Params) -> "dict[str, BaseDistribution]":
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    own = configured(params)
    found: dict[str, BaseDistribution] = {}
    for key, one in space.items():
        if isinstance(one, Choice):
            found[key] = CategoricalDistribution([encoded(value) for value in one.choice])
        elif isinstance(own[key], int):
            found[key] = IntDistribution(int(one.low), int(one.high), log=one.log, step=int(one.step or 1))
        else:
            found[key] = FloatDistribution(one.low, one.high, log=one.log, step=one.step)
    return found


def _decoded(distribution: Range | Choice, value: Any) -> Any:
    if isinstance(distribution, Choice):
        return next(one for one in distribution.choice if encoded(one) == value)
    if isinstance(value, int):
        return value
    return min(max(float(f"{value:.{DIGITS}g}"), distribution.low), distribution.high)
