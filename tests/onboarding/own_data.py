"""What a user does with data of their own: a configuration to write into, and the stages up to the splits."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from closedloop.composition import compose
from closedloop.config import Params, parse
from closedloop.onboarding.create import create
from closedloop.onboarding.proposal import Asked
from closedloop.paths import Paths
from closedloop.preparation.preprocessing import preprocess
from closedloop.sources.acquire import acquire

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class User:
    """A folder with the project's configuration, and data beside it."""

    root: Path

    @property
    def conf(self) -> Path:
        return self.root / "conf"

    def new(self, path: Path, target: str = "", text: str = "", columns: tuple[str, ...] = ()) -> str:
        """What is told on the terminal."""
        return create(Asked("mine", path, target, text, columns), self.conf)

    @property
    def file(self) -> Path:
        """The one that `new` writes."""
        return self.conf / "task" / "mine.yaml"

    @property
    def source(self) -> dict[str, Any]:
        """As it stands in that file."""
        content: dict[str, Any] = yaml.safe_load(self.file.read_text())["source"]
        return content

    @property
    def format(self) -> dict[str, Any]:
        content: dict[str, Any] = self.source["format"]
        return content

    @property
    def params(self) -> Params:
        return parse(compose("mine", (), self.conf), "conf")

    def prepare(self) -> dict[str, Any]:
        """acquire and preprocess, as `make run` does first; what preprocess reports."""
        paths = Paths("mine", self.root)
        params = self.params
        acquire(params, paths)
        return preprocess(params, paths)


Written = Callable[[str, str | bytes], Path]
