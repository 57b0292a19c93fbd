"""Retraining with the pipeline stood in for: what is recorded, and what is left when it fails, is killed or raced."""

import copy
import errno
import functools
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from filelock import FileLock
from production_world import PARAMS, World, labels_of

from closedloop import cli, composition
from closedloop.composition import compose
from closedloop.errors import ClosedLoopError, ConfigError, DataError, LogError, RegistryError
from closedloop.prediction_log import attempts
from closedloop.registry import aliases
from closedloop.reproduction import StageError
from closedloop.retraining import loop, partition
from closedloop.retraining.loop import AttemptResult, retrain
from closedloop.stage import Failure
from registered_digits import CONF, Registry, digits


@functools.cache  # Hydra takes a third of a second
def _cached(task: str, overrides: tuple[str, ...]) -> dict[str, Any]:
    return compose(task, overrides, CONF)


def _composed(task: str, overrides: Sequence[str] = (), conf: Path = CONF) -> dict[str, Any]:  # noqa: ARG001  the real one's
    return copy.deepcopy(_cached(task, tuple(overrides)))


@pytest.fixture
def world(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(composition, "compose", _composed)
    made = World.make(registry)
    monkeypatch.setattr(loop, "reproduce", made.pipeline())
    yield made
    made.engine.dispose()


def now(force: bool = False) -> AttemptResult:
    return retrain(PARAMS, force)


def test_drift_with_labels_ends_with_a_new_champion_and_one_record(world: World) -> None:
    world.answer(80)
    world.drift()
    result = now()
    assert (result.outcome, result.exit_code, world.champion) == ("promoted", 0, 2)
    assert "version 2 of digits promoted: a gain of +0.2; the champion is version 2" in result.text
    [listed] = world.listed
    assert listed.examples == 80
    assert world.runs == [[listed.sha256]]  # the pipeline saw the new data
    assert set(world.marks) == {listed.sha256}
    [record] = world.attempts
    assert (record.trigger, record.outcome, record.partition) == ("drift", "promoted", listed.sha256)
    assert (record.champion_before, record.challenger, record.champion_after) == (1, 2, 2)
    assert record.reasons[0].startswith("2 of the last 2 windows of version 1 drifted")
    assert record.data is not None and (record.data["labels"], record.data["used"]) == (80, 80)
    assert record.verdict["reasons"] == ["a gain of +0.2"]
    assert record.ended is not None


def test_afterwards_there_is_nothing_to_do_until_the_new_champion_drifts(world: World) -> None:
    world.answer(80)
    world.drift()
    now()
    world.answer(40, 100)
    world.drift()  # windows of version 1, which the server answered before it followed
    result = now()
    assert (result.outcome, result.exit_code) == ("waiting", 0)
    assert "no window of version 2 has been checked" in result.text
    assert len(world.attempts) == 1


def test_a_refused_model_leaves_the_champion_and_keeps_the_data(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "reproduce", world.pipeline(promote=False))
    world.answer(80)
    world.drift()
    result = now()
    assert (result.outcome, result.exit_code, world.champion) == ("refused", 0, 1)
    assert "a tie, which keeps the champion; the champion is version 1" in result.text
    assert len(world.listed) == 1 and set(world.marks) == {world.listed[0].sha256}
    assert [attempt.outcome for attempt in world.attempts] == ["refused"]


def test_the_data_of_a_refused_model_can_be_tried_again_by_hand(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(loop, "reproduce", world.pipeline(promote=False))
        world.answer(80)
        world.drift()
        assert now().outcome == "refused"
    refused = world.listed
    world.answer(10, 100)  # not enough for data of their own
    assert now().outcome == "waiting"
    assert now(force=True).outcome == "promoted"
    assert (world.listed, world.champion) == (refused, 2)
    assert [(entry.outcome, entry.partition) for entry in world.attempts] == [
        ("refused", refused[0].sha256),
        ("promoted", refused[0].sha256),
    ]
    assert world.marks.count(None) == 10
    assert now(force=True).outcome == "waiting"  # what has led to a champion is not tried again


def test_a_training_that_gives_the_champion_again_changes_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.answer(80)
    aliases.promote(world.registry.params, world.registry.add("strong"))  # version 2, which the pipeline gives as well
    monkeypatch.setattr(loop, "reproduce", world.pipeline())
    assert now(force=True).outcome == "unchanged"
    assert world.champion == 2


def test_without_a_reason_nothing_is_recorded(world: World) -> None:
    world.answer(80)
    world.check("clean")
    result = now()
    assert (result.outcome, result.exit_code) == ("waiting", 0)
    assert "not retrained: 0 of the last window of version 1 drifted" in result.text
    assert world.attempts == [] and world.runs == []


def test_drift_that_lacks_labels_ends_with_exit_code_3(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", os.environ.copy())  # a command sets variables for itself
    world.answer(20)
    world.drift()
    with pytest.raises(SystemExit) as ended:
        cli.main(["retrain"])
    assert ended.value.code == 3
    said = capsys.readouterr().out
    assert "2 of the last 2 windows of version 1 drifted" in said
    assert "not retrained: 20 new labels are there and 40 are needed" in said
    assert world.attempts == []
    world.answer(20, 20)
    with pytest.raises(SystemExit) as ended:
        cli.main(["retrain"])
    assert ended.value.code == 0
    assert world.champion == 2


def test_by_hand_it_waits_for_no_alarm_but_needs_something_new(world: World) -> None:
    assert "nothing new to learn from" in now(force=True).text
    world.answer(80)
    assert now(force=True).outcome == "promoted"
    assert world.attempts[0].trigger == "by_hand"
    assert "nothing new to learn from" in now(force=True).text


def failing(error: BaseException) -> Callable[..., None]:
    def fail(*_: Any) -> None:
        raise error

    return fail


def test_a_training_that_breaks_leaves_everything_as_it_was_but_for_the_record(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = StageError(Failure("the loss is not finite in epoch 3", 1, transient=False))
    monkeypatch.setattr(loop, "reproduce", failing(broken))
    world.answer(80)
    world.drift()
    with pytest.raises(StageError):
        now()
    assert world.listed == [] and not world.paths.partitions.exists()
    assert world.champion == 1
    [record] = world.attempts
    assert (record.outcome, record.champion_before, record.champion_after) == ("failed", 1, 1)
    assert record.verdict == {"error": "the loss is not finite in epoch 3", "transient": False}
    assert set(world.marks) == {None}
    again = now()
    assert (again.outcome, again.exit_code) == ("waiting", 0)  # the same alarms do not start it again
    world.drift()
    assert "retraining.cooldown_hours" in now().text


def test_an_older_checkout_that_only_waits_frees_no_labels_of_another_machine(world: World) -> None:
    world.answer(80)
    world.drift()
    now()
    used = world.marks
    world.paths.partitions.unlink()  # as it was before the other machine's commit
    assert now().outcome == "waiting"
    assert world.marks == used


@pytest.mark.parametrize("error", [KeyboardInterrupt(), StageError(Failure("told to end", 1, transient=True))])
def test_told_to_end_behind_the_move_of_the_alias_it_finishes(
    world: World, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    monkeypatch.setattr(loop, "reproduce", world.pipeline(meanwhile=failing(error)))
    world.answer(80)
    world.drift()
    assert now().outcome == "promoted"
    [record] = world.attempts
    assert (record.outcome, record.challenger, record.champion_after) == ("promoted", 2, 2)
    assert [entry.sha256 for entry in world.listed] == [record.partition]  # the champion's data stay
    assert set(world.marks) == {record.partition}


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "partitions/digits.json"), "the disk is full"),
        (StageError(Failure("https://example.org does not answer", 1, transient=True)), "does not answer"),
        (KeyboardInterrupt(), "interrupted"),
        (RegistryError("the champion of digits was moved by somebody else meanwhile"), "moved by somebody else"),
    ],
)
def test_a_failure_that_may_pass_lets_the_same_alarms_try_again(
    world: World, monkeypatch: pytest.MonkeyPatch, error: BaseException, said: str
) -> None:
    world.answer(80)
    world.drift()
    monkeypatch.setattr(loop, "reproduce", failing(error))
    with pytest.raises(type(error)):
        now()
    [record] = world.attempts
    assert record.outcome == "failed" and record.verdict["transient"] is True
    assert said in record.verdict["error"]
    assert (world.listed, world.champion) == ([], 1)
    monkeypatch.setattr(loop, "reproduce", world.pipeline())
    assert now().outcome == "promoted"
    assert [attempt.partition for attempt in world.attempts] == [world.listed[0].sha256] * 2


def test_a_disk_that_is_full_when_the_partition_is_listed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.answer(80)
    world.drift()
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "partitions/digits.json")
    with monkeypatch.context() as patch:
        patch.setattr(partition, "append", failing(full))
        with pytest.raises(OSError, match="No space left"):
            now()
    assert world.attempts[0].verdict["transient"] is True
    assert now().outcome == "promoted"


class Killed(BaseException):
    """SIGKILL, which nothing gets to handle."""


POINTS: list[tuple[ModuleType, str]] = [
    (partition, "build"),
    (attempts, "note"),
    (partition, "append"),
    (loop, "reproduce"),
    (loop, "read_json"),  # behind the move of the alias
    (partition, "mark_used"),
    (attempts, "finish"),
]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("module", "name"), POINTS, ids=[name for _, name in POINTS])
def test_killed_anywhere_and_run_again_it_comes_to_the_same_result(  # noqa: PLR0917  fixtures and parameters
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    module: ModuleType,
    name: str,
    after: bool,
) -> None:
    world.answer(80)
    world.drift()
    work = getattr(module, name)

    def die(*arguments: Any, **keys: Any) -> None:
        if after:
            work(*arguments, **keys)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(module, name, die)
        with pytest.raises(Killed):
            now()
    world.the_process_died()
    finished = (module, name, after) == (attempts, "finish", True)
    result = now()
    assert world.champion == 2
    assert len(world.listed) == 1 and set(world.marks) == {world.listed[0].sha256}
    assert set(map(tuple, world.runs)) == {(world.listed[0].sha256,)}  # never on other data
    if finished:
        assert result.outcome == "waiting" and len(world.attempts) == 1
        return
    assert result.outcome == "promoted"
    assert "was interrupted: its process is gone" in capsys.readouterr().out
    first, second = world.attempts
    assert (first.outcome, second.outcome) == ("interrupted", "promoted")
    assert (second.champion_before, second.challenger, second.champion_after) == (1, 2, 2)
    assert second.trigger == "drift" and second.partition == world.listed[0].sha256
    assert second.data is not None and second.data["used"] == 80
    assert now().outcome == "waiting"


def test_labels_that_come_after_a_kill_wait_for_the_next_attempt(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.answer(80)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "reproduce", failing(Killed()))
        with pytest.raises(Killed):
            now(force=True)
    world.the_process_died()
    interrupted = world.listed
    world.answer(40, 100)
    assert now().outcome == "promoted"  # gone on with, although nobody asks by hand this time
    assert world.listed == interrupted
    assert world.marks.count(None) == 40


def test_one_attempt_at_a_time(world: World) -> None:
    world.answer(80)
    world.drift()
    attempts.begin(world.engine, "digits", "by_hand", ["asked for"], 1)  # by a process that is alive
    with pytest.raises(ClosedLoopError, match="another attempt to retrain digits is under way"):
        now()
    assert (len(world.attempts), world.listed, world.runs) == (1, [], [])


def test_a_folder_in_use_is_left_alone(world: World) -> None:
    world.answer(80)
    world.drift()
    with FileLock("work/run.lock"), pytest.raises(ClosedLoopError, match="another run is under way"):
        now()
    assert world.attempts == []


def test_a_stale_configuration_begins_nothing(world: World) -> None:
    world.answer(80)
    world.drift()
    PARAMS.write_text(PARAMS.read_text().replace("dropout: 0.3", "dropout: 0.5"))
    with pytest.raises(ConfigError, match=r"stale: model\.dropout"):
        now()
    assert world.attempts == []


def test_poisoned_labels_never_reach_the_training(world: World) -> None:
    """Wrong labels for contents that the data hold already."""
    ids = world.answer(80, severity=0, labelled=False)
    world.label(ids, wrong(labels_of(digits(0, 80))))
    world.drift()
    with pytest.raises(DataError, match="taken for poisoned"):
        now()
    assert (world.listed, world.runs, world.champion) == ([], [], 1)
    [record] = world.attempts
    assert record.outcome == "failed" and record.verdict["transient"] is False
    assert "taken for poisoned" in record.verdict["error"]


def wrong(labels: list[str]) -> list[str]:
    return [str((int(label) + 1) % 10) for label in labels]


def test_labels_that_contradict_sure_answers_are_believed_only_by_hand(world: World) -> None:
    ids = world.answer(80, labelled=False, sure=True)
    world.label(ids, wrong(labels_of(digits(0, 80))))
    world.drift()
    with pytest.raises(DataError, match="80 of the 80 answers given with great confidence are contradicted"):
        now()
    assert (world.listed, world.runs, world.champion) == ([], [], 1)
    assert world.attempts[0].verdict["transient"] is False
    assert now(force=True).outcome == "promoted"  # a person has looked, and vouches for them


def test_honest_labels_may_contradict_many_sure_answers(world: World) -> None:
    """Under a heavy shift a model is sure of much that is wrong."""
    ids = world.answer(100, labelled=False, sure=True)
    truth = labels_of(digits(0, 100))
    world.label(ids, [*wrong(truth[:75]), *truth[75:]])
    world.drift()
    assert now().outcome == "promoted"


def test_a_handful_of_sure_answers_proves_nothing_against_the_labels(world: World) -> None:
    world.answer(60)
    ids = world.answer(19, 100, labelled=False, sure=True)
    world.label(ids, wrong(labels_of(digits(100, 119))))
    world.drift()
    assert now().outcome == "promoted"


def test_a_batch_that_was_refused_does_not_spoil_the_next(world: World) -> None:
    ids = world.answer(80, severity=0, labelled=False)
    world.label(ids, wrong(labels_of(digits(0, 80))))
    with pytest.raises(DataError, match="taken for poisoned"):
        now(force=True)
    assert set(world.marks) == {"quarantined"}
    world.answer(60, 100)
    assert now(force=True).outcome == "promoted"
    assert world.listed[0].examples == 60


def test_a_person_who_promotes_meanwhile_is_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    params = world.registry.params

    def promote_another() -> None:
        aliases.promote(params, world.registry.add("weak"))

    monkeypatch.setattr(loop, "reproduce", world.pipeline(promote=False, meanwhile=promote_another))
    world.answer(80)
    world.drift()
    result = now()
    assert (result.outcome, world.champion) == ("refused", 3)
    assert "meanwhile version 3 was made the champion by hand; the champion is version 3" in result.text
    assert world.attempts[0].champion_after == 3


def test_a_log_that_is_lost_meanwhile_is_named_and_the_next_log_begins_clean(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose() -> None:
        for file in Path().glob("predictions.db*"):
            file.unlink()

    monkeypatch.setattr(loop, "reproduce", world.pipeline(meanwhile=lose))
    world.answer(80)
    world.drift()
    with pytest.raises(ClosedLoopError, match=r"version 2 of digits promoted: .* Its record could not be completed"):
        now()
    world.engine.dispose()
    assert now().outcome == "waiting"


def test_a_locked_log_is_named_and_nothing_begins(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.answer(80)
    world.drift()
    monkeypatch.setattr(loop, "open_log", failing(LogError("the prediction log is held locked")))
    with pytest.raises(LogError, match="held locked"):
        now()
    assert world.attempts == []


def test_a_lost_registry_or_champion_is_named_and_nothing_begins(world: World) -> None:
    world.answer(80)
    world.drift()
    world.registry.client.delete_registered_model_alias("digits", "champion")
    with pytest.raises(RegistryError, match="no champion of digits to retrain"):
        now()
    for file in Path().glob("mlflow.db*"):
        file.unlink()
    with pytest.raises(RegistryError, match="no MLflow store"):
        now()
    assert (world.attempts, world.listed) == ([], [])
