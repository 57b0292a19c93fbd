"""Labels that come back over HTTP: one, many, or a file; what is wrong is refused whole."""

import contextlib
import json
import sqlite3
from typing import Any

import pytest
from running_server import JSON, RunningServer, image

from closedloop.prediction_log.ids import new_id

NOBODY = "0" * 26


def predicted(server: RunningServer, count: int) -> list[str]:
    """Ids of new predictions."""
    answers = server.post("/predict", {"examples": [{"image": image(row)} for row in range(count)]}).json
    return [answer["id"] for answer in answers["predictions"]]


def labels(server: RunningServer, ids: list[str]) -> dict[str, tuple[str, int]]:
    """Label and revisions of each id that has a label."""
    with contextlib.closing(sqlite3.connect(server.root / "predictions.db")) as log:
        rows = log.execute("SELECT prediction_id, label, revisions FROM labels").fetchall()
    return {row[0]: (row[1], row[2]) for row in rows if row[0] in ids}


def told(accepted: int = 0, unchanged: int = 0, revised: int = 0, unknown: tuple[int, ...] = ()) -> dict[str, Any]:
    return {
        "accepted": accepted,
        "unchanged": unchanged,
        "revised": revised,
        "unknown": len(unknown),
        "unknown_positions": list(unknown),
    }


def test_one_label_is_stored_repeated_and_revised(server: RunningServer) -> None:
    (key,) = predicted(server, 1)
    assert server.post("/feedback", {"id": key, "label": "3"}).json == told(accepted=1)
    assert server.post("/feedback", {"id": key, "label": "3"}).json == told(unchanged=1)
    assert server.post("/feedback", {"id": key, "label": "5"}).json == told(revised=1)
    assert labels(server, [key]) == {key: ("5", 1)}


def test_an_id_that_nobody_was_given_is_404_alone_and_reported_among_others(server: RunningServer) -> None:
    alone = server.post("/feedback", {"id": new_id(), "label": "3"})
    assert (alone.status, alone.json["field"]) == (404, "id")
    (key,) = predicted(server, 1)
    among = [{"id": NOBODY, "label": "1"}, {"id": key, "label": "2"}, {"id": new_id(), "label": "3"}]
    assert server.post("/feedback", {"labels": among}).json == told(accepted=1, unknown=(0, 2))
    assert labels(server, [key]) == {key: ("2", 0)}


def test_a_label_outside_the_classes_stores_none_of_its_batch(server: RunningServer) -> None:
    ids = predicted(server, 3)
    batch = [{"id": key, "label": name} for key, name in zip(ids, ("1", "Geheimnis", "ten"), strict=True)]
    reply = server.post("/feedback", {"labels": batch})
    assert (reply.status, reply.json["field"], reply.json["positions"]) == (422, "labels[1].label", [1, 2])
    assert "not one of the classes 0, 1, 2" in reply.json["detail"]
    assert "Geheimnis" not in reply.body.decode()
    assert labels(server, ids) == {}


@pytest.mark.parametrize(
    ("kind", "template", "line"),
    [
        ("text/csv", "id,label\n{}", "{},{}\n"),
        ("text/csv", "label,id\r\n{}", "{1},{0}\r\n"),
        ("application/x-ndjson", "{}", '{{"id": "{}", "label": "{}"}}\n'),
    ],
)
def test_a_file_of_labels(server: RunningServer, kind: str, template: str, line: str) -> None:
    ids = predicted(server, 4)
    rows = [line.format(key, name) for key, name in zip(ids, "4567", strict=True)]
    rows.insert(1, line.format(NOBODY, "9"))
    body = template.format("".join(rows)).encode()
    reply = server.ask("POST", "/feedback", body, {"Content-Type": kind})
    assert reply.json == told(accepted=4, unknown=(1,))
    assert labels(server, ids) == {key: (name, 0) for key, name in zip(ids, "4567", strict=True)}


@pytest.mark.parametrize(
    ("kind", "body", "reason"),
    [
        ("text/csv", b"", "column names id,label"),
        ("text/csv", b"id,label,more\n", "column names id,label"),
        ("text/csv", b"id,label\n{id},1\nGeheimnis\n", "body, row 3"),
        ("text/csv", b"id,label\n{id},Geheimnis\n", "body, row 2, column label"),
        ("text/csv", b'id,label\n"{id},1\n', "body, row"),
        ("text/csv", b"id,label\n{id},\xff\n", "UTF-8"),
        ("application/x-ndjson", b'{"id": "{id}", "label": "1"}\n{"id"\n', "body, row 2"),
        ("application/x-ndjson", b'{"id": "{id}", "label": 1}\n', "body, row 1, column label"),
        ("application/x-ndjson", b'{"id": "{id}", "label": "Geheimnis"}\n', "body, row 1, column label"),
        ("application/x-ndjson", b"[" * 100_000, "nests too deeply"),
    ],
)
def test_a_file_with_a_mistake_stores_nothing_and_names_its_row(
    server: RunningServer, kind: str, body: bytes, reason: str
) -> None:
    (key,) = predicted(server, 1)
    reply = server.ask("POST", "/feedback", body.replace(b"{id}", key.encode()), {"Content-Type": kind})
    assert (reply.status, reply.json["field"]) == (422, "body"), reply.body
    assert reason in reply.json["detail"]
    assert "Geheimnis" not in reply.body.decode()
    assert "/tmp" not in reply.body.decode()  # noqa: S108
    assert labels(server, [key]) == {}


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ({}, "body"),
        ({"id": NOBODY}, "body"),
        ({"id": NOBODY, "label": "1", "Geheimnis": 1}, "body"),
        ({"id": 7, "label": "1"}, "id"),
        ({"id": NOBODY, "label": 1}, "label"),
        ({"id": NOBODY, "label": None}, "label"),
        ({"id": "short", "label": "1"}, "id"),
        ({"id": "\u0000" * 26, "label": "1"}, "id"),
        ({"labels": []}, "labels"),
        ({"labels": {}}, "labels"),
        ({"labels": [], "more": 1}, "labels"),
        ({"labels": [{"id": NOBODY, "label": "1"}, 5]}, "labels[1]"),
        ({"labels": [{"id": NOBODY, "label": "1"}, {"id": NOBODY, "label": []}]}, "labels[1].label"),
    ],
)
def test_feedback_of_another_form_is_told_which_field(server: RunningServer, content: Any, field: str) -> None:
    reply = server.post("/feedback", content)
    assert (reply.status, reply.json["field"]) == (422, field)
    assert "Geheimnis" not in reply.body.decode()


def test_a_key_twice_is_refused(server: RunningServer) -> None:
    body = json.dumps({"id": NOBODY, "label": "1"}).replace("{", '{"label": "2", ').encode()
    assert server.ask("POST", "/feedback", body, JSON).status == 400


def test_of_labels_that_repeat_an_id_the_last_counts(server: RunningServer) -> None:
    (key,) = predicted(server, 1)
    batch = [{"id": key, "label": name} for name in "123" * 300]
    reply = server.post("/feedback", {"labels": batch})
    assert (reply.status, reply.json["accepted"]) == (200, 1)
    assert labels(server, [key]) == {key: ("3", 0)}
