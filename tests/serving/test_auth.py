"""API keys: who gets in, and a server that others could reach does not start without them."""

import hashlib
import socket
from contextlib import closing
from pathlib import Path

import pytest
from running_server import HOST, PATIENCE, MakeServer, RunningServer, free_port, image, start, write_params
from starlette.requests import Request

from closedloop.errors import ConfigError
from closedloop.serving.auth import FEEDBACK, PREDICT, Keys, check_host, new_key
from closedloop.serving.refusal import Refusal

ASK, TELL = new_key(), new_key()


def carrying(*headers: tuple[str, str]) -> Request:
    return Request({"type": "http", "headers": [(name.encode(), value.encode()) for name, value in headers]})


def refused(keys: Keys, kind: str, *headers: tuple[str, str]) -> int:
    """The status; 200 for none."""
    try:
        keys.check(carrying(*headers), kind)
    except Refusal as refusal:
        return refusal.status
    return 200


def test_each_kind_of_key_opens_its_own_route() -> None:
    keys = Keys.from_environment({PREDICT: f" {ASK[1].upper()}, {'0' * 64} ", FEEDBACK: TELL[1]})
    for header in (lambda key: ("authorization", f"Bearer {key}"), lambda key: ("x-api-key", key)):
        assert refused(keys, PREDICT, header(ASK[0])) == 200
        assert refused(keys, FEEDBACK, header(TELL[0])) == 200
        assert refused(keys, PREDICT, header(TELL[0])) == 403
        assert refused(keys, FEEDBACK, header(ASK[0])) == 403
        assert refused(keys, PREDICT, header(ASK[1])) == 401  # the digest is no key
        assert refused(keys, PREDICT, header("é")) == 401
    assert refused(keys, PREDICT) == 401
    assert refused(keys, PREDICT, ("authorization", f"Basic {ASK[0]}")) == 401
    assert refused(Keys(), PREDICT) == refused(Keys(), FEEDBACK) == 200


def test_a_new_key_has_its_digest() -> None:
    key, digest = new_key()
    assert digest == hashlib.sha256(key.encode()).hexdigest()
    assert len(key) >= 43
    assert key != new_key()[0]


@pytest.mark.parametrize("digests", ["geheim", "0" * 63, f"{'0' * 64},x", "g" * 64])
def test_what_is_no_digest_is_refused_without_being_shown(digests: str) -> None:
    with pytest.raises(ConfigError, match=r"CLOSEDLOOP_PREDICT_KEYS: entry [12]") as refusal:
        Keys.from_environment({PREDICT: digests})
    assert digests not in str(refusal.value)


def test_an_address_for_others_needs_both_kinds_of_keys() -> None:
    one, both = Keys(predict=(b"0" * 64,)), Keys(predict=(b"0" * 64,), feedback=(b"1" * 64,))
    for host in ("0.0.0.0", "::", "192.168.0.1", "example.org", "localhost.example.org"):  # noqa: S104
        check_host(host, both)
        with pytest.raises(ConfigError, match=f"{FEEDBACK} is not set"):
            check_host(host, one)
        with pytest.raises(ConfigError, match="are not set"):
            check_host(host, Keys())
    for host in ("127.0.0.1", "127.3.2.1", "::1", "localhost"):
        check_host(host, Keys())


def test_the_server_asks_for_keys_where_they_are_set(make_server: MakeServer) -> None:
    server = make_server(CLOSEDLOOP_PREDICT_KEYS=ASK[1], CLOSEDLOOP_FEEDBACK_KEYS=TELL[1])
    example = {"image": image(0)}
    assert server.post("/predict", example).status == 401
    assert server.post("/predict", example).headers["www-authenticate"] == "Bearer"
    assert server.post("/predict", example, {"X-API-Key": TELL[0]}).status == 403
    answer = server.post("/predict", example, {"Authorization": f"Bearer {ASK[0]}"})
    assert answer.status == 200
    label = {"id": answer.json["id"], "label": "1"}
    assert server.post("/feedback", label, {"X-API-Key": ASK[0]}).status == 403
    assert server.post("/feedback", label, {"X-API-Key": TELL[0]}).status == 200
    for path in ("/model", "/metrics"):
        assert server.get(path).status == 401
        assert server.get(path, {"X-API-Key": ASK[0]}).status == 200
    for path in ("/healthz", "/readyz", "/docs", "/openapi.json"):
        assert server.get(path).status == 200
    assert server.get("/openapi.json").json["paths"]["/predict"]["post"]["security"]
    assert server.events("request")
    shown = (server.root / "server.log").read_text() + (server.root / "server.err").read_text()
    assert not any(secret in shown for pair in (ASK, TELL) for secret in pair)


def ended(server: RunningServer) -> tuple[int, str]:
    return server.process.wait(PATIENCE), (server.root / "server.err").read_text()


def test_a_server_for_others_without_keys_does_not_start(tmp_path: Path) -> None:
    write_params(tmp_path)
    code, said = ended(start(tmp_path, "--host", "0.0.0.0"))  # noqa: S104
    assert code == 2
    assert "CLOSEDLOOP_PREDICT_KEYS and CLOSEDLOOP_FEEDBACK_KEYS are not set" in said
    assert not (tmp_path / "predictions.db").exists()


def test_an_address_that_is_taken_is_said_to_be(tmp_path: Path) -> None:
    write_params(tmp_path)
    port = free_port()
    with closing(socket.create_server((HOST, port))):
        code, said = ended(start(tmp_path, port=port))
    assert code == 1
    assert f"cannot listen on {HOST} port {port}" in said
    assert "Traceback" not in said
