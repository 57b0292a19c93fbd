"""One retraining, from the decision to the record: new labels become data, the pipeline runs, the gate decides."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from closedloop.composition import check_current
from closedloop.config import Params, load
from closedloop.data.partitions import built_file, read_list
from closedloop.errors import ClosedLoopError, RegistryError
from closedloop.files import read_json
from closedloop.paths import Paths
from closedloop.prediction_log import attempts, checks, clock, labels
from closedloop.prediction_log.attempts import INTERRUPTED, Attempt
from closedloop.prediction_log.store import open_log
from closedloop.registry.store import CHAMPION, connect, tracking_uri, translated
from closedloop.registry.watch import alias_version
from closedloop.reproduction import StageError, exclusive, reproduce
from closedloop.retraining import partition
from closedloop.retraining.decision import BY_HAND, FAILED, Decision, Deployed, decide, minute
from closedloop.retraining.partition import Built
from closedloop.stage import Failure
from closedloop.targets import require_labels

PROMOTED, REFUSED, UNCHANGED, WAITING = "promoted", "refused", "unchanged", "waiting"
STARVED = 3  # exit code: drift stands, and labels are what lacks
REMEMBERED = 200  # attempts and windows that a decision looks at


@dataclass(frozen=True)
class AttemptResult:
    """What came of a call: promoted, refused or unchanged, or waiting where no attempt was begun."""

    outcome: str
    text: str
    exit_code: int = 0


@dataclass(frozen=True)
class _Work:
    """What every step of one call needs."""

    file: Path  # params.yaml
    params: Params
    paths: Paths
    engine: Engine

    @property
    def task(self) -> str:
        return self.params.task.name


@dataclass(frozen=True)
class _Cause:
    """Why an attempt is made, and for which champion."""

    trigger: str
    reasons: list[str]
    champion: int | None


def retrain(params_path: Path, force: bool) -> AttemptResult:
    """Retrain when there is a reason to, or when asked to (`force`); an attempt that was killed is gone on with.

    Asked to without enough new labels, it tries those again that have last led to a refused model.

    Raises ConfigError when params.yaml is stale or wrong, or the task has no labels, and ClosedLoopError when the
    attempt fails: its partition is off the list again then, the champion is as before, and the record says why.
    """
    with exclusive():
        check_current(params_path)
        params = load(params_path)
        require_labels(params.task)
        work = _Work(params_path, params, Paths(params.task.name), open_log(params))
        past = attempts.recent(work.engine, work.task, REMEMBERED)
        champion = _deployed(params)
        if past and past[-1].outcome == INTERRUPTED:
            lost = past[-1]
            print(f"the attempt of {minute(lost.started)} was interrupted: its process is gone", flush=True)
            pending = _pending(work, lost)
            if pending:
                reasons = [*lost.reasons, f"goes on with the attempt of {minute(lost.started)}, which was interrupted"]
                return _attempt(work, _Cause(lost.trigger, reasons, lost.champion_before), pending)
        decision = _decide(work, past, champion, force)
        if decision.trigger is None:
            if force and (refused := _refused(work, past)):
                return _attempt(work, _Cause(BY_HAND, decision.reasons, champion.version), refused)
            return _waiting(decision)
        return _attempt(work, _Cause(decision.trigger, decision.reasons, champion.version))


def _deployed(params: Params) -> Deployed:
    """Raises RegistryError when there is no champion, or the registry does not answer."""
    task, version = params.task.name, alias_version(params, CHAMPION)
    if version is None:
        raise RegistryError(f"there is no champion of {task} to retrain; `make run` trains and registers one")
    client = connect(params)
    with translated(tracking_uri(params)):
        milliseconds = client.get_model_version(task, str(version)).creation_timestamp
    return Deployed(version, int(milliseconds) * 1000)


def _decide(work: _Work, past: list[Attempt], champion: Deployed, force: bool) -> Decision:
    return decide(
        checks.recent(work.engine, work.task, REMEMBERED),
        past,
        labels.count_unused(work.engine, work.task, [entry.sha256 for entry in read_list(work.paths.partitions)]),
        champion=champion,
        now=clock.now(),
        config=work.params.retraining,
        by_hand=force,
    )


def _waiting(decision: Decision) -> AttemptResult:
    lines = [*decision.reasons, *(f"not retrained: {sentence}" for sentence in decision.waiting)]
    return AttemptResult(WAITING, "\n".join(lines), STARVED if decision.starved else 0)


def _pending(work: _Work, lost: Attempt) -> Built | None:
    """The partition that an earlier attempt had put on the list of this folder."""
    listed = read_list(work.paths.partitions)
    found = next((entry for entry in listed if entry.sha256 == lost.partition), None)
    if found is None or lost.data is None or not built_file(work.paths, found).is_file():
        return None
    return Built(found, lost.data)


def _refused(work: _Work, past: list[Attempt]) -> Built | None:
    """The data of the latest model, where the gate has refused it: another training, or another gate, may take them."""
    judged = [attempt for attempt in past if attempt.outcome in (PROMOTED, REFUSED, UNCHANGED)]
    if not judged or judged[-1].outcome != REFUSED:
        return None
    found = _pending(work, judged[-1])
    if found:
        print(f"tries the data of {minute(judged[-1].started)} again, which led to a refused model", flush=True)
    return found


def _attempt(work: _Work, cause: _Cause, pending: Built | None = None) -> AttemptResult:
    """Make one attempt, on new data or on those that an interrupted one had added."""
    print("\n".join(cause.reasons), flush=True)
    attempt = attempts.begin(work.engine, work.task, cause.trigger, cause.reasons, cause.champion)
    built = pending
    try:
        believed = cause.trigger == BY_HAND
        built = built or partition.build(work.params, work.paths, work.engine, believed=believed)
        print(built.summary, flush=True)
        attempts.note(work.engine, attempt, partition=built.partition.sha256, data=built.counts)
        partition.append(work.paths, built.partition)
        work.engine.dispose()  # a training takes long: a log that is lost meanwhile must not be written to unnoticed
        reproduce(work.file, ["register"])
        receipt = read_json(work.paths.report("registration.json"))
    except (Exception, KeyboardInterrupt) as error:
        receipt = _promoted(work, cause) if built else None
        if receipt is None or built is None:
            _fail(work, attempt, built, error)
            raise
    return _finish(work, attempt, cause, built, receipt)


def _promoted(work: _Work, cause: _Cause) -> dict[str, Any] | None:
    """The receipt of this attempt's model where that is the champion by now: what it has learnt from must stay."""
    with suppress(ClosedLoopError, OSError):
        receipt: dict[str, Any] = read_json(work.paths.report("registration.json"))
        champion = alias_version(work.params, CHAMPION)
        if receipt["version"] == receipt["champion"] == champion != cause.champion:
            return receipt
    return None


def _fail(work: _Work, attempt: str, built: Built | None, error: BaseException) -> None:
    """Leave the data as they were before the attempt, and a record that says why it failed."""
    reason, transient = _reason(error)
    champion = None
    with suppress(RegistryError):
        champion = alias_version(work.params, CHAMPION)
    if built:
        _try("the partition is still on the list", lambda: partition.remove(work.paths, built.partition))
    verdict = {"error": reason, "transient": transient}
    _try(
        "the record of this attempt could not be completed",
        lambda: attempts.finish(work.engine, attempt, FAILED, champion_after=champion, verdict=verdict),
    )
    if champion:
        print(f"the attempt has failed; version {champion} of {work.task} is the champion", flush=True)


def _reason(error: BaseException) -> tuple[str, bool]:
    """What an error says, and whether it may go away by itself."""
    if isinstance(error, StageError):
        return error.reason, error.transient
    failure = Failure.of(error)
    return (failure.message, failure.transient) if failure else (f"{type(error).__name__}: {error}", False)


def _try(otherwise: str, step: Callable[[], None]) -> None:
    """Clean up as far as possible: the error that made it necessary is the one to be raised."""
    try:
        step()
    except (ClosedLoopError, OSError) as error:
        print(f"{otherwise} ({error}); the next `make retrain` puts it right", flush=True)


def _finish(work: _Work, attempt: str, cause: _Cause, built: Built, receipt: dict[str, Any]) -> AttemptResult:
    """Complete the record; labels first, so that a kill in between leaves an attempt to go on with."""
    outcome = _outcome(receipt, cause.champion)
    text = f"version {receipt['version']} of {work.task} {outcome}: {receipt['reasons'][0]}"
    verdict = {key: receipt[key] for key in ("verdict", "reasons", "checks", "comparison", "recent")}
    try:
        champion = alias_version(work.params, CHAMPION)
        partition.mark_used(work.paths, work.engine, built.partition)
        columns = {"challenger": receipt["version"], "champion_after": champion, "verdict": verdict}
        attempts.finish(work.engine, attempt, outcome, **columns)
    except ClosedLoopError as error:
        raise ClosedLoopError(f"{text}. Its record could not be completed: {error}") from error
    if champion != receipt["champion"]:
        text += f"; meanwhile version {champion} was made the champion by hand"
    commit = f"commit {work.paths.partitions}, dvc.lock and {work.paths.reports}"
    if outcome == REFUSED:
        commit += f"; `make promote VERSION={receipt['version']}` would overrule the gate"
    return AttemptResult(outcome, f"{text}; the champion is version {champion}\n{commit}")


def _outcome(receipt: dict[str, Any], champion_before: int | None) -> str:
    if receipt["version"] == champion_before:
        return UNCHANGED
    return PROMOTED if receipt["champion"] == receipt["version"] else REFUSED
