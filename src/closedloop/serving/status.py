"""The routes that tell how the server is."""

import asyncio
import logging
import time
from typing import Any

import orjson
from sqlalchemy import Engine
from starlette.requests import Request
from starlette.responses import Response

from closedloop.config import Params
from closedloop.prediction_log.writer import LogWriter
from closedloop.serving.auth import PREDICT, Keys
from closedloop.serving.bodies import JSON
from closedloop.serving.deployment import Deployment
from closedloop.serving.metrics import Metrics
from closedloop.serving.openapi import document
from closedloop.serving.predictions import Predictions
from closedloop.serving.probe import LogProbe
from closedloop.serving.refusal import busy

LOG = logging.getLogger(__name__)
RECOVERY_SECONDS = 5.0  # after a failed write the server is not ready for this long
STATE_SECONDS = 1.0  # between two looks at what Prometheus is told of the present


class Status:
    """Liveness, readiness, what is served, and what Prometheus is told."""

    def __init__(
        self,
        *,
        params: Params,
        deployment: Deployment,
        writer: LogWriter,
        engine: Engine,
        keys: Keys,
        metrics: Metrics,
        predictions: Predictions,
    ) -> None:
        self._params, self._deployment, self._writer, self._probe = params, deployment, writer, LogProbe(engine)
        self._keys, self._metrics, self._predictions = keys, metrics, predictions

    async def healthz(self, _request: Request) -> Response:
        return _json({"status": "alive"})

    async def readyz(self, request: Request) -> Response:
        """503 with the reason while no model is loaded or the log cannot be written.

        Probes carry no key: where keys are set, paths and addresses are told only to those who have one.
        """
        champion, problem = self._deployment.champion, self._deployment.problem
        trusted = self._keys.open(request, PREDICT)
        if champion is None:
            raise busy(f"no model is loaded: {problem}" if trusted else "no model is loaded")
        failed = time.monotonic() - self._predictions.failed_at < RECOVERY_SECONDS
        reason = self._predictions.failure if failed else self._writer.trouble or await self._probe.problem()
        if reason:
            raise busy(reason if trusted else "the prediction log cannot be written")
        return _json({"status": "ready", "version": champion.version, "problem": problem if trusted else None})

    async def model(self, request: Request) -> Response:
        self._keys.check(request, PREDICT)
        champion = self._deployment.champion
        if champion is None:
            raise busy(f"no model is loaded: {self._deployment.problem}")
        state = self._deployment.status()
        example = champion.predictor.preprocessor.request_example()
        return _json({"task": self._params.task.name, **state.pop("champion"), "example": example, **state})

    async def prometheus(self, request: Request) -> Response:
        self._keys.check(request, PREDICT)
        self._observe()
        return Response(self._metrics.text(), media_type="text/plain; version=0.0.4")

    def document(self) -> dict[str, Any]:
        return document(self._params, self._deployment.champion, self._keys)

    async def openapi(self, _request: Request) -> Response:
        return _json(self.document())

    async def watch(self) -> None:
        """Keep the gauges current, also those of workers that are not asked."""
        while True:
            try:
                self._observe()
            except Exception as error:  # else the gauges would stand still, and nobody would know
                LOG.warning("the gauges are not current: %s", type(error).__name__)
            await asyncio.sleep(STATE_SECONDS)

    def _observe(self) -> None:
        champion, challenger = self._deployment.champion, self._deployment.challenger
        self._metrics.state(
            champion=champion.version if champion else None,
            challenger=challenger.version if challenger else None,
            troubled={
                "champion": self._deployment.problem is not None,
                "challenger": self._deployment.challenger_problem is not None,
            },
            backlog=self._writer.backlog,
            dropped=self._writer.dropped + self._predictions.shadows_dropped,
        )


def _json(content: Any) -> Response:
    return Response(orjson.dumps(content), media_type=JSON)
