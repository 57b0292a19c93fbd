"""The application without a socket: what it does when the log fails, the model is missing, or time runs out."""

import asyncio
import contextlib
import gc
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import httpx
import orjson
import pytest
from running_server import image
from sqlalchemy import Engine, select

from closedloop.config import Params
from closedloop.errors import ConfigError, LogError
from closedloop.prediction_log.schema import PREDICTIONS
from closedloop.prediction_log.store import open_log
from closedloop.prediction_log.writer import Answer, LogWriter
from closedloop.registry.watch import model_files
from closedloop.serving import events, probe
from closedloop.serving.app import create_app
from closedloop.serving.auth import Keys
from closedloop.serving.deployment import Deployment, Loaded
from closedloop.serving.limits import MOST_ACTIVE
from closedloop.serving.predictor import Predictor
from closedloop.serving.probe import LogProbe
from closedloop.serving.recording import KEY, Recording
from registered_digits import digits_params


@dataclass
class Deployed:
    """What a Deployment shows to the application."""

    champion: Loaded | None
    challenger: Loaded | None = None
    problem: str | None = None
    challenger_problem: str | None = None

    async def follow(self) -> None:
        await asyncio.sleep(3600)

    def status(self) -> dict[str, Any]:
        return {"champion": None, "challenger": None, "problem": self.problem}


class Failing(LogWriter):
    """Fails as a full disk makes it fail, or never returns."""

    def __init__(self, engine: Engine, *, hangs: bool) -> None:
        super().__init__(engine)
        self._hangs = hangs

    async def write(self, answers: Sequence[Answer]) -> None:  # noqa: ARG002
        if self._hangs:
            await asyncio.sleep(3600)
        raise LogError("the prediction log failed (disk is full): free some space")


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    monkeypatch.delenv("CLOSEDLOOP_LOG_URI", raising=False)
    engine = open_log(digits_params())
    yield engine
    engine.dispose()


@pytest.fixture
def models(packaged_digits: tuple[Path, dict[str, Path]]) -> dict[str, Loaded]:
    return {
        name: Loaded(version, Predictor.load(*model_files(folder), threads=1), 0.0)
        for version, (name, folder) in enumerate(packaged_digits[1].items(), start=1)
    }


def ask(
    deployed: Deployed,
    engine: Engine,
    *requests: tuple[str, Any],
    writer: LogWriter | None = None,
    params: Params | None = None,
    keys: Keys = Keys(),  # noqa: B008
    at_once: bool = False,
) -> list[httpx.Response]:
    """Answers to requests, one after the other or all at once: (path, content), a POST where there is content."""
    writer = writer or LogWriter(engine)
    app = create_app(params or digits_params(), cast(Deployment, deployed), writer, engine, keys=keys)

    async def main() -> list[httpx.Response]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
            asked = [
                client.get(path) if content is None else client.post(path, json=content) for path, content in requests
            ]
            return await asyncio.gather(*asked) if at_once else [await one for one in asked]

    try:
        return asyncio.run(main())
    finally:
        writer.close()


def logged(engine: Engine) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.execute(select(PREDICTIONS).order_by(PREDICTIONS.c.id)))


def test_a_prediction_that_cannot_be_logged_is_not_given(engine: Engine, models: dict[str, Loaded]) -> None:
    deployed = Deployed(models["strong"])
    failing = Failing(engine, hangs=False)
    answer, ready = ask(deployed, engine, ("/predict", {"image": image(0)}), ("/readyz", None), writer=failing)
    assert answer.status_code == ready.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1
    assert "could not be logged" in answer.json()["detail"]
    assert "probabilities" not in answer.text
    assert "disk is full" in ready.json()["detail"]


def test_what_takes_too_long_is_given_up(engine: Engine, models: dict[str, Loaded]) -> None:
    params = digits_params("serving.timeout_seconds=0.2")
    hanging = Failing(engine, hangs=True)
    (answer,) = ask(
        Deployed(models["strong"]), engine, ("/predict", {"image": image(0)}), writer=hanging, params=params
    )
    assert answer.status_code == 503
    assert "longer than 0.2 s" in answer.json()["detail"]


def test_too_many_requests_at_once_are_turned_away(engine: Engine, models: dict[str, Loaded]) -> None:
    params = digits_params("serving.timeout_seconds=1")
    crowd = [("/predict", {"image": image(0)})] * (MOST_ACTIVE + 5)
    hanging = Failing(engine, hangs=True)
    answers = ask(Deployed(models["strong"]), engine, *crowd, writer=hanging, params=params, at_once=True)
    assert {answer.status_code for answer in answers} == {503}
    assert sum("too many" in answer.json()["detail"] for answer in answers) == 5


def test_where_keys_are_set_a_probe_without_one_is_told_no_paths(engine: Engine, models: dict[str, Loaded]) -> None:
    keys = Keys(predict=(b"0" * 64,))
    unloaded = Deployed(None, problem="no file /secret")
    ready = ask(unloaded, engine, ("/readyz", None), keys=keys)[0]
    assert ready.json()["detail"] == "no model is loaded"
    served = Deployed(models["strong"], problem="no file /secret")
    assert ask(served, engine, ("/readyz", None), keys=keys)[0].json()["problem"] is None


def test_without_a_model_the_server_says_so_and_is_alive(engine: Engine) -> None:
    deployed = Deployed(None, problem="digits has no champion")
    answers = ask(
        deployed,
        engine,
        ("/predict", {"image": image(0)}),
        ("/readyz", None),
        ("/model", None),
        ("/healthz", None),
        ("/openapi.json", None),
        ("/metrics", None),
    )
    assert [answer.status_code for answer in answers] == [503, 503, 503, 200, 200, 200]
    assert "digits has no champion" in answers[1].json()["detail"]
    assert "retry-after" in answers[0].headers


def test_metrics_tell_of_aliases_in_trouble_and_of_errors_that_have_not_been(
    engine: Engine, models: dict[str, Loaded]
) -> None:
    sound = Deployed(models["strong"], challenger_problem="version 3 does not load")
    text = ask(sound, engine, ("/metrics", None))[0].text
    assert 'closedloop_alias_trouble{alias="champion"} 0.0' in text
    assert 'closedloop_alias_trouble{alias="challenger"} 1.0' in text
    assert 'closedloop_errors_total{reason="internal"} 0.0' in text


def test_a_log_that_cannot_be_written_is_not_ready(engine: Engine, models: dict[str, Loaded], tmp_path: Path) -> None:
    ready = ask(Deployed(models["strong"]), engine, ("/readyz", None))[0]
    assert (ready.status_code, ready.json()["version"]) == (200, models["strong"].version)
    engine.dispose()
    for file in tmp_path.glob("predictions.db*"):
        file.unlink()
    (tmp_path / "predictions.db").mkdir()
    lost = ask(Deployed(models["strong"]), engine, ("/readyz", None))[0]
    assert lost.status_code == 503
    assert "prediction log" in lost.json()["detail"]


def test_a_log_that_hangs_is_not_ready_however_many_ask(
    engine: Engine, models: dict[str, Loaded], monkeypatch: pytest.MonkeyPatch
) -> None:
    go, asked = threading.Event(), []

    @contextlib.contextmanager
    def hanging(_engine: Engine) -> Iterator[None]:
        asked.append(1)
        assert go.wait(30)
        yield

    monkeypatch.setattr(probe, "writing", hanging)
    monkeypatch.setattr(probe, "PATIENCE_SECONDS", 0.1)
    probes, others = [("/readyz", None)] * 60, [("/docs", None), ("/metrics", None)]
    answers = ask(Deployed(models["strong"]), engine, *probes, *others, at_once=True)
    go.set()
    assert [answer.status_code for answer in answers] == [503] * 60 + [200] * 2
    assert "has not answered for" in answers[0].json()["detail"]
    assert len(asked) == 1


def test_a_get_that_takes_too_long_is_not_told_of_a_body(
    engine: Engine, models: dict[str, Loaded], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hanging(_probe: LogProbe) -> str:
        await asyncio.sleep(3600)
        return ""

    monkeypatch.setattr(LogProbe, "problem", hanging)
    params = digits_params("serving.timeout_seconds=0.1")
    (answer,) = ask(Deployed(models["strong"]), engine, ("/readyz", None), params=params)
    assert answer.status_code == 503
    assert "longer than 0.1 s" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("/predict", {"image": [[]] * 30_000}),
        ("/feedback", {"labels": [{"id": "0" * 26, "label": "1"}] * 3_000}),
    ],
)
def test_a_large_body_is_parsed_beside_the_event_loop_and_the_collector(
    engine: Engine, models: dict[str, Loaded], monkeypatch: pytest.MonkeyPatch, path: str, content: Any
) -> None:
    loads, noted = orjson.loads, []

    def noting(body: bytes) -> Any:
        noted.append((threading.current_thread() is threading.main_thread(), gc.isenabled()))
        return loads(body)

    monkeypatch.setattr(orjson, "loads", noting)
    small = {"image": image(0)} if path == "/predict" else {"id": "0" * 26, "label": "1"}
    answers = ask(Deployed(models["strong"]), engine, (path, content), (path, small))
    assert [answer.status_code for answer in answers] == ([422, 200] if path == "/predict" else [200, 404])
    assert noted == [(False, False), (True, True)]


def test_an_unexpected_failure_is_a_500_without_details(
    engine: Engine, models: dict[str, Loaded], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(_self: Predictor, records: object, _given_up: object) -> None:
        raise RuntimeError(f"hidden {records}")

    monkeypatch.setattr(Predictor, "predict", fail)
    (answer,) = ask(Deployed(models["strong"]), engine, ("/predict", {"image": [["hidden"]]}))
    assert answer.status_code == 500
    events.flush(20)
    captured = capfd.readouterr().out
    assert "hidden" not in answer.text + captured
    failed = next(line for line in map(json.loads, captured.splitlines()) if line["event"] == "failed")
    assert failed["error"]["type"] == "RuntimeError"
    assert failed["id"] in answer.json()["detail"]


def test_a_canary_takes_its_share_and_is_logged_as_one(engine: Engine, models: dict[str, Loaded]) -> None:
    params = digits_params("serving.challenger=canary", "serving.canary_share=0.5")
    deployed = Deployed(models["strong"], challenger=models["weak"])
    answers = ask(deployed, engine, *[("/predict", {"image": image(0)})] * 60, params=params)
    versions = [answer.json()["version"] for answer in answers]
    assert 10 < versions.count(models["weak"].version) < 50  # by chance outside once in a million runs
    roles = {models["strong"].version: "champion", models["weak"].version: "canary"}
    rows = logged(engine)
    assert {row.id: row.role for row in rows} == {
        answer.json()["id"]: roles[version] for answer, version in zip(answers, versions, strict=True)
    }


def test_requests_that_are_left_out_leave_how_they_looked(engine: Engine, models: dict[str, Loaded]) -> None:
    ask(Deployed(models["strong"]), engine, ("/predict", {"image": image(0)}), params=digits_params("log.inputs=omit"))
    (row,) = logged(engine)
    assert row.request is None
    assert 0 < json.loads(row.descriptors)["brightness"] < 1


def test_a_pseudonym_is_the_same_for_the_same_value_under_one_key(
    engine: Engine, models: dict[str, Loaded], monkeypatch: pytest.MonkeyPatch
) -> None:
    params = digits_params("log.pseudonymised=[image]")
    for key in ("k" * 16, "l" * 16):
        monkeypatch.setenv(KEY, key)
        ask(Deployed(models["strong"]), engine, *[("/predict", {"image": image(n)}) for n in (0, 0, 1)], params=params)
    first, same, other, *rekeyed = (json.loads(row.request)["image"] for row in logged(engine))
    assert first == same != other
    assert not {first, other} & set(rekeyed)
    assert first.startswith("pseudonym:") and len(first) == 74


def test_what_is_under_a_pseudonym_leaves_how_it_looked(
    engine: Engine, models: dict[str, Loaded], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY, "k" * 16)
    params = digits_params("log.pseudonymised=[image]")
    ask(Deployed(models["strong"]), engine, ("/predict", {"image": image(0)}), params=params)
    (row,) = logged(engine)
    assert 0 < json.loads(row.descriptors)["brightness"] < 1


def test_pseudonyms_need_a_key_and_a_field_that_requests_have(
    models: dict[str, Loaded], monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in ("", "short"):
        monkeypatch.setenv(KEY, key)
        with pytest.raises(ConfigError, match=KEY):
            Recording(digits_params("log.pseudonymised=[image]"))
    monkeypatch.setenv(KEY, "k" * 16)
    preprocessor = models["strong"].predictor.preprocessor
    Recording(digits_params("log.pseudonymised=[image]")).check(preprocessor)
    with pytest.raises(ConfigError, match="name is no field of a request; allowed: image"):
        Recording(digits_params("log.pseudonymised=[name]")).check(preprocessor)


class Overflowing:
    """A model that answers one request with what is no number."""

    writes = False

    def __init__(self, sound: Predictor) -> None:
        self._sound, self.preprocessor, self.target = sound, sound.preprocessor, sound.target

    def refuse_excess(self, records: list[dict[str, Any]]) -> None:
        self._sound.refuse_excess(records)

    def predict(self, records: list[dict[str, Any]], given_up: Callable[[], bool]) -> Any:
        rows = self._sound.predict(records, given_up)
        for place, record in enumerate(records):
            if record == {"image": image(1)}:
                rows[place] = float("nan")
        return rows


def test_an_answer_that_is_no_number_fails_its_own_request_alone(engine: Engine, models: dict[str, Loaded]) -> None:
    sound = models["strong"]
    deployed = Deployed(Loaded(sound.version, cast(Predictor, Overflowing(sound.predictor)), 0.0))
    asked = [("/predict", {"image": image(row)}) for row in (0, 1, 2)]
    answers = ask(deployed, engine, *asked, ("/readyz", None), at_once=True)
    assert [answer.status_code for answer in answers] == [200, 500, 200, 200]
    assert len(logged(engine)) == 2


def test_where_a_canary_answers_with_no_number_the_champion_does(engine: Engine, models: dict[str, Loaded]) -> None:
    params = digits_params("serving.challenger=canary", "serving.canary_share=0.9")
    weak = Loaded(models["weak"].version, cast(Predictor, Overflowing(models["weak"].predictor)), 0.0)
    deployed = Deployed(models["strong"], challenger=weak)
    answers = ask(deployed, engine, *[("/predict", {"image": image(1)})] * 10, params=params)
    assert {(answer.status_code, answer.json()["version"]) for answer in answers} == {(200, models["strong"].version)}
