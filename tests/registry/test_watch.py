"""What is read past MLflow's client agrees with the client, for a SQLite store and for a real server."""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import mlflow
import pytest
from running_server import write_params

from closedloop.config import Params
from closedloop.errors import RegistryError
from closedloop.registry import aliases, store
from closedloop.registry.quick_look import quick_look
from closedloop.registry.watch import (
    Stored,
    alias_version,
    find_flaw,
    model_digest,
    model_files,
    stored_version,
    version_folder,
    version_tags,
)
from registered_digits import Registry, digits_params, package_digits


def test_sqlite_agrees_with_the_client(registry: Registry) -> None:
    params, client = registry.params, registry.client
    assert alias_version(params, "champion") is None
    first, second = registry.add("weak"), registry.add("strong")
    for version in (first, second, first):
        registry.point("champion", version)
        assert alias_version(params, "champion") == aliases.champion_version(client, "digits") == version
    for version in (first, second):
        tags = client.get_model_version("digits", str(version)).tags
        assert stored_version(params, version) == Stored(
            client.get_model_version_download_uri("digits", str(version)), tags["digest"]
        )
        assert version_tags(params, version) == tags
        assert version_folder(params, version) == registry.folder(version)
    client.delete_model_version("digits", str(first))  # which drops its alias
    assert stored_version(params, first) is None and version_tags(params, first) == {}
    assert alias_version(params, "champion") is None
    with pytest.raises(RegistryError, match=f"no version {first} of digits; `make models`"):
        version_folder(params, first)


def test_a_version_whose_files_are_missing_or_altered_is_refused(registry: Registry) -> None:
    version = registry.add("weak")
    folder = registry.folder(version)
    preprocessor = folder / "artifacts/preprocessor/preprocessor.json"
    content = preprocessor.read_text()
    preprocessor.write_text(content.replace('"mean": 0.', '"mean": 0.9'))
    with pytest.raises(RegistryError, match="not those that were registered"):
        version_folder(registry.params, version)
    with pytest.raises(RegistryError, match="not those that were registered"):
        aliases.load_version(registry.params, version)
    preprocessor.unlink()
    with pytest.raises(RegistryError, match=r"preprocessor.json is missing"):
        version_folder(registry.params, version)
    preprocessor.write_text(content)
    assert version_folder(registry.params, version) == folder


def test_a_store_that_does_not_answer_is_named_without_its_password(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        for uri in (f"http://user:secret@127.0.0.1:{port}", f"postgresql+psycopg://user:secret@127.0.0.1:{port}/db"):
            monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
            with pytest.raises(RegistryError, match="does not answer") as raised:
                alias_version(registry.params, "champion")
            assert "secret" not in str(raised.value)
            assert quick_look(registry.params, 1, "") == (False, None)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///nowhere.db")
    with pytest.raises(RegistryError, match=r"there is no MLflow store .*nowhere.db yet"):
        alias_version(registry.params, "champion")


def test_a_damaged_store_is_an_error_with_words(registry: Registry) -> None:
    (registry.root / "mlflow.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(RegistryError, match="not a database"):
        alias_version(registry.params, "champion")


def test_a_locked_store_is_an_error_with_words(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("closedloop.registry.watch.SECONDS", 0.1)
    with closing(sqlite3.connect(registry.root / "mlflow.db", isolation_level=None)) as blocker:
        blocker.execute("PRAGMA journal_mode=DELETE")
        blocker.execute("BEGIN EXCLUSIVE")
        with pytest.raises(RegistryError, match="locked"):
            alias_version(registry.params, "champion")


def test_the_champion_is_loaded_without_mlflow(registry: Registry) -> None:
    registry.point("champion", registry.add("strong"))
    write_params(registry.root)
    code = (
        "import sys; from pathlib import Path; from closedloop.config import load;"
        "from closedloop.registry.aliases import load_champion;"
        "assert load_champion(load(Path('params.yaml'))).version == 1;"
        "print(sorted({'mlflow', 'torch'} & {*sys.modules}))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Params]:
    """A real MLflow server that keeps the artifacts itself, on a free port of loopback."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    uri = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{tmp_path}/server.db", "--artifacts-destination", f"{tmp_path}/kept"]
    quiet = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (tmp_path / "server.log").open("wb") as log:
        process = subprocess.Popen(command, env=quiet, stdout=log, stderr=log, start_new_session=True)
    try:
        for _ in range(600):
            with closing(socket.socket()) as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        yield digits_params("tracking.artifacts=mlflow-artifacts:/")
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.slow
def test_a_server_agrees_with_the_client_and_its_files_are_fetched(server: Params, tmp_path: Path) -> None:
    client = store.connect(server)
    assert alias_version(server, "champion") is None  # not even the model is there
    model_uri = package_digits(server, "strong")
    digest = model_digest(Path("strong/models/digits/trained/model.onnx"), Path("strong/models/digits/preprocessor"))
    version = int(mlflow.register_model(model_uri, "digits", tags={"digest": digest}).version)
    assert alias_version(server, "champion") is None
    client.set_registered_model_alias("digits", "champion", str(version))
    assert alias_version(server, "champion") == version
    assert quick_look(server, version, digest) == (True, version)
    stored = stored_version(server, version)
    assert stored == Stored(client.get_model_version_download_uri("digits", str(version)), digest)
    assert stored.local is None
    assert stored_version(server, version + 1) is None
    assert version_tags(server, version) == client.get_model_version("digits", str(version)).tags
    assert version_tags(server, version + 1) == {}

    folder = version_folder(server, version)
    assert folder == tmp_path / "work/serving/digits" / str(version)
    assert find_flaw(folder, digest) == ""
    fetched_at = folder.stat().st_ino
    assert version_folder(server, version).stat().st_ino == fetched_at  # not again
    model_files(folder)[0].write_bytes(b"cut short")
    assert find_flaw(version_folder(server, version), digest) == ""  # but what is damaged is
    assert folder.stat().st_ino != fetched_at
