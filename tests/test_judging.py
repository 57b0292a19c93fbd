"""Challenger against champion on logged traffic with labels: the alias moves for a better one, and for no other."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, update

from closedloop.config import ClassGate, Params
from closedloop.data.examples import LABEL
from closedloop.errors import LogError, RegistryError
from closedloop.evaluation.comparison import Comparison
from closedloop.files import read_json
from closedloop.judging import PROMOTED, REFUSED, UNDECIDED, decide, judge
from closedloop.paths import Paths
from closedloop.prediction_log.clock import now
from closedloop.prediction_log.ids import new_id
from closedloop.prediction_log.labels import add_labels
from closedloop.prediction_log.schema import LABELS
from closedloop.prediction_log.store import open_log
from closedloop.prediction_log.writer import Answer, LogWriter
from closedloop.registry import aliases
from closedloop.registry.watch import alias_version
from closedloop.serving.deployment import load
from closedloop.serving.routing import Shadow
from closedloop.targets import Classes
from registered_digits import TESTED_FROM, Registry, digits

PATHS = Paths("digits")
TARGET = Classes(tuple(str(code) for code in range(10)))


@pytest.fixture
def engine(registry: Registry) -> Iterator[Engine]:
    opened = open_log(registry.params)
    yield opened
    opened.dispose()


def ask(
    engine: Engine,
    params: Params,
    rows: range,
    version: int,
    *,
    role: str = "champion",
    shadow: int | None = None,
    latency_ms: float = 1.0,
) -> list[str]:
    """Have a version answer some test examples, with another one in its shadow; send back their labels."""
    loaded, examples = load(params, version), digits(rows.start, rows.stop)
    records = loaded.predictor.preprocessor.encode(examples)
    ids = [new_id() for _ in records]
    writer = LogWriter(engine)
    rows_of_log = []
    for name, answer in zip(ids, loaded.predictor.answer(records), strict=True):
        found = (answer["class"], answer["confidence"], list(answer["probabilities"].values()))
        rows_of_log.append(Answer(name, now(), "digits", version, role, None, *found, latency_ms))
    asyncio.run(writer.write(rows_of_log))
    if shadow is not None:
        beside = Shadow(writer)
        assert beside.submit(load(params, shadow), ids, records)
        beside.close(20)
    writer.close()
    outcome = add_labels(engine, "digits", list(zip(ids, examples.column(LABEL).to_pylist(), strict=True)), TARGET)
    assert outcome.accepted == len(ids)
    return ids


def rows(count: int, start: int = 0) -> range:
    return range(TESTED_FROM + start, TESTED_FROM + start + count)


def duel(registry: Registry, champion: str, challenger: str, **tags: str) -> tuple[int, int]:
    versions = registry.add(champion), registry.add(challenger, **tags)
    aliases.promote(registry.params, versions[0])
    registry.point("challenger", versions[1])
    return versions


def test_a_better_challenger_in_shadow_becomes_champion_with_the_reason(registry: Registry, engine: Engine) -> None:
    weak, strong = duel(registry, "weak", "strong")
    ask(engine, registry.params, rows(150), weak, shadow=strong)
    judgement = judge(registry.params, PATHS)
    assert (judgement["verdict"], judgement["champion"]) == (PROMOTED, strong)
    assert judgement["comparison"]["low"] > 0 and judgement["comparison"]["examples"] == 150
    assert read_json(PATHS.report("judgement.json")) == judgement
    assert alias_version(registry.params, "champion") == strong
    assert alias_version(registry.params, "challenger") is None
    assert aliases.moves(registry.client, "digits")[-1].reason == judgement["reason"]
    tags = registry.client.get_model_version("digits", str(strong)).tags
    assert tags["verdict"] == PROMOTED and tags["reason"] == judgement["reason"]
    assert json.loads(tags["live_judgement"])["champion"] == weak  # whom it was compared with
    assert aliases.rollback(registry.params).version == weak


def test_a_worse_challenger_is_taken_off_the_traffic(registry: Registry, engine: Engine) -> None:
    strong, weak = duel(registry, "strong", "weak")
    ask(engine, registry.params, rows(150), strong, shadow=weak)
    judgement = judge(registry.params, PATHS)
    assert (judgement["verdict"], judgement["champion"]) == (REFUSED, strong)
    assert judgement["reason"].startswith("worse, and taken off the traffic: a gain of -0.")
    assert alias_version(registry.params, "champion") == strong
    assert alias_version(registry.params, "challenger") is None
    with pytest.raises(RegistryError, match="no challenger to judge"):
        judge(registry.params, PATHS)


def test_a_tie_keeps_the_champion_and_the_trial_goes_on(registry: Registry, engine: Engine) -> None:
    first, second = duel(registry, "strong", "strong")
    ask(engine, registry.params, rows(150), first, shadow=second)
    judgement = judge(registry.params, PATHS)
    assert (judgement["verdict"], judgement["champion"]) == (UNDECIDED, first)
    assert "a tie so far, which keeps the champion" in judgement["reason"]
    assert alias_version(registry.params, "challenger") == second


def test_too_little_evidence_is_none(registry: Registry, engine: Engine) -> None:
    weak, strong = duel(registry, "weak", "strong")
    needed = registry.params.gate.min_recent
    ask(engine, registry.params, rows(needed - 1), weak, shadow=strong)
    ask(engine, registry.params, rows(20), strong, role="canary")
    judgement = judge(registry.params, PATHS)
    assert (judgement["verdict"], judgement["champion"]) == (UNDECIDED, weak)
    assert (
        f"{needed - 1} labelled answers in its shadow, 20 as a canary beside 0 of the champion" in judgement["reason"]
    )


@pytest.mark.parametrize(
    ("champion", "challenger", "verdict"), [("weak", "strong", PROMOTED), ("strong", "weak", REFUSED)]
)
def test_a_canary_is_judged_on_its_share_of_the_traffic(
    registry: Registry, engine: Engine, champion: str, challenger: str, verdict: str
) -> None:
    old, new = duel(registry, champion, challenger)
    ask(engine, registry.params, rows(100), old)  # before there was a canary: another time, and no comparison
    ask(engine, registry.params, rows(50, 0), new, role="canary")
    ask(engine, registry.params, rows(300), old)
    ask(engine, registry.params, rows(50, 50), new, role="canary")
    judgement = judge(registry.params, PATHS)
    assert judgement["verdict"] == verdict
    assert "Newcombe" in judgement["comparison"]["method"] and "100 answers against 300" in judgement["reason"]
    assert alias_version(registry.params, "champion") == (new if verdict == PROMOTED else old)


def test_a_canary_that_cannot_answer_everything_is_not_promoted(registry: Registry, engine: Engine) -> None:
    weak, strong = duel(registry, "weak", "strong")
    ask(engine, registry.params, rows(1), weak, role="fallback")  # of an earlier trial
    ask(engine, registry.params, rows(50), strong, role="canary")
    ask(engine, registry.params, rows(300), weak)
    ask(engine, registry.params, rows(3), weak, role="fallback")
    ask(engine, registry.params, rows(50, 50), strong, role="canary")
    judgement = judge(registry.params, PATHS)
    assert (judgement["verdict"], judgement["champion"]) == (REFUSED, weak)
    assert "it could not answer 3 requests that the champion answered" in judgement["reason"]


def test_a_canary_that_is_slow_is_not_promoted(registry: Registry, engine: Engine) -> None:
    weak, strong = duel(registry, "weak", "strong")
    ask(engine, registry.params, rows(50), strong, role="canary")
    ask(engine, registry.params, rows(300), weak, latency_ms=1000)  # the champion's time is not the canary's
    ask(engine, registry.params, rows(30, 50), strong, role="canary")
    ask(engine, registry.params, rows(20, 80), strong, role="canary", latency_ms=1000)
    judgement = judge(registry.params, PATHS)
    assert (judgement["verdict"], judgement["champion"]) == (REFUSED, weak)
    assert "it is slow: 95th percentile of latency 1000.0 ms: 20.0% of 100 answers" in judgement["reason"]


def test_only_answers_of_these_two_versions_with_labels_that_hold_count(registry: Registry, engine: Engine) -> None:
    weak, strong = duel(registry, "weak", "strong")
    other = registry.add("weak")
    ask(engine, registry.params, rows(60), other, shadow=strong)  # of an earlier champion
    ask(engine, registry.params, rows(60), weak, shadow=other)  # of an earlier challenger
    ids = ask(engine, registry.params, rows(60), weak, shadow=strong)
    with engine.begin() as connection:
        connection.execute(update(LABELS).where(LABELS.c.prediction_id.in_(ids[:20])).values(partition="quarantined"))
        connection.execute(update(LABELS).where(LABELS.c.prediction_id.in_(ids[20:40])).values(partition="f" * 64))
    assert "40 labelled answers in its shadow" in judge(registry.params, PATHS)["reason"]


@pytest.mark.parametrize(("floors", "words"), [("accuracy 0.7 is not at least 0.9", "accuracy 0.7"), ("", "not known")])
def test_a_version_that_missed_a_floor_is_not_promoted(
    registry: Registry, engine: Engine, floors: str, words: str
) -> None:
    weak, strong = duel(registry, "weak", "strong", floors=floors)
    ask(engine, registry.params, rows(150), weak, shadow=strong)
    judgement = judge(registry.params, PATHS)
    assert (judgement["verdict"], judgement["champion"]) == (REFUSED, weak)
    assert words in judgement["reason"]
    assert alias_version(registry.params, "champion") == weak


def test_a_version_that_a_person_took_back_is_not_promoted(registry: Registry, engine: Engine) -> None:
    weak, strong = duel(registry, "weak", "strong")
    aliases.promote(registry.params, strong)
    aliases.rollback(registry.params)
    ask(engine, registry.params, rows(150), weak, shadow=strong)
    judgement = judge(registry.params, PATHS)
    assert (judgement["verdict"], judgement["champion"]) == (REFUSED, weak)
    assert f"`make promote VERSION={strong}`" in judgement["reason"]


def test_looking_again_costs_confidence_only_when_there_is_something_new(registry: Registry, engine: Engine) -> None:
    first, second = duel(registry, "strong", "strong")
    ask(engine, registry.params, rows(100), first, shadow=second)
    once, twice = judge(registry.params, PATHS), judge(registry.params, PATHS)
    assert (once["look"], twice["look"]) == (1, 1)
    assert once["comparison"] == twice["comparison"]
    ask(engine, registry.params, rows(20, 100), first, shadow=second)
    more = judge(registry.params, PATHS)
    assert more["look"] == 2
    assert more["comparison"]["confidence"] > once["comparison"]["confidence"] > registry.params.gate.confidence


def test_versions_with_other_classes_are_no_proof(registry: Registry, engine: Engine) -> None:
    weak, strong = duel(registry, "weak", "strong")
    ask(engine, registry.params, rows(100), weak, shadow=strong)
    file = registry.folder(strong) / "artifacts/preprocessor/target.json"
    file.write_text(file.read_text().replace('"9"', '"nine"'))
    registry.client.delete_model_version_tag("digits", str(strong), "digest")
    judgement = judge(registry.params, PATHS)
    assert (judgement["verdict"], judgement["champion"]) == (UNDECIDED, weak)
    assert "no proof: " in judgement["reason"]


def test_without_contestants_or_log_nothing_moves(registry: Registry, engine: Engine) -> None:
    with pytest.raises(RegistryError, match="no challenger to judge"):
        judge(registry.params, PATHS)
    weak, strong = duel(registry, "weak", "strong")
    ask(engine, registry.params, rows(100), weak, shadow=strong)
    registry.point("challenger", weak)
    with pytest.raises(RegistryError, match="is the champion already: `make unchallenge`"):
        judge(registry.params, PATHS)
    registry.point("challenger", strong)
    engine.dispose()
    for file in registry.root.glob("predictions.db*"):
        file.unlink()
    (registry.root / "predictions.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(LogError):
        judge(registry.params, PATHS)
    assert alias_version(registry.params, "champion") == weak


BETTER = Comparison("accuracy", 100, 0.9, 0.8, 0.1, 0.02, 0.18, 0.95, "by hand")
FIGURE = st.one_of(st.floats(-1, 1), st.just(float("nan")))


@given(FIGURE, FIGURE, FIGURE, st.floats(0, 0.5), st.sampled_from(["", "below a floor"]))
def test_only_a_proven_gain_without_an_obstacle_promotes(
    low: float, gain: float, high: float, min_gain: float, obstacle: str
) -> None:
    gate = ClassGate(target="classes", min_accuracy=0, min_macro_f1=0, min_class_recall=0, min_gain=min_gain)
    verdict, reason = decide(replace(BETTER, gain=gain, low=low, high=high), 1, gate, obstacle)
    proven = low <= gain <= high and low > min_gain and not obstacle
    assert (verdict == PROMOTED) == proven
    assert reason
