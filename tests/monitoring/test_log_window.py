"""Windows out of a real prediction log, from the answers to the verdict, the alert and the page."""

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, insert

from closedloop.composition import compose
from closedloop.config import Params, Traffic, parse
from closedloop.data.examples import write_examples
from closedloop.errors import ConfigError, DataError
from closedloop.monitoring import alert, monitor, schedule
from closedloop.monitoring.log_window import Answering, collect, judged_version, profile_of, reference_examples
from closedloop.monitoring.recording import record
from closedloop.monitoring.traffic import read_facts, read_profile
from closedloop.paths import Paths
from closedloop.prediction_log import checks
from closedloop.prediction_log.clock import MINUTE, SECOND, now, to_micros, to_text
from closedloop.prediction_log.ids import new_id
from closedloop.prediction_log.labels import add_labels
from closedloop.prediction_log.schema import CANARY, CHAMPION, REQUESTS
from closedloop.prediction_log.store import open_log
from closedloop.prediction_log.writer import Answer, LogWriter
from closedloop.targets import Classes
from closedloop.tasks import get_task

CONF = Path(__file__).parents[2] / "conf"
TASK = get_task("images")
START = to_micros("2026-11-23T10:00:00Z")
END = START + 10 * MINUTE


def params_of(*overrides: str) -> Params:
    bounds = (f"traffic.start={to_text(START)}", f"traffic.end={to_text(END)}")
    return parse(compose("digits", ("traffic=log", *bounds, *overrides), CONF), "conf")


@dataclass
class Production:
    """A project whose model has answered; `ask` logs answers as the server does."""

    params: Params
    paths: Paths
    engine: Engine
    answering: Answering
    digits: Any

    def ask(
        self,
        examples: pa.Table,
        start: int = START,
        version: int = 3,
        role: str = CHAMPION,
        latency_ms: float = 4.0,
    ) -> list[str]:
        rows = self.answering.predictor.answers(examples).tolist()
        requests = self.answering.predictor.preprocessor.encode(examples)
        target = self.answering.predictor.target
        answers = [
            Answer(
                new_id(), start + row * SECOND, "digits", version, role, json.dumps(request).encode(),
                *target.logged(answer), answer, latency_ms,
            )
            for row, (request, answer) in enumerate(zip(requests, rows, strict=True))
        ]  # fmt: skip
        writer = LogWriter(self.engine)
        asyncio.run(writer.write(answers))
        writer.close()
        return [answer.id for answer in answers]

    def label(self, ids: list[str], examples: pa.Table) -> None:
        pairs = list(zip(ids, examples.column("label").to_pylist(), strict=True))
        assert add_labels(self.engine, "digits", pairs, self.answering.predictor.target).accepted == len(ids)

    def count(self, requests: dict[int, int]) -> None:
        rows = [
            {"task": "digits", "minute": START, "worker": "test:1", "status": status, "count": count}
            for status, count in requests.items()
        ]
        with self.engine.begin() as connection:
            connection.execute(insert(REQUESTS), rows)

    def collect(self) -> dict[str, Any]:
        return collect(self.params, self.paths, self.engine, lambda _version: self.answering)

    def check(self) -> dict[str, Any]:
        self.collect()
        return monitor.check(self.params, self.paths)


@pytest.fixture
def production(answered: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Production]:
    """The stand-in for the digits behind a server, with an empty log."""
    monkeypatch.setenv("CLOSEDLOOP_LOG_URI", f"sqlite:///{tmp_path}/predictions.db")
    monkeypatch.delenv(alert.WEBHOOK, raising=False)
    params = params_of()

    @dataclass(frozen=True)
    class Predictor:
        preprocessor: Any
        target: Classes
        answers: Callable[[pa.Table], Any]

    fitted = TASK.fit(answered.test, params)
    model = Predictor(fitted, answered.predictor.target, answered.predictor.answers)
    paths = Paths("digits", tmp_path)
    write_examples(paths.examples("test"), answered.test)
    paths.reports.mkdir(parents=True)
    engine = open_log(params)
    yield Production(params, paths, engine, Answering(3, model, frozenset()), answered)  # type: ignore[arg-type]
    engine.dispose()


def shifted(examples: pa.Table, scenario: str = "noise", severity: int = 4) -> pa.Table:
    return TASK.shift(examples, scenario, severity, np.random.default_rng(0))


def test_a_window_of_the_log_is_the_profile_that_the_examples_would_have_had(production: Production) -> None:
    examples = production.digits.production.slice(0, 200)
    production.ask(examples)
    facts = production.collect()
    window, wanted = read_profile(production.paths.traffic), production.digits.profile(examples)
    described = [name for name in wanted if name not in ("id", "label")]
    pd.testing.assert_frame_equal(window[described], wanted[described])
    assert list(window["label"]) == [None] * 200
    assert list(window["time"]) == [START + row * SECOND for row in range(200)]
    assert facts == {
        "start": to_text(START),
        "end": to_text(END),
        "left_out": {},
        "requests": {},
        "rows": 200,
        "version": 3,
    }
    assert read_facts(production.paths.traffic) == {key: facts[key] for key in ("start", "end", "left_out", "requests")}


def test_clean_answers_end_clean_and_shifted_ones_with_drift(production: Production) -> None:
    production.ask(production.digits.production.slice(0, 200))
    report = production.check()
    assert report["verdict"] == "clean"
    assert report["window"]["start"] == to_text(START)
    assert "200 answers from 2026-11-23 10:00:00 to 10:10:00 UTC, version 3" in monitor.headline(report)
    production.ask(shifted(production.digits.production.slice(200, 197)), start=START + 300 * SECOND)
    report = production.check()
    assert (report["verdict"], report["drifted"]) == ("drift", True)
    assert not {"time", "latency_ms", "version"} & {column["name"] for column in report["columns"]}


def test_a_repeated_check_sees_the_labels_that_have_come_and_replaces_its_record(production: Production) -> None:
    examples = production.digits.production.slice(0, 200)
    ids = production.ask(examples)
    first = production.check()
    record(production.params, production.paths, production.engine, first)
    assert first["accuracy"] is None
    assert first["estimated_accuracy"]["value"] > 0.8
    production.label(ids[:150], examples.slice(0, 150))
    second = production.check()
    record(production.params, production.paths, production.engine, second)
    assert second["accuracy"]["labelled_rows"] == 150
    (check,) = checks.recent(production.engine, "digits", 10)
    assert (check.start, check.end, check.version, check.rows, check.verdict) == (START, END, 3, 200, "clean")
    assert check.report == json.loads(json.dumps(second))
    assert check.alert is None


def test_rows_of_other_versions_are_counted_and_left_out(production: Production) -> None:
    production.ask(shifted(production.digits.production.slice(0, 120)), version=2)
    production.ask(production.digits.production.slice(120, 150), start=START + 120 * SECOND)
    production.ask(production.digits.production.slice(270, 20), START + 300 * SECOND, version=4, role=CANARY)
    facts = production.collect()
    assert (facts["version"], facts["rows"], facts["left_out"]) == (3, 150, {"2": 120, "4": 20})
    report = monitor.check(production.params, production.paths)
    assert report["verdict"] == "clean"
    assert "120 of version 2 and 20 of version 4 left out" in monitor.headline(report)


def test_where_a_canary_alone_has_answered_it_is_judged() -> None:
    def answers(*rows: tuple[int, str]) -> pa.Table:
        return pa.table({"version": [version for version, _ in rows], "role": [role for _, role in rows]})

    assert judged_version(answers((4, CANARY), (4, CANARY))) == (4, {})
    assert judged_version(answers((1, CHAMPION), (2, CHAMPION), (4, CANARY))) == (2, {"1": 1, "4": 1})


def test_errors_alarm_without_blaming_the_model(production: Production) -> None:
    production.ask(production.digits.production.slice(0, 200))
    production.count({200: 200, 500: 40})
    report = production.check()
    assert (report["verdict"], report["drifted"]) == ("drift", False)
    (reason,) = report["reasons"]
    assert "40 of 240 requests (16.7%) failed (40 with 500)" in reason
    assert monitor.figures(report)["service/errors_share"] == pytest.approx(1 / 6)
    assert "latency 4.0 ms, 40 of 240 requests failed, 0 of 240 requests refused" in monitor.headline(report)


def test_slow_answers_alarm_even_where_the_rows_are_too_few_to_judge(production: Production) -> None:
    production.ask(production.digits.production.slice(0, 60), latency_ms=80.0)
    report = production.check()
    assert (report["verdict"], report["drifted"]) == ("drift", False)
    assert any("too few to judge" in reason for reason in report["reasons"])
    assert any("95th percentile of latency 80.0 ms" in reason for reason in report["reasons"])


def test_an_empty_window_and_missing_bounds_are_said(production: Production) -> None:
    with pytest.raises(DataError, match=r"no answers between.*log.keep_days"):
        production.collect()
    production.params = parse(compose("digits", ("traffic=log",), CONF), "conf")
    with pytest.raises(ConfigError, match="make monitor ARGS=traffic=log"):
        production.collect()


def test_descriptors_of_another_version_of_the_code_are_refused(production: Production) -> None:
    columns: dict[str, list[Any]] = {
        "id": ["a"], "descriptors": ['{"loudness": 1.0}'], "prediction": ["1"], "confidence": [0.5], "label": [None],
        "version": [3], "time": [START], "latency_ms": [1.0],
    }  # fmt: skip
    with pytest.raises(DataError, match="another version of the code"):
        profile_of(pa.table(columns), production.digits.reference, production.digits.predictor.target)
    columns["descriptors"] = [None]  # the request was not kept
    frame = profile_of(pa.table(columns), production.digits.reference, production.digits.predictor.target)
    assert np.isnan(frame["brightness"].iloc[0])


def test_the_next_window_is_what_no_check_has_seen(production: Production) -> None:
    found = schedule.next_window(production.params, production.engine)
    assert "holds no predictions" in str(found)
    production.ask(production.digits.production.slice(0, 299))
    assert "299 unchecked predictions" in str(schedule.next_window(production.params, production.engine))
    production.ask(production.digits.production.slice(299, 1), start=END - SECOND)
    found = schedule.next_window(production.params, production.engine)
    assert isinstance(found, list)
    assert found[0] == f"traffic.start={to_text(START)}"
    end = found[1].removeprefix("traffic.end=")
    assert END <= to_micros(end) < now()
    assert params_of(*found).traffic.end == end  # they survive Hydra and YAML


@given(st.integers(0, 4_000_000_000_000_000))
def test_bounds_survive_as_overrides(micros: int) -> None:
    overrides = [f"traffic.start={to_text(micros)}", "traffic.window=7", f"traffic.end={to_text(micros + 1)}"]
    assert schedule.has_bounds(overrides)
    assert schedule.without_bounds(overrides) == ["traffic.window=7"]
    config = Traffic.model_validate(
        {"source": "log", **{o[8:].partition("=")[0]: o.partition("=")[2] for o in overrides}}
    )
    assert (config.window, to_micros(str(config.end)) - to_micros(str(config.start))) == (7, 1)


def _parts(**rows: int) -> pa.Table:
    names = [name.replace("_", "-") for name, count in rows.items() for _ in range(count)]
    return pa.table({"id": [str(row) for row in range(len(names))], "part": names})


def test_a_version_is_judged_by_the_newest_partition_that_it_was_trained_on() -> None:
    test = _parts(all=300, feedback_old=120, feedback_new=110)
    known = {"all", "feedback-old", "feedback-new"}

    def parts(known: set[str], min_rows: int = 100) -> dict[str, int]:
        chosen = reference_examples(test, known, min_rows).column("part").to_pylist()
        return {name: chosen.count(name) for name in dict.fromkeys(chosen)}

    assert parts(known) == {"feedback-new": 110}
    # the world that came after it is no reference: a model left behind would be found clean
    assert parts({"all", "feedback-old"}) == {"feedback-old": 120}
    assert parts({"all"}) == parts(set()) == {"all": 300}
    # too few for a reference of their own
    assert parts(known, min_rows=111) == {"all": 300, "feedback-old": 120, "feedback-new": 110}
    assert reference_examples(test.drop_columns(["part"]), known, 100).num_rows == 530
