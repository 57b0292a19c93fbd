"""What `dvc repro` passes on of a stage that failed: its code, its words, and whether another time may do."""

import errno
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from closedloop import reproduction
from closedloop.errors import ConfigError, DataError, SourceError
from closedloop.stage import FAILURE, Failure, noted_failure, stage


@pytest.fixture
def asked(make_project, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The arguments that DVC is called with, in a project of its own."""
    monkeypatch.chdir(make_project("digits").root)
    (Path.cwd() / "conf").symlink_to(Path(__file__).parents[1] / "conf")
    calls: list[tuple[str, ...]] = []

    def dvc(*arguments: str) -> int:
        calls.append(arguments)
        return 0

    monkeypatch.setattr(reproduction, "dvc", dvc)
    return calls


def run_failing_stage(error: BaseException | None, code: int = 1) -> int:
    @stage
    def main(params, paths) -> None:  # noqa: ARG001  as stages are
        if error:
            raise error

    with pytest.raises(SystemExit) as ended:
        main()
    return 0 if ended.value.code == 0 else code


def test_named_stages_are_those_of_the_composed_task(asked: list[tuple[str, ...]]) -> None:
    reproduction.reproduce(Path("params.yaml"), ["register"])
    reproduction.reproduce(Path("params.yaml"))
    assert asked == [("repro", "register@digits"), ("repro",)]


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (DataError("row 3 of x.csv has no label"), False),
        (SourceError("the server does not answer"), True),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "model.onnx"), True),
    ],
)
@pytest.mark.usefixtures("asked")
def test_a_stages_words_and_whether_they_may_pass_survive_dvc(
    error: Exception, transient: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reproduction, "dvc", lambda *_: run_failing_stage(error))
    with pytest.raises(reproduction.StageError) as raised:
        reproduction.reproduce(Path("params.yaml"))
    assert raised.value.transient is transient
    assert str(error.args[0]) in raised.value.reason or "the disk is full" in raised.value.reason


@pytest.mark.usefixtures("asked")
def test_a_configuration_mistake_keeps_its_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reproduction, "dvc", lambda *_: run_failing_stage(ConfigError("gate: unknown key")))
    with pytest.raises(ConfigError):
        reproduction.reproduce(Path("params.yaml"))


@pytest.mark.usefixtures("asked")
def test_what_an_earlier_failure_said_is_not_taken_for_this_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    run_failing_stage(SourceError("yesterday"))
    assert noted_failure() == Failure("yesterday", 1, True)
    monkeypatch.setattr(reproduction, "dvc", lambda *_: 255)  # killed: it could not leave a note
    with pytest.raises(reproduction.StageError) as raised:
        reproduction.reproduce(Path("params.yaml"))
    assert raised.value.transient is False
    assert not FAILURE.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("code", [0, 1])
def test_a_signal_behind_the_end_undoes_nothing(number: int, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    class Ended:
        def __init__(self, *_arguments: Any, **_named: Any) -> None: ...

        def wait(self) -> int:
            os.kill(os.getpid(), number)  # when DVC has come to its end, and nobody knows it yet
            return code

    monkeypatch.setattr(subprocess, "Popen", Ended)
    if code:
        with pytest.raises((KeyboardInterrupt, reproduction.StageError)):
            reproduction.dvc("repro")
    else:
        assert reproduction.dvc("repro") == 0
