"""A server that fails predicts little or nothing: its window would fill late or never, and nobody would hear of it."""

from typing import Any

from sqlalchemy import Engine

from closedloop.config import Params
from closedloop.monitoring import service
from closedloop.prediction_log import checks, reading
from closedloop.prediction_log.clock import HOUR, now, to_text


def outage(params: Params, engine: Engine) -> dict[str, Any] | None:
    """A report, as of a window, when requests of the last hour have certainly failed more often than is allowed.

    What was counted before the end of the last check has been judged there. Raises LogError.
    """
    name, moment = params.task.name, now()
    start = max(checks.last_end(engine, name, moment) or 0, moment - HOUR)
    requests = reading.request_counts(engine, name, start, moment)
    judged = service.judge_service([], requests, params.monitor)
    if not judged["errors"] or not judged["errors"]["alarm"]:
        return None
    answered = reading.count(engine, name, start, moment)
    window = {
        "start": to_text(start),
        "end": to_text(moment),
        "rows": answered,
        "version": reading.last_version(engine, name, 0, moment) or 0,
    }
    reasons = [f"{reason} (too few answers to judge the model by: {answered:,})" for reason in service.reasons(judged)]
    return {"verdict": "drift", "reasons": reasons, "window": window, "columns": []} | dict.fromkeys(
        ("accuracy", "estimated_accuracy")
    )
