"""One retraining, from the decision to the record: new labels become data, the pipeline runs, the gate decides."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from closedloop.composition import check_current
from closedloop.config import Params, load
from closedloop.data.partitions import Partition, read_list
from closedloop.errors import ClosedLoopError, RegistryError
from closedloop.files import read_json
from closedloop.paths import Paths
from closedloop.prediction_log import attempts, checks, clock, labels
from closedloop.prediction_log.attempts import INTERRUPTED, Attempt
from closedloop.prediction_log.store import open_log
from closedloop.registry.store import CHAMPION
from closedloop.registry.watch import alias_version
from closedloop.reproduction import StageError, exclusive, reproduce
from closedloop.retraining import partition
from closedloop.retraining.decision import FAILED, Decision, Deployed, decide
from closedloop.stage import Failure

UNCHANGED, WAITING = "unchanged", "waiting"
STARVED = 3  # exit code: drift stands, and labels are what lacks
REMEMBERED = 200  # attempts and windows that a decision looks at


@dataclass(frozen=True)
class AttemptResult:
    """What came of a call: promoted, refused or unchanged, or waiting where no attempt was begun."""

    outcome: str
    text: str
    exit_code: int = 0


@dataclass(frozen=True)
class _Retraining:
    """What every step of one call needs."""

    file: Path  # params.yaml
    params: Params
    paths: Paths
    engine: Engine

    @property
    def task(self) -> str:
        return self.params.task.name


def retrain(params_path: Path, force: bool) -> AttemptResult:
    """Retrain when there is a reason to, or when asked to (`force`); an attempt that was killed is gone on with.

    Raises ConfigError when params.yaml is stale or wrong, and another ClosedLoopError when the attempt fails: its
    partition is then off the list again, the champion is as before, and the record says why.
    """
    with exclusive():
        check_current(params_path)
        params = load(params_path)
        work = _Retraining(params_path, params, Paths(params.task.name), open_log(params))
        past = attempts.recent(work.engine, work.task, REMEMBERED)
        if past and past[-1].outcome == INTERRUPTED:
            _say(f"the attempt of {clock.to_text(past[-1].started)} was interrupted: its process has died")
            pending = _pending(work, past[-1])
            if pending:
                _say(f"going on with it, and with its partition {pending.sha256[:8]}")
                return _go_on(work, past[-1], pending)
            _say("it had added no data yet: deciding anew")
        champion = _deployed(params)
        decision = _decide(work, past, champion, force)
        if decision.trigger is None:
            return _waiting(decision)
        return _begin(work, decision.trigger, decision.reasons, champion.version)


def _decide(work: _Retraining, past: list[Attempt], champion: Deployed, force: bool) -> Decision:
    return decide(
        checks.recent(work.engine, work.task, REMEMBERED),
        past,
        labels.count_unused(work.engine, work.task),
        champion=champion,
        now=clock.now(),
        config=work.params.retraining,
        by_hand=force,
    )


def _deployed(params: Params) -> Deployed:
    """Raises RegistryError when there is no champion."""
    from closedloop.registry.store import connect, tracking_uri, translated

    task, version = params.task.name, alias_version(params, CHAMPION)
    if version is None:
        raise RegistryError(f"there is no champion of {task} to retrain; `make run` trains and registers one")
    client = connect(params)
    with translated(tracking_uri(params)):
        registered = int(client.get_model_version(task, str(version)).creation_timestamp)  # milliseconds
    return Deployed(version, registered * 1000)


def _waiting(decision: Decision) -> AttemptResult:
    lines = [*decision.reasons, *(f"not retrained: {sentence}" for sentence in decision.waiting)]
    return AttemptResult(WAITING, "\n".join(lines), STARVED if decision.starved else 0)


def _pending(work: _Retraining, lost: Attempt) -> Partition | None:
    """The partition that an interrupted attempt had put on the list."""
    return next((entry for entry in read_list(work.paths.partitions) if entry.sha256 == lost.partition), None)


def _begin(work: _Retraining, trigger: str, reasons: list[str], champion: int) -> AttemptResult:
    _say(*reasons)
    attempt = attempts.begin(work.engine, work.task, trigger, reasons, champion)
    added: Partition | None = None
    try:
        built = partition.build(work.params, work.paths, work.engine)
        added = built.partition
        attempts.note(work.engine, attempt, partition=added.sha256, data=built.counts)
        _say(built.summary)
        receipt = _learn_from(work, added)
    except (Exception, KeyboardInterrupt) as error:
        _fail(work, attempt, added, error)
        raise
    return _finish(work, attempt, champion, receipt)


def _go_on(work: _Retraining, lost: Attempt, pending: Partition) -> AttemptResult:
    """Do what an interrupted attempt has left undone, on its own data and for its own reasons."""
    when = clock.to_text(lost.started)
    reasons = [*lost.reasons, f"the attempt of {when} was interrupted, and this one goes on with it"]
    attempt = attempts.begin(work.engine, work.task, lost.trigger, reasons, lost.champion_before)
    try:
        attempts.note(work.engine, attempt, partition=pending.sha256, data=lost.data)
        receipt = _learn_from(work, pending)
    except (Exception, KeyboardInterrupt) as error:
        _fail(work, attempt, pending, error)
        raise
    return _finish(work, attempt, lost.champion_before, receipt)


def _learn_from(work: _Retraining, added: Partition) -> dict[str, Any]:
    """List a partition, mark its labels as used, and run the pipeline up to the gate's verdict; return the receipt."""
    partition.append(work.paths, added)
    partition.mark_used(work.paths, work.engine, added)
    reproduce(work.file, ["register"])
    receipt: dict[str, Any] = read_json(work.paths.report("registration.json"))
    return receipt


def _finish(work: _Retraining, attempt: str, before: int | None, receipt: dict[str, Any]) -> AttemptResult:
    """Complete the record of an attempt that came to a verdict."""
    challenger, after = receipt["version"], receipt["champion"]
    outcome = UNCHANGED if challenger == before else receipt["verdict"]
    attempts.finish(
        work.engine,
        attempt,
        outcome,
        challenger=challenger,
        champion_after=after,
        verdict={key: receipt.get(key) for key in ("verdict", "reasons", "checks", "comparison", "recent")},
    )
    text = f"{outcome}: {receipt['summary']}\nnow commit {work.paths.partitions}, dvc.lock and {work.paths.reports}"
    return AttemptResult(outcome, text)


def _fail(work: _Retraining, attempt: str, added: Partition | None, error: BaseException) -> None:
    """Take the partition back and complete the record of an attempt that came to nothing; never hides the error."""
    failure = Failure.of(error)
    reason = error.reason if isinstance(error, StageError) else failure.message if failure else repr(error)
    transient = error.transient if isinstance(error, StageError) else failure is not None and failure.transient
    if added:
        partition.remove(work.paths, added)
    try:
        attempts.finish(work.engine, attempt, FAILED, verdict={"error": reason, "transient": transient})
    except ClosedLoopError as unrecorded:
        _say(f"the attempt's record could not be completed: {unrecorded}")


def _say(*sentences: str) -> None:
    for sentence in sentences:
        print(f"closedloop: {sentence}", flush=True)
