"""The OpenAPI document, made from the model that answers."""

from typing import Any

import closedloop
from closedloop.config import Params
from closedloop.prediction_log.ids import LENGTH
from closedloop.serving.auth import Keys
from closedloop.serving.bodies import JSON
from closedloop.serving.deployment import Loaded
from closedloop.serving.refusal import TYPE
from closedloop.serving.streaming import STREAM
from closedloop.targets import of_task, said_of

Node = dict[str, Any]
TEXT: Node = {"type": "string"}
ID: Node = {"type": "string", "minLength": LENGTH, "maxLength": LENGTH, "pattern": "^[0-9A-Z]{26}$"}
COUNT: Node = {"type": "integer", "minimum": 0}
SCHEMES: Node = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
EVERYWHERE = (421, 503)
REFUSED = {
    400: "not JSON in UTF-8, a key twice in one object, or a Content-Length that is none",
    401: "no API key, or one that is not known",
    403: "an API key for another route",
    404: "no prediction has this id",
    408: "the body did not arrive in time",
    413: "the body is too large",
    415: "another content type, or a compressed body",
    421: "the server was called by a name that is not its own",
    422: "JSON of another form than asked for; the answer names field and reason",
    503: "no model is loaded, the prediction log cannot be written, or the server is too busy; try again",
}


def document(params: Params, champion: Loaded | None, keys: Keys) -> Node:
    """An OpenAPI 3.1 document; without a model, examples are objects of any form."""
    serving = params.serving
    example = {"example": champion.predictor.preprocessor.request_example()} if champion else {}
    ask = {JSON: {"schema": _ref("PredictionRequest"), **example}}
    tell = {
        JSON: {"schema": _ref("FeedbackRequest")},
        "text/csv": {"schema": {**TEXT, "description": "a header `id,label`, then a row for each label"}},
        "application/x-ndjson": {
            "schema": {**TEXT, "minLength": 1, "description": 'a line `{"id": …, "label": …}` for each label'}
        },
    }
    answers = {"oneOf": [_ref("Prediction"), _ref("Predictions")]}
    bodies = (400, 408, 413, 415, 422)
    predict = _post("predict", "Answer examples", ask, answers, keys=keys.predict, refused=bodies)
    if champion and champion.predictor.writes:
        predict["post"]["responses"]["200"]["content"][STREAM] = {
            "schema": {
                **TEXT,
                "description": "for `Accept: text/event-stream` and one example: an event `prediction` without what is "
                "made, events with a part of that each, and an event `end`",
            }
        }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"closedloop: {params.task.title}",
            "version": closedloop.__version__,
            "description": "A prediction is in the prediction log before it is answered. Bodies may have up to "
            f"{serving.max_body_mb:g} MB; what takes longer than {serving.timeout_seconds:g} s is given up.",
        },
        "paths": {
            "/predict": predict,
            "/feedback": _post(
                "feedback",
                "Tell the true labels of predictions, at once or weeks later",
                tell,
                _ref("Feedback"),
                keys=keys.feedback,
                refused=(*bodies, 404),
            ),
            "/model": _get("model", "The versions that answer", JSON, _ref("Model"), keys.predict),
            "/healthz": _get("healthz", "Whether the process is alive", JSON, {"type": "object"}),
            "/readyz": _get("readyz", "Whether predictions can be answered and logged", JSON, {"type": "object"}),
            "/metrics": _get("metrics", "Counters for Prometheus", "text/plain", TEXT, keys.predict),
        },
        "components": {
            "schemas": _schemas(params, champion),
            **({"securitySchemes": SCHEMES} if keys.predict or keys.feedback else {}),
        },
    }


def _schemas(params: Params, champion: Loaded | None) -> Node:
    request = champion.predictor.preprocessor.request_schema() if champion else {"type": "object"}
    target = champion.predictor.target if champion else of_task(params.task)
    prediction = {"id": ID, "version": {"type": "integer", "minimum": 1}, **target.answer_schema()}
    feedback = {
        "accepted": {**COUNT, "description": "first labels of their predictions"},
        "unchanged": {**COUNT, "description": "the same label was known"},
        "revised": {**COUNT, "description": "another label was known and is replaced"},
        "unknown": {**COUNT, "description": "no prediction has this id"},
        "unknown_positions": {"type": "array", "items": COUNT, "description": "from 0; the first hundred"},
    }
    model = {
        "task": TEXT,
        "version": {"type": "integer", "minimum": 1},
        "loaded_at": {**TEXT, "format": "date-time"},
        **{name: {"description": "what is told of an example"} for name in said_of(target)},
        "example": {"description": "a request to try"},
        "problem": {"type": ["string", "null"], "description": "why the registry cannot be followed"},
        "challenger": {"type": ["object", "null"]},
        "challenger_mode": {**TEXT, "enum": ["off", "shadow", "canary"]},
        "challenger_problem": {"type": ["string", "null"]},
    }
    refusal = {
        "status": {"type": "integer", "examples": [422]},
        "title": {**TEXT, "examples": ["Unprocessable Entity"]},
        "detail": {**TEXT, "examples": ["expected a string"]},
        "field": {**TEXT, "description": "what is to blame", "examples": ["labels[3].label"]},
    }
    return {
        "Example": request,
        "Examples": _object({"examples": _list(_ref("Example"), params.serving.max_batch)}),
        "PredictionRequest": {"anyOf": [_ref("Example"), _ref("Examples")]},
        "Prediction": _object(prediction),
        "Predictions": _object({"predictions": _list(_ref("Prediction"), params.serving.max_batch)}),
        "Label": _object({"id": ID, "label": target.label_schema()}),
        "Labels": _object({"labels": _list(_ref("Label"))}),
        "FeedbackRequest": {"anyOf": [_ref("Label"), _ref("Labels")]},
        "Feedback": _object(feedback),
        "Model": _object(model),
        "Problem": {"type": "object", "properties": refusal, "required": ["status", "title", "detail"]},
    }


def _post(
    name: str, summary: str, content: Node, answer: Node, *, keys: tuple[bytes, ...], refused: tuple[int, ...]
) -> Node:
    operation = _operation(name, summary, JSON, answer, keys=keys, refused=refused)
    return {
        "post": {"tags": ["predictions and labels"], **operation, "requestBody": {"required": True, "content": content}}
    }


def _get(name: str, summary: str, kind: str, answer: Node, keys: tuple[bytes, ...] = ()) -> Node:
    return {"get": {"tags": ["the server"], **_operation(name, summary, kind, answer, keys=keys)}}


def _operation(
    name: str, summary: str, kind: str, answer: Node, *, keys: tuple[bytes, ...], refused: tuple[int, ...] = ()
) -> Node:
    statuses = sorted({*refused, *EVERYWHERE, *((401, 403) if keys else ())})
    refusal = {TYPE: {"schema": _ref("Problem")}}
    operation: Node = {
        "operationId": name,
        "summary": summary,
        "responses": {
            "200": {"description": "answered", "content": {kind: {"schema": answer}}},
            **{str(status): {"description": REFUSED[status], "content": refusal} for status in statuses},
        },
    }
    if keys:
        operation["security"] = [{"bearer": []}, {"header": []}]
    return operation


def _object(properties: Node) -> Node:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _list(items: Node, most: int | None = None) -> Node:
    return {"type": "array", "minItems": 1, "items": items, **({"maxItems": most} if most else {})}


def _ref(name: str) -> Node:
    return {"$ref": f"#/components/schemas/{name}"}
