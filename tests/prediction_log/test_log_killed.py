import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from logged import TASK
from sqlalchemy import select

from closedloop.config import Params
from closedloop.prediction_log.clock import now
from closedloop.prediction_log.reading import window
from closedloop.prediction_log.schema import PREDICTIONS
from closedloop.prediction_log.store import open_log

WRITING = """
import asyncio, sys
from pathlib import Path
from logged import answer
from closedloop.config import load
from closedloop.prediction_log.store import open_log
from closedloop.prediction_log.writer import LogWriter

async def client(writer):
    while True:
        one = answer(request=b"x" * 3000)
        await writer.write([one])
        print(one.id, flush=True)  # acknowledged

async def main():
    writer = LogWriter(open_log(load(Path("params.yaml"))))
    await asyncio.gather(*[client(writer) for _ in range(8)])

asyncio.run(main())
"""
TURNS = 4


def test_what_was_acknowledged_survives_sigkill(params: Params, tmp_path: Path) -> None:
    """Two processes make a log and write at once; both are killed in the midst of it, again and again."""
    acknowledged: set[str] = set()
    for turn in range(TURNS):
        outputs = [tmp_path / f"{turn}-{number}" for number in range(2)]
        writers = [start(tmp_path / "project", output) for output in outputs]
        for output, process in zip(outputs, writers, strict=True):
            wait_for_lines(output, process, 50 * (turn + 1))
        for process in writers:
            process.send_signal(signal.SIGKILL)
        for process in writers:
            assert process.wait() == -signal.SIGKILL
        for output in outputs:
            acknowledged.update(line for line in output.read_text().splitlines() if len(line) == 26)
    log = open_log(params)
    with log.connect() as connection:
        written = set(connection.execute(select(PREDICTIONS.c.id)).scalars())
    assert len(acknowledged) >= 2 * 50 * sum(range(1, TURNS + 1))
    assert acknowledged <= written
    assert window(log, TASK, 0, now()).num_rows == len(written)  # every one can be read
    log.dispose()


def start(folder: Path, output: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    with output.open("w") as stdout:
        return subprocess.Popen([sys.executable, "-c", WRITING], cwd=folder, env=environment, stdout=stdout)


def wait_for_lines(output: Path, process: subprocess.Popen[bytes], lines: int) -> None:
    for _ in range(3000):
        if output.read_bytes().count(b"\n") >= lines:
            return
        assert process.poll() is None
        time.sleep(0.02)
    raise AssertionError("a minute has passed and too little was written")
