"""Traffic and check as the stages run them, on files."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from closedloop.composition import compose
from closedloop.config import Params, parse
from closedloop.data.examples import write_examples
from closedloop.errors import DataError
from closedloop.files import read_json, write_json
from closedloop.monitoring import monitor
from closedloop.monitoring.traffic import draw_window, read_profile, send
from closedloop.paths import Paths

CONF = Path(__file__).parents[2] / "conf"
ATTACK = "</script><script>alert(1)</script>"


@dataclass(frozen=True)
class Champion:
    version: int
    predictor: Any


def params(*overrides: str) -> Params:
    return parse(compose("digits", overrides, CONF), "conf")


@pytest.fixture
def project(answered: Any, tmp_path: Path) -> Paths:
    paths = Paths("digits", tmp_path)
    write_examples(paths.examples("production"), answered.production)
    write_examples(paths.examples("test"), answered.test)
    paths.reports.mkdir(parents=True)
    answered.reference.to_parquet(paths.reference, index=False)
    write_json(paths.report("registration.json"), {"version": 3})
    return paths


def run(project: Paths, answered: Any, *overrides: str) -> dict[str, Any]:
    config = params(*overrides)
    send(config, project, Champion(3, answered.predictor))
    return monitor.check(config, project)


def test_a_clean_window_ends_clean_with_everything_written(project: Paths, answered: Any) -> None:
    report = run(project, answered, "traffic.seed=1")
    assert report["verdict"] == "clean"
    assert report["window"] == {
        "rows": 300,
        "scenario": "none",
        "severity": 0,
        "seed": 1,
        "first_id": report["window"]["first_id"],
        "last_id": report["window"]["last_id"],
        "version": 3,
    }
    assert read_json(project.report("drift.json")) == json.loads(json.dumps(report))
    assert "NaN" not in project.report("drift.json").read_text()
    assert project.report("drift.png").read_bytes().startswith(b"\x89PNG")
    columns = pd.read_csv(project.report("drift_columns.csv"))
    assert list(columns) == ["column", "effect", "threshold", "drifted"]
    assert len(columns) == len(report["columns"]) == round(0.02 / report["alpha"])
    assert len(monitor.headline(report).splitlines()) == 2
    assert all(np.isfinite(value) for value in monitor.figures(report).values())
    assert monitor.figures(report)["drift/alarm"] == 0


def test_a_shifted_window_ends_with_drift_and_its_reasons(project: Paths, answered: Any) -> None:
    report = run(project, answered, "traffic.scenario=noise", "traffic.severity=4")
    assert (report["verdict"], report["window"]["severity"]) == ("drift", 4)
    assert "shifted by noise 4" in monitor.headline(report)
    assert any("columns have moved: " in reason for reason in report["reasons"])
    assert monitor.figures(report)["drift/alarm"] == 1
    page = project.report("drift.html").read_text()
    assert "<title>digits: drift</title>" in page
    assert report["verdict"] in page[:200_000]


def test_hostile_names_and_values_stay_text_on_the_page(project: Paths, answered: Any) -> None:
    send(params(), project, Champion(3, answered.predictor))
    for path in (project.traffic, project.champion_reference):
        frame = pd.read_parquet(path)
        frame[f"{ATTACK}\n$x$"] = 1.0
        frame.to_parquet(path, index=False)
    window = pd.read_parquet(project.traffic)
    window.loc[:99, "prediction"] = ATTACK
    window.to_parquet(project.traffic, index=False)
    report = monitor.check(params(), project)
    assert report["unseen"][0]["alarm"]
    assert "<script>alert" not in project.report("drift.html").read_text()


def test_the_same_params_give_the_same_window_and_another_seed_another(project: Paths, answered: Any) -> None:
    champion = Champion(3, answered.predictor)
    first, again, other = (
        send(params("traffic.scenario=occlusion", f"traffic.seed={seed}"), project, champion) for seed in (1, 1, 2)
    )
    pd.testing.assert_frame_equal(first, again)
    assert list(first["id"]) != list(other["id"])


def test_a_window_is_a_draw_without_replacement_in_the_order_of_the_examples(answered: Any) -> None:
    drawn = draw_window(answered.production, 50, np.random.default_rng(0)).column("id").to_pylist()
    everything = answered.production.column("id").to_pylist()
    assert len(set(drawn)) == 50
    assert drawn == [name for name in everything if name in set(drawn)]


def test_a_pool_smaller_than_the_window_is_used_whole_and_said(
    project: Paths, answered: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    window = send(params("traffic.window=5000"), project, Champion(3, answered.predictor))
    assert len(window) == answered.production.num_rows
    assert "traffic.window asks for 5000 examples, the production split holds 397" in capsys.readouterr().err


def test_another_version_than_the_evaluated_one_is_held_against_its_own_answers(project: Paths, answered: Any) -> None:
    class Cautious:
        target = answered.predictor.target

        def answers(self, examples: Any) -> Any:
            """The same answers with half the confidence."""
            return 0.5 * answered.predictor.answers(examples) + 0.05

    evaluated = pd.read_parquet(project.reference)
    send(params(), project, Champion(3, answered.predictor))
    pd.testing.assert_frame_equal(pd.read_parquet(project.champion_reference), evaluated)
    send(params("traffic.seed=1"), project, Champion(2, Cautious()))
    again = pd.read_parquet(project.champion_reference)
    assert again["confidence"].mean() < 0.6 < evaluated["confidence"].mean()
    assert list(again["id"]) == list(evaluated["id"])
    assert monitor.check(params("traffic.seed=1"), project)["verdict"] == "clean"


def test_labelled_feedback_is_no_reference_for_production_examples(project: Paths, answered: Any) -> None:
    """After a retraining the test split holds the changed world too; the production examples are of the one before."""
    reference = pd.read_parquet(project.reference)
    changed = answered.window("contrast", 5, 0).assign(id=[f"feedback-0a1b2c3d-{row:06d}" for row in range(300)])
    pd.concat([reference, changed]).to_parquet(project.reference, index=False)
    assert run(project, answered, "traffic.seed=1")["verdict"] == "clean"
    assert list(pd.read_parquet(project.champion_reference)["id"]) == list(reference["id"])


def test_a_file_that_is_no_profile_is_named(project: Paths, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"traffic.parquet is missing"):
        read_profile(project.traffic)
    pd.DataFrame({"id": ["a"]}).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(DataError, match="is no profile: it lacks label"):
        read_profile(tmp_path / "other.parquet")
