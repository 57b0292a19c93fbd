"""`closedloop new`: from a user's file or folder to conf/task/<task>.yaml, the one file of a task."""

import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from tqdm import tqdm

from closedloop.composition import compose
from closedloop.config import Params, parse
from closedloop.errors import ConfigError, DataError
from closedloop.files import write_text
from closedloop.onboarding.commented import Noted, to_yaml
from closedloop.onboarding.limits import monitor_limits, validation_limits
from closedloop.onboarding.placing import place
from closedloop.onboarding.proposal import Asked, Proposal, RawFile
from closedloop.onboarding.recognisers import recognise
from closedloop.onboarding.report import report
from closedloop.onboarding.sections import CHECK
from closedloop.onboarding.settings import defaults, task_content
from closedloop.preparation.raw import read_raw
from closedloop.preparation.validation import validate
from closedloop.tasks import get_task

NAME = re.compile(r"[a-z][a-z0-9_]*")


def create(asked: Asked, conf: Path = Path("conf")) -> str:
    """Look at the data, write the file, return what was assumed, as text for a terminal.

    The data are read and checked as the stages will do it before anything is written. Raises ConfigError for a name
    that is taken or cannot be one, DataError when the data cannot be used: nothing is written then.
    """
    file = conf / "task" / f"{asked.task}.yaml"
    _require_new(asked.task, file)
    recogniser = recognise(asked.path)
    with tempfile.TemporaryDirectory(prefix="closedloop-new-") as scratch:
        raw, trial = Path(scratch) / "raw", Path(scratch) / "conf"
        raw.mkdir()
        shutil.copytree(conf, trial)
        files = recogniser.place(asked.path)
        with tqdm(total=4 + len(files), desc=f"look at {asked.path.name}", delay=1, unit="step") as bar:
            digests = [_placed(asked.path, one, raw, bar.update) for one in files]
            with _called({raw / one.name: asked.path / one.below for one in files}, asked.path):
                proposal = recogniser.look(raw / files[0].name, asked)
                bar.update()
                source = _source(asked.path, files, digests, proposal)
                with _left_out_told(proposal):
                    text = _settled(Draft(trial, asked, proposal, source), raw, bar.update)
    write_text(file, text)
    return report(asked, proposal, file)


@dataclass(frozen=True)
class Draft:
    """The file, in a copy of the configuration until it is right."""

    conf: Path
    asked: Asked
    proposal: Proposal
    source: dict[str, Any]

    def write(self, found: dict[str, dict[str, Any]]) -> str:
        """Write it with the settings found since, by section; return its text."""
        content = {"source": self.source, **task_content(self.asked, self.proposal)}
        for section, settings in found.items():
            content[section] = {**content.get(section, {}), **settings}
        name = self.asked.task
        head = f"{name}: written by `closedloop new` from {self.asked.path.name}, and yours to change; guesses: {CHECK}"
        chosen = "\n".join(f"  - {line}" for line in defaults(self.proposal))
        sections = "\n".join(to_yaml({key: section}) for key, section in content.items() if section)
        text = f"# @package _global_\n# {head}\ndefaults:\n{chosen}\n\n{sections}"
        (self.conf / "task" / f"{name}.yaml").write_text(text, encoding="utf-8")
        return text

    def params(self) -> Params:
        return parse(compose(self.asked.task, (), self.conf), f"the configuration of {self.asked.task}")


def _settled(draft: Draft, raw: Path, done: Callable[[], object]) -> str:
    """The text of the file, with the limits that the data need; raises DataError when data fail a check even so."""
    draft.write({})
    params = draft.params()
    examples = read_raw(raw, params)
    found = {"validation": validation_limits(examples, params)}
    done()
    draft.write(found)
    params = draft.params() if found["validation"] else params
    _require_valid(examples, params, draft.asked.path)
    done()
    found["monitor"] = monitor_limits(examples, params)
    done()
    return draft.write(found)


def _placed(path: Path, file: RawFile, raw: Path, done: Callable[[], object]) -> str:
    digest = place(path / file.below, file, raw)
    done()
    return digest


@contextmanager
def _called(placed: Mapping[Path, Path], path: Path) -> Iterator[None]:
    """Errors name the user's files, and not where they have been placed to look at them."""
    try:
        yield
    except DataError as error:
        message = str(error)
        for place, own in placed.items():
            message = message.replace(str(place), str(own))
        raise DataError(message if str(path) in message else f"{path}: {message}") from None


@contextmanager
def _left_out_told(proposal: Proposal) -> Iterator[None]:
    """Errors about what is left of the data say what is not: that may be the cause."""
    try:
        yield
    except DataError as error:
        left = "".join(f"\n  - {row.name}: {row.why}" for row in proposal.rows if row.taken_as == "left out")
        raise DataError(f"{error}" + (f"\nLeft out were:{left}" if left else "")) from None


def _require_new(task: str, file: Path) -> None:
    if not NAME.fullmatch(task):
        raise ConfigError(f"TASK is {task!r}; a name has small letters, digits and _, and begins with a letter")
    if not file.parent.is_dir():
        raise ConfigError(f"{file.parent.resolve()} is no folder; run this in the project's root")
    if file.exists():
        raise ConfigError(f"{file} exists already and is not overwritten; choose another TASK, or delete it")


def _source(path: Path, files: Sequence[RawFile], digests: Sequence[str], proposal: Proposal) -> dict[str, Any]:
    return {
        "kind": "download",
        "licence": Noted("unknown", f"{CHECK}: under which you may use the data; it goes into the model's card"),
        "homepage": Noted(f"file://{path}", "where a person finds out more about them"),
        "files": Noted(
            [_entry(path / file.below, file, digest) for file, digest in zip(files, digests, strict=True)],
            "acquire reads them there, and stops when they have changed; https://, s3:// and gs:// do as well",
        ),
        "format": proposal.format,
    }


def _entry(path: Path, file: RawFile, digest: str) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": file.name, "url": f"file://{path}", "sha256": digest}
    entry |= {"unpack": file.unpack} if file.unpack != "none" else {}
    return entry | ({"member": file.member} if file.member else {})


def _require_valid(examples: pa.Table, params: Params, path: Path) -> None:
    result = validate(examples, get_task(params.task.kind), params)
    if not result.passed:
        found = "\n".join(f"  - {one.check}: {one.found}; allowed: {one.allowed}" for one in result.failed)
        raise DataError(f"{path} cannot be learnt from as it is:\n{found}")
