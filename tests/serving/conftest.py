"""Servers on the registered digits: one that tests of single requests share, and others of a test's own."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from running_server import MakeServer, RunningServer, running, write_params

from closedloop.registry import store
from registered_digits import Registry, digits_params

LIMITS = (
    "serving.hosts=[Models.Example]",
    "serving.max_body_mb=0.2",
    "serving.max_batch=16",
    "serving.timeout_seconds=2",
)


@pytest.fixture(scope="package")
def server(
    packaged_digits: tuple[Path, dict[str, Path]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningServer]:
    """A server with narrow limits and the strong model as version 1; what a test logs there, others see."""
    template, packaged = packaged_digits
    root = tmp_path_factory.mktemp("served")
    shutil.copy(template, root / "mlflow.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        for name in ("MLFLOW_TRACKING_URI", "DVC_ROOT", "CLOSEDLOOP_LOG_URI"):
            patch.delenv(name, raising=False)
        params = digits_params()
        registry = Registry(root, params, store.connect(params), packaged)
        registry.point("champion", registry.add("strong"))
        write_params(root, *LIMITS)
    with running(root) as started:
        yield started


@pytest.fixture
def make_server(registry: Registry) -> Iterator[MakeServer]:
    """make_server(*overrides, arguments=(…), **environment) starts a server on a registry of its own."""
    registry.point("champion", registry.add("strong"))
    with ExitStack() as stack:

        def make(*overrides: str, arguments: tuple[str, ...] = (), **environment: str) -> RunningServer:
            write_params(registry.root, *overrides)
            return stack.enter_context(running(registry.root, *arguments, **environment))

        yield make
