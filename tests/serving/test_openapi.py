"""The server keeps to its own OpenAPI document, whatever schemathesis sends; its pages load nothing from elsewhere."""

import base64
import io
import re
from typing import Any

import numpy as np
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from running_server import PATIENCE, RunningServer, image

from closedloop.prediction_log.ids import new_id
from closedloop.tasks.images.request import encode_png

CLASSES = [str(digit) for digit in range(10)]
PNG = arrays(np.uint8, (8, 8)).map(encode_png)
ROWS = st.lists(st.tuples(st.builds(new_id), st.sampled_from(CLASSES)), max_size=5)
CSV = ROWS.map(lambda rows: "".join(["id,label\n", *(f"{key},{label}\n" for key, label in rows)]).encode())
LINES = ROWS.map(lambda rows: "".join(f'{{"id": "{key}", "label": "{label}"}}\n' for key, label in rows).encode())
LINES = LINES.filter(bool)  # as the document asks
schemathesis.openapi.format("base64-png", PNG)
schemathesis.openapi.media_type("text/csv", CSV)
schemathesis.openapi.media_type("application/x-ndjson", LINES)


@pytest.fixture(scope="module")
def api(server: RunningServer) -> Any:
    return schemathesis.openapi.from_url(f"http://127.0.0.1:{server.port}/openapi.json")


OPERATIONS = ["/predict", "/feedback", "/model", "/healthz", "/readyz", "/metrics"]


def keep_to_the_document(api: Any, path: str, examples: int) -> None:
    """Send requests that fit the document, and requests that do not; every answer must be as the document says."""
    operation = api[path]["POST" if path in ("/predict", "/feedback") else "GET"]
    for mode in schemathesis.GenerationMode:
        if mode.is_negative and not operation.body:
            continue  # there is nothing that could be wrong

        @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        @given(case=operation.as_strategy(generation_mode=mode))
        def validate(case: schemathesis.Case) -> None:
            case.call_and_validate(timeout=PATIENCE)

        validate()


@pytest.mark.parametrize("path", OPERATIONS)
def test_answers_keep_to_the_document(api: Any, path: str) -> None:
    keep_to_the_document(api, path, examples=40 if path in ("/predict", "/feedback") else 3)


@pytest.mark.slow
@pytest.mark.parametrize("path", OPERATIONS[:2])
def test_answers_keep_to_the_document_at_length(api: Any, path: str) -> None:
    keep_to_the_document(api, path, examples=2000)


def test_the_document_is_made_from_the_model(server: RunningServer) -> None:
    document = server.get("/openapi.json").json
    schemas = document["components"]["schemas"]
    rows = schemas["Example"]["properties"]["image"]["anyOf"][0]
    assert (rows["minItems"], rows["items"]["maxItems"]) == (8, 8)
    assert schemas["Label"]["properties"]["label"]["enum"] == CLASSES
    assert schemas["Examples"]["properties"]["examples"]["maxItems"] == 16
    example = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["example"]
    assert server.post("/predict", example).status == 200
    assert list(document["paths"]) == OPERATIONS


def test_the_pages_load_nothing_from_elsewhere(server: RunningServer) -> None:
    page = server.get("/docs")
    assert page.status == 200
    policy = dict(part.split(" ", 1) for part in page.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == "'self'"
    linked = re.findall(r'(?:src|href)="([^"]+)"', page.body.decode())
    assert linked
    for link in linked:
        if link.startswith("data:"):
            continue
        assert link.startswith("/docs/")
        assert server.get(link).status == 200
    assert "http" not in server.get("/docs/start.js").body.decode()


def test_a_png_of_another_kind_is_understood_as_the_document_says(server: RunningServer) -> None:
    """Colours become grey, at any bit depth."""
    pixels = np.array(image(0), np.uint8)
    answers = []
    for mode in ("L", "RGB", "RGBA", "P"):
        buffer = io.BytesIO()
        Image.fromarray(pixels).convert(mode).save(buffer, format="PNG")
        sent = base64.b64encode(buffer.getvalue()).decode()
        answers.append(server.post("/predict", {"image": sent}).json["probabilities"])
    assert all(answer == answers[0] for answer in answers)
