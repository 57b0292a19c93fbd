"""What the server tells of itself."""

from prometheus_client.parser import text_string_to_metric_families
from running_server import RunningServer, image

from closedloop.prediction_log.ids import new_id


def told(server: RunningServer) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample of /metrics by its name and labels."""
    reply = server.get("/metrics")
    assert reply.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(reply.body.decode())
        for sample in family.samples
    }


def rise(before: dict, after: dict, name: str, **labels: str) -> float:  # type: ignore[type-arg]
    key = name, tuple(sorted(labels.items()))
    return after.get(key, 0.0) - before.get(key, 0.0)


def test_metrics_count_what_happens(server: RunningServer) -> None:
    server.get("/nowhere")
    before = told(server)
    answers = server.post("/predict", {"examples": [{"image": image(row)} for row in range(3)]}).json["predictions"]
    server.post("/predict", {"image": 1})
    server.post("/feedback", {"labels": [{"id": answers[0]["id"], "label": "1"}, {"id": new_id(), "label": "1"}]})
    server.get("/nowhere/else")
    after = told(server)
    assert rise(before, after, "closedloop_requests_total", route="/predict", status="200") == 1
    assert rise(before, after, "closedloop_requests_total", route="/predict", status="422") == 1
    assert rise(before, after, "closedloop_requests_total", route="other", status="404") == 1
    assert rise(before, after, "closedloop_request_seconds_count", route="/predict") == 2
    assert rise(before, after, "closedloop_confidence_count") == 3
    assert rise(before, after, "closedloop_labels_total", outcome="accepted") == 1
    assert rise(before, after, "closedloop_labels_total", outcome="unknown") == 1
    classes = {answer["class"] for answer in answers}
    counts = {
        name: rise(before, after, "closedloop_predictions_total", version="1", role="champion", predicted=name)
        for name in classes
    }
    assert counts == {name: sum(answer["class"] == name for answer in answers) for name in classes}
    assert after["closedloop_model_version", (("alias", "champion"),)] == 1
    assert after["closedloop_model_version", (("alias", "challenger"),)] == 0
    assert after["closedloop_log_backlog", ()] == 0
    assert after["closedloop_shadows_dropped_total", ()] == 0
    assert not any("nowhere" in str(key) for key in after)


def test_the_model_is_shown_with_an_example_that_works(server: RunningServer) -> None:
    model = server.get("/model").json
    assert (model["task"], model["version"], model["problem"], model["challenger"]) == ("digits", 1, None, None)
    assert model["classes"] == [str(digit) for digit in range(10)]
    assert model["loaded_at"].endswith("Z")
    assert server.post("/predict", model["example"]).status == 200


def test_alive_and_ready(server: RunningServer) -> None:
    assert server.get("/healthz").json == {"status": "alive"}
    assert server.get("/readyz").json == {"status": "ready", "version": 1, "problem": None}
    assert server.ask("HEAD", "/readyz").status == 200


def test_no_answer_is_kept_by_a_cache_or_taken_for_another_type(server: RunningServer) -> None:
    for reply in (server.get("/model"), server.post("/predict", {"image": image(0)}), server.get("/nowhere")):
        assert reply.headers["cache-control"] == "no-store"
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert "server" not in reply.headers
