"""The route /feedback: true labels by prediction id, at once or weeks later."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import orjson
from sqlalchemy import Engine
from starlette.requests import Request
from starlette.responses import Response

from closedloop.config import Params
from closedloop.errors import DataError, LogError
from closedloop.prediction_log.ids import is_id
from closedloop.prediction_log.labels import LabelOutcome, add_labels, load_file
from closedloop.serving import events
from closedloop.serving.auth import FEEDBACK, Keys
from closedloop.serving.bodies import JSON, content_type, parse_object, read_beside, refuse_repeated_keys
from closedloop.serving.deployment import Deployment
from closedloop.serving.limits import trace_of
from closedloop.serving.metrics import Metrics
from closedloop.serving.refusal import Refusal, busy
from closedloop.serving.threads import Threads
from closedloop.targets import Target, of_task

LABELS = "labels"
THREADS = 4  # that store labels: each may wait for the log
FILES = {"text/csv": ".csv", "application/x-ndjson": ".jsonl"}
NAMED = 100  # positions in an answer; of more their number
Pair = tuple[str, str]


class Feedback:
    """Stores labels."""

    def __init__(self, params: Params, deployment: Deployment, engine: Engine, keys: Keys, metrics: Metrics) -> None:
        self._params, self._deployment, self._engine = params, deployment, engine
        self._keys, self._metrics = keys, metrics
        self._threads = Threads("feedback", THREADS)

    async def feedback(self, request: Request) -> Response:
        """Store one label, a list, or a file of them; what became of them is told in numbers and positions.

        Raises Refusal for whatever is wrong with the request; then nothing is stored.
        """
        self._keys.check(request, FEEDBACK)
        kind = content_type(request, JSON, *FILES)
        body = await request.body()
        engine, task, target = self._engine, self._params.task.name, self._target
        if kind in FILES:
            outcome = await self._stored(lambda: _load(engine, task, body, FILES[kind], target))
            return self._told(request, outcome)
        pairs, many = await read_beside(self._threads, body, lambda sent: read_labels(sent, target))
        outcome = await self._stored(lambda: add_labels(engine, task, pairs, target))
        if outcome.invalid:
            first = outcome.invalid[0]
            raise Refusal(422, f"{target.flaw(pairs[first][1])}; nothing was stored", _named("label", first, many),
                          positions=outcome.invalid[:NAMED], count=len(outcome.invalid))  # fmt: skip
        if outcome.unknown and not many:
            raise Refusal(404, "no prediction has this id", "id")
        return self._told(request, outcome)

    async def _stored(self, work: Callable[[], LabelOutcome]) -> LabelOutcome:
        try:
            return await self._threads.run(work)
        except LogError as error:
            events.emit("error", "log", message=str(error))
            raise busy("the labels could not be stored; they can be sent again as they are", 5) from None

    @property
    def _target(self) -> Target:
        champion = self._deployment.champion
        return champion.predictor.target if champion else of_task(self._params.task)

    def _told(self, request: Request, outcome: LabelOutcome) -> Response:
        counts = {
            "accepted": outcome.accepted,
            "unchanged": outcome.unchanged,
            "revised": outcome.revised,
            "unknown": len(outcome.unknown),
        }
        for name, count in counts.items():
            self._metrics.labels(name, count)
        trace_of(request.scope).examples = sum(counts.values())
        return Response(orjson.dumps({**counts, "unknown_positions": outcome.unknown[:NAMED]}), media_type=JSON)


def read_labels(body: bytes, target: Target) -> tuple[list[Pair], bool]:
    """The (id, label) pairs in a body, and whether it is the form for many.

    Raises Refusal that names the first field that is wrong.
    """
    content = parse_object(body)
    many = LABELS in content
    entries = content[LABELS] if many else [content]
    if many and (len(content) > 1 or not isinstance(entries, list) or not entries):
        raise Refusal(422, 'expected a list of at least one {"id": …, "label": …}, and nothing beside it', LABELS)
    pairs: list[Pair] = []
    for place, entry in enumerate(entries):
        if not isinstance(entry, dict) or entry.keys() != {"id", "label"}:
            raise Refusal(422, "expected an object with exactly the fields id and label", _named("", place, many))
        if not isinstance(entry["id"], str):
            raise Refusal(422, "expected a string", _named("id", place, many))
        try:
            pairs.append((entry["id"], target.read(entry["label"])))
        except ValueError as error:
            raise Refusal(422, str(error), _named("label", place, many)) from None
        if not is_id(entry["id"]):
            raise Refusal(422, "expected the id of a prediction, 26 letters and digits", _named("id", place, many))
    refuse_repeated_keys(body, many + 2 * len(entries))
    return pairs, many


def _named(name: str, place: int, many: bool) -> str:
    if not many:
        return name or "body"
    return f"{LABELS}[{place}]" + (f".{name}" if name else "")


def _load(engine: Engine, task: str, body: bytes, suffix: str, target: Target) -> LabelOutcome:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"body{suffix}"
        path.write_bytes(body)
        try:
            return load_file(engine, task, path, target)
        except DataError as error:
            raise Refusal(422, str(error).replace(str(path), "body"), "body") from None
        except RecursionError:
            raise Refusal(422, "a row nests too deeply", "body") from None
