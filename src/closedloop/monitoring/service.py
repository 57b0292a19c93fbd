"""How the server did in a window of the log: how fast it answered, how often it failed, how often it refused.

Each alarm asks for certainty: the lower end of an exact confidence bound must lie beyond what is allowed, so that one
error among ten requests, which says next to nothing about the rate of errors, alarms nobody.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betaincinv

from closedloop.config import Monitor

TIME, LATENCY = "time", "latency_ms"  # columns of a window of the log, on which drift is not judged
# what whoever reaches the server can cause without being allowed to ask anything: no share counts it
STRANGERS = (401, 403, 404, 405, 421)
TAIL = 0.05  # share of answers that may take longer than monitor.max_latency_ms


def share_at_least(events: int, trials: int, confidence: float) -> float:
    """One-sided exact lower bound of a share (Clopper & Pearson 1934).

    It exceeds the true share in at most 1 - confidence of all samples; Wilson's interval does so more often where
    events are rare, and there alarms are raised.
    """
    return float(betaincinv(events, trials - events + 1, 1 - confidence)) if events else 0.0


def judge_service(latency_ms: ArrayLike, requests: Mapping[int, int], config: Monitor) -> dict[str, Any]:
    """Latency of the answers (N,) and shares of errors and refusals among `requests` (count by HTTP status).

    Requests of strangers count in neither: without a key nobody can raise an alarm, or hide one.

    Ready for JSON; a part is None where nothing was counted.
    """
    requests = {status: count for status, count in requests.items() if status not in STRANGERS}
    return {
        "latency": judge_latency(latency_ms, config),
        "errors": _judge_share(requests, 500, config.max_error_share, config.confidence),
        "rejected": _judge_share(requests, 400, config.max_rejected_share, config.confidence),
    }


def judge_latency(latency_ms: ArrayLike, config: Monitor) -> dict[str, Any] | None:
    """Percentiles in ms; alarm when certainly more than a twentieth of the answers take longer than is allowed.

    That is the test of the 95th percentile which needs no assumption about how latencies are distributed.
    """
    values = np.asarray(latency_ms, np.float64)
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    p50, p95, p99 = (float(value) for value in np.quantile(values, [0.5, 1 - TAIL, 0.99]))
    slow = int((values > config.max_latency_ms).sum())
    return {
        "p50": p50,
        "p95": p95,
        "p99": p99,
        "answers": len(values),
        "slow_share": slow / len(values),
        "max_ms": config.max_latency_ms,
        "alarm": share_at_least(slow, len(values), config.confidence) > TAIL,
    }


def _judge_share(requests: Mapping[int, int], first: int, allowed: float, confidence: float) -> dict[str, Any] | None:
    """The share of requests with a status in [first, first + 100); alarm when it certainly exceeds what is allowed."""
    total = sum(requests.values())
    if not total:
        return None
    counted = {status: count for status, count in sorted(requests.items()) if first <= status < first + 100 and count}
    events = sum(counted.values())
    low = share_at_least(events, total, confidence)
    return {
        "requests": total,
        "count": events,
        "share": events / total,
        "low": low,
        "max_share": allowed,
        "statuses": {str(status): count for status, count in counted.items()},
        "alarm": low > allowed,
    }


def reasons(service: Mapping[str, Any]) -> list[str]:
    """One sentence for each alarm."""
    latency, errors, rejected = service["latency"], service["errors"], service["rejected"]
    found = []
    if latency and latency["alarm"]:
        found.append(latency_reason(latency))
    if errors and errors["alarm"]:
        found.append(_share_reason(errors, "failed", "monitor.max_error_share"))
    if rejected and rejected["alarm"]:
        found.append(_share_reason(rejected, "were refused", "monitor.max_rejected_share"))
    return found


def latency_reason(latency: Mapping[str, Any]) -> str:
    """What is wrong with latencies that raise an alarm."""
    return (
        f"95th percentile of latency {latency['p95']:.1f} ms: {latency['slow_share']:.1%} of "
        f"{latency['answers']:,} answers took longer than monitor.max_latency_ms {latency['max_ms']:g}"
    )


def _share_reason(part: Mapping[str, Any], what: str, key: str) -> str:
    statuses = ", ".join(f"{count:,} with {status}" for status, count in part["statuses"].items())
    return (
        f"{part['count']:,} of {part['requests']:,} requests ({part['share']:.1%}) {what} ({statuses}); the share is "
        f"certainly above {key} {part['max_share']:g}"
    )


def in_words(service: Mapping[str, Any]) -> list[str]:
    """How the server did, in a few words a part."""
    latency = service["latency"]
    return [
        *([f"95th percentile of latency {latency['p95']:.1f} ms"] if latency else []),
        *(
            f"{service[part]['count']:,} of {service[part]['requests']:,} requests {what}"
            for part, what in (("errors", "failed"), ("rejected", "refused"))
            if service[part]
        ),
    ]


def figures(service: Mapping[str, Any]) -> dict[str, float]:
    """What is worth following over time, by MLflow metric name."""
    found = {
        f"service/latency_{name}_ms": service["latency"][name] for name in ("p50", "p95", "p99") if service["latency"]
    }
    for part in ("errors", "rejected"):
        if service[part]:
            found[f"service/{part}_share"] = service[part]["share"]
    return found
