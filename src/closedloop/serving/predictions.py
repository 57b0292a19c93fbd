"""The route /predict: from the bytes of a request to an answer that is in the log."""

import time
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from closedloop.config import Params
from closedloop.errors import LogError
from closedloop.prediction_log.ids import new_id
from closedloop.prediction_log.schema import CANARY, FALLBACK
from closedloop.prediction_log.writer import WHEN_WRITTEN, Answer, LogWriter
from closedloop.serving import events
from closedloop.serving.auth import PREDICT, Keys
from closedloop.serving.bodies import INLINE_BYTES, JSON, content_type, parse_object, read_beside, refuse_repeated_keys
from closedloop.serving.deployment import Deployment, Loaded
from closedloop.serving.limits import trace_of
from closedloop.serving.metrics import Metrics
from closedloop.serving.predictor import GivenUp
from closedloop.serving.recording import Recording
from closedloop.serving.refusal import Refusal, busy
from closedloop.serving.routing import Shadow, choose
from closedloop.serving.streaming import asked_for, streamed
from closedloop.serving.threads import Threads
from closedloop.targets import Target
from closedloop.tasks.base import BadRecord

EXAMPLES = "examples"
INLINE_EXAMPLES = 4  # more than this is worth the way to another thread
Records = list[dict[str, Any]]
Answered = tuple[list[list[float]], list[str] | None, list[dict[str, Any]] | None]
TEXT, LOGGED = "text", 255  # characters of a written text that the log keeps


class Predictions:
    """Answers requests with the deployed versions."""

    def __init__(
        self,
        *,
        params: Params,
        deployment: Deployment,
        writer: LogWriter,
        keys: Keys,
        metrics: Metrics,
        recording: Recording,
    ) -> None:
        self._params, self._deployment, self._writer = params, deployment, writer
        self._keys, self._metrics, self._recording = keys, metrics, recording
        self._threads = Threads("predict", 2)
        self._shadow = Shadow(writer)
        self.failed_at, self.failure = float("-inf"), ""  # when the log failed last (monotonic), and why

    @property
    def shadows_dropped(self) -> int:
        """Predictions that the challenger has not answered for the log."""
        return self._shadow.dropped + self._shadow.failed

    async def predict(self, request: Request) -> Response:
        """Answer one example or many; the answer is given once it is in the log.

        What is made is told part by part to whoever takes a stream; the log then has all but that, which the logged
        request makes again.

        Raises Refusal for whatever is wrong with the request, and when there is no model or no log.
        """
        self._keys.check(request, PREDICT)
        content_type(request, JSON)
        body = await request.body()
        began = time.perf_counter()
        most = self._params.serving.max_batch
        records, many = await read_beside(self._threads, body, lambda sent: read_records(sent, most))
        champion = self._deployment.champion
        if champion is None:
            raise busy("no model is loaded; /readyz says why", seconds=5)
        stream = champion.predictor.writes and asked_for(request)
        if stream and many:
            raise Refusal(422, "one example at a time is answered as a stream", EXAMPLES)
        challenger = self._deployment.challenger
        ids = [new_id() for _ in records]
        loaded, role = choose(champion, challenger, self._params.serving, ids[0])
        trace = trace_of(request.scope)
        trace.version, trace.examples = loaded.version, len(records)
        try:
            rows, described, made = await self._answer(loaded, records, len(body), many, stream)
        except Exception as error:
            if role != CANARY:
                raise
            if not isinstance(error, Refusal):
                events.emit("warning", "canary_failed", version=loaded.version, error=events.describe(error))
            loaded, role = champion, FALLBACK  # a trial costs nobody the answer; a wrong request the champion refuses
            trace.version = loaded.version
            rows, described, made = await self._answer(loaded, records, len(body), many, stream)
        answers = self._as_logged(ids, records, rows, described, made, loaded=loaded, role=role, began=began)
        await self._log(answers)
        self._metrics.predictions(loaded.version, role, answers, loaded.predictor.target)
        if challenger is not None and self._params.serving.challenger == "shadow":
            self._shadow.submit(challenger, ids, records)
        shown = [_shown(answer, loaded.predictor.target) for answer in answers]
        if stream:
            return streamed(shown[0], loaded.predictor.streamed(records[0]), self._threads)
        if made:
            shown = [{**answer, **more} for answer, more in zip(shown, made, strict=True)]
        return Response(orjson.dumps({"predictions": shown} if many else shown[0]), media_type=JSON)

    async def _answer(self, loaded: Loaded, records: Records, size: int, many: bool, stream: bool) -> Answered:
        """The answer to each example, how it looked where requests are not kept, and what was made where that is
        asked for."""
        predictor, writes = loaded.predictor, loaded.predictor.writes and not stream

        def work(given_up: GivenUp) -> Answered:
            predictor.refuse_excess(records)
            rows: list[list[float]] = predictor.predict(records, given_up).tolist()
            predictor.target.check_rows(rows)
            made = [predictor.made(record, given_up) for record in records] if writes else None
            return rows, self._recording.descriptors(predictor.preprocessor, records), made

        try:
            quick = not self._recording.describes and not predictor.writes
            if quick and len(records) <= INLINE_EXAMPLES and size <= INLINE_BYTES:
                return work(lambda: False)
            return await self._threads.run_heeding(work)
        except BadRecord as error:
            raise Refusal(422, error.reason, _field(error, many)) from None

    def _as_logged(
        self,
        ids: list[str],
        records: Records,
        rows: list[list[float]],
        described: list[str] | None,
        made: list[dict[str, Any]] | None,
        *,
        loaded: Loaded,
        role: str,
        began: float,
    ) -> list[Answer]:
        name, target, kept = self._params.task.name, loaded.predictor.target, self._recording.kept
        took = (time.perf_counter() - began) * 1000  # ms
        answers = []
        for place, row in enumerate(rows):
            prediction, sure = target.logged(row)
            if made:
                prediction = made[place].get(TEXT, prediction)[:LOGGED]
            answers.append(
                Answer(
                    id=ids[place],
                    time=WHEN_WRITTEN,
                    task=name,
                    version=loaded.version,
                    role=role,
                    request=kept(records[place]),
                    prediction=prediction,
                    confidence=sure,
                    probabilities=row,
                    latency_ms=took,
                    descriptors=described[place] if described else None,
                )
            )
        return answers

    async def _log(self, answers: list[Answer]) -> None:
        try:
            await self._writer.write(answers)
        except LogError as error:
            self.failed_at, self.failure = time.monotonic(), str(error)
            events.emit("error", "log", message=str(error))
            raise busy(
                "the prediction could not be logged and is therefore not given; nothing is wrong with the request", 5
            ) from None

    def close(self, timeout: float) -> None:
        """Let the challenger answer what waits; to be called before the writer is closed."""
        self._shadow.close(timeout)
        self._threads.close()


def read_records(body: bytes, most: int) -> tuple[Records, bool]:
    """The examples in a body, and whether it is the form for many.

    Raises Refusal for what is no JSON object, repeats a key, or holds no examples or too many of them.
    """
    content = parse_object(body)
    many = EXAMPLES in content
    records = content[EXAMPLES] if many else [content]
    if many:
        if len(content) > 1:
            raise Refusal(422, f"{EXAMPLES!r} stands alone", "body")
        if not isinstance(records, list) or not records:
            raise Refusal(422, "expected a list of at least one example", EXAMPLES)
        if len(records) > most:
            raise Refusal(422, f"{len(records)} examples, at most {most} are taken at once", EXAMPLES)
    refuse_repeated_keys(body, many + sum(len(record) for record in records if isinstance(record, dict)))
    return records, many


def _field(error: BadRecord, many: bool) -> str:
    if not many:
        return error.field or "body"
    return f"{EXAMPLES}[{error.row}]" + (f".{error.field}" if error.field else "")


def _shown(answer: Answer, target: Target) -> dict[str, Any]:
    return {"id": answer.id, "version": answer.version, **target.shown(answer.probabilities)}
