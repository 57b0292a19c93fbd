"""Answers to put into a log, and the way there."""

import asyncio
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine

from closedloop.prediction_log.clock import now
from closedloop.prediction_log.ids import new_id
from closedloop.prediction_log.writer import Answer, LogWriter
from closedloop.targets import Classes

TASK = "digits"
TARGET = Classes(tuple(str(digit) for digit in range(10)))


def answer(**changed: Any) -> Answer:
    """One answer as the server gives it."""
    given: dict[str, Any] = {
        "id": new_id(),
        "time": now(),
        "task": TASK,
        "version": 1,
        "role": "champion",
        "request": b'{"image": [[0, 255], [3, 4]]}',
        "prediction": "3",
        "confidence": 0.75,
        "probabilities": [0.25, 0.75],
        "latency_ms": 1.5,
    }
    return Answer(**{**given, **changed})


def put(engine: Engine, answers: Sequence[Answer]) -> list[str]:
    """Write answers as one request; return their ids."""

    async def write() -> None:
        await writer.write(answers)

    writer = LogWriter(engine)
    try:
        asyncio.run(write())
    finally:
        writer.close()
    return [one.id for one in answers]
