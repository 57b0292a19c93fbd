"""Postgres in a cluster of its own, without a port."""

import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

DEBIAN = "/usr/lib/postgresql"


def _programs() -> Path | None:
    """The folder of Postgres' programs: on PATH, or where Debian puts them."""
    found = shutil.which("initdb")
    versions = sorted(Path(DEBIAN).glob("*/bin/initdb"))
    return Path(found).parent if found else versions[-1].parent if versions else None


@pytest.fixture(scope="session")
def postgres() -> Iterator[Path]:
    """A running cluster: the folder of its socket. It refuses to run as root, who starts it as another user."""
    programs = _programs()
    if programs is None:
        pytest.skip(f"no Postgres: neither initdb on PATH nor {DEBIAN}/*/bin")
    folder = Path(tempfile.mkdtemp(prefix="closedloop-pg-"))  # short: a socket's path is
    user: list[str] = []
    if os.geteuid() == 0:
        shutil.chown(folder, "nobody")
        user = ["runuser", "-u", "nobody", "--"]

    def run(program: str, *arguments: str) -> None:
        subprocess.run([*user, str(programs / program), *arguments], check=True, cwd=folder, stdout=subprocess.DEVNULL)

    data = str(folder / "data")
    try:
        run("initdb", "-D", data, "-A", "trust", "-U", "postgres", "--no-sync")
        options = f"-k {folder} -c listen_addresses='' -c fsync=off"
        run("pg_ctl", "-D", data, "-o", options, "-l", str(folder / "log"), "-w", "start")
        try:
            yield folder
        finally:
            run("pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres_uri(postgres: Path) -> Iterator[str]:
    """The address of an empty database."""
    name = f"log_{uuid.uuid4().hex}"
    with psycopg.connect(f"host={postgres} user=postgres dbname=postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield f"postgresql://postgres@/{name}?host={postgres}"
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
