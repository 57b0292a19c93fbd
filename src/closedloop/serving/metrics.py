"""What Prometheus is told."""

import os
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path

import psutil
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
    multiprocess,
)

from closedloop.prediction_log.writer import Answer
from closedloop.targets import Classes, Target

DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"  # where several workers add up; to be set before this module is imported
TIMED = ("/predict", "/feedback")
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
CONFIDENCES = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999, 1)


class Metrics:
    """The counters of one worker; `text` adds up all workers."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, of use to nobody here
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "closedloop_requests", "Requests answered or refused.", ["route", "status"], registry=registry
        )
        self._errors = Counter(
            "closedloop_errors", "Requests that failed through no fault of the client.", ["reason"], registry=registry
        )
        self._seconds = Histogram(
            "closedloop_request_seconds", "Time to answer.", ["route"], registry=registry, buckets=SECONDS
        )
        self._predictions = Counter(
            "closedloop_predictions", "Examples answered.", ["version", "role", "predicted"], registry=registry
        )
        self._confidence = Histogram(
            "closedloop_confidence", "Probability of the predicted class.", registry=registry, buckets=CONFIDENCES
        )
        self._labels = Counter("closedloop_labels", "Labels received.", ["outcome"], registry=registry)
        self._version = Gauge(
            "closedloop_model_version",
            "The version that answers; 0: none.",
            ["alias"],
            registry=registry,
            multiprocess_mode="livemin",  # while a version spreads, the one that still answers
        )
        self._backlog = Gauge(
            "closedloop_log_backlog",
            "Writes that wait for the prediction log.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._troubled = Gauge(
            "closedloop_alias_trouble",
            "1 while an alias cannot be followed or its version cannot be used.",
            ["alias"],
            registry=registry,
            multiprocess_mode="livemax",
        )
        self._dropped = Counter("closedloop_shadows_dropped", "Shadow answers not logged.", registry=registry)
        self._known_drops = 0
        for reason in ("internal", "unavailable", "timeout"):
            self._errors.labels(reason)  # a series from the beginning: the first error is a rise that alerts can see
        # looking up a child by its labels costs more than counting
        self._request_of: Callable[[str, int], Counter] = lru_cache(1024)(
            lambda route, status: self._requests.labels(route, str(status))
        )
        self._seconds_of: Callable[[str], Histogram] = lru_cache(64)(self._seconds.labels)
        self._prediction_of: Callable[[int, str, str], Counter] = lru_cache(4096)(
            lambda version, role, name: self._predictions.labels(str(version), role, name)
        )

    def request(self, route: str, status: int, seconds: float) -> None:
        self._request_of(route, status).inc()
        if route in TIMED:
            self._seconds_of(route).observe(seconds)

    def error(self, reason: str) -> None:
        self._errors.labels(reason).inc()

    def predictions(self, version: int, role: str, answers: Iterable[Answer], target: Target) -> None:
        of_classes = isinstance(target, Classes)
        for answer in answers:
            self._prediction_of(version, role, target.counted(answer.prediction)).inc()
            if of_classes:
                self._confidence.observe(answer.confidence)

    def labels(self, outcome: str, count: int) -> None:
        self._labels.labels(outcome).inc(count)

    def state(
        self, *, champion: int | None, challenger: int | None, troubled: dict[str, bool], backlog: int, dropped: int
    ) -> None:
        """What is now, as opposed to what has happened; `troubled` by alias. On the event loop alone."""
        self._version.labels("champion").set(champion or 0)
        self._version.labels("challenger").set(challenger or 0)
        for alias, trouble in troubled.items():
            self._troubled.labels(alias).set(trouble)
        self._backlog.set(backlog)
        self._dropped.inc(max(dropped - self._known_drops, 0))
        self._known_drops = dropped

    def text(self) -> bytes:
        """Everything in Prometheus' text format."""
        folder = os.environ.get(DIRECTORY)
        if not folder:
            return generate_latest(self._registry)
        _forget_the_dead(Path(folder))
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry, folder)  # type: ignore[no-untyped-call]
        return generate_latest(registry)


def _forget_the_dead(folder: Path) -> None:
    """Remove the gauges of workers that were killed; what they had counted stays."""
    pids = {int(file.stem.rpartition("_")[2]) for file in folder.glob("gauge_live*.db")}
    for pid in pids:
        if not psutil.pid_exists(pid):
            multiprocess.mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]
