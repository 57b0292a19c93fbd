"""The report on a retraining: from a real git repository with the reports of digits, changed as a retraining would."""

import copy
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from closedloop.change_report import SHOWN, code, plain, report
from closedloop.config import Params, load
from closedloop.errors import ClosedLoopError, DataError
from closedloop.prediction_log import attempts
from closedloop.prediction_log.store import open_log

ROOT = Path(__file__).parents[1]
SHA = "1f" * 32
PARTITION = {
    "sha256": SHA,
    "examples": 400,
    "first": "2026-11-20T08:00:00Z",
    "last": "2026-11-23T09:30:00Z",
    "versions": [1],
    "source": "log",
}
EVALUATION = "reports/digits/evaluation.json"
REGISTRATION = "reports/digits/registration.json"


def git(*arguments: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@localhost"]
    subprocess.run(["git", *identity, *arguments], check=True, capture_output=True)


def before(content: dict[str, Any]) -> None:
    """Figures that the committed report may have had: which ones it has, depends on the processor."""
    content["metrics"]["accuracy"] = {"value": 0.9889, "low": 0.9717, "high": 0.9957, "method": "Wilson score"}
    content["metrics"]["log_loss"]["value"] = 0.05


@pytest.fixture
def params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    """A repository with one commit: the composed parameters, dvc.lock and the reports of digits."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CLOSEDLOOP_LOG_URI", raising=False)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    for name in ("params.yaml", "dvc.lock", "reports/digits"):
        source = ROOT / name
        Path(name).parent.mkdir(exist_ok=True)
        shutil.copytree(source, name) if source.is_dir() else shutil.copy(source, name)
    Path("partitions").mkdir()
    change("params.yaml", lambda content: content["task"].update(name="digits"))
    change(EVALUATION, before)
    git("init", "--quiet", "--initial-branch=main")
    git("add", "--all")
    git("commit", "--quiet", "--message=first")
    return load(Path("params.yaml"))


def change(file: str, edit: Any) -> None:
    """Edit a parsed JSON or YAML file."""
    path = Path(file)
    content = json.loads(path.read_text()) if path.suffix == ".json" else yaml.safe_load(path.read_text())
    edit(content)
    path.write_text(json.dumps(content) if path.suffix == ".json" else yaml.safe_dump(content, sort_keys=False))


def retrain(params: Params, **registration: Any) -> None:
    """What a promoted retraining leaves behind, in the working tree and in the log."""
    Path("partitions/digits.json").write_text(json.dumps([PARTITION]))
    new = {"version": 2, "champion": 2, "verdict": "promoted", "reasons": ["it wins on recent traffic"]}
    change(REGISTRATION, lambda content: content.update(new | registration))

    def evaluated(content: dict[str, Any]) -> None:
        content["examples"] = 519
        content["metrics"]["accuracy"] = {"value": 0.95, "low": 0.93, "high": 0.97, "method": "Wilson score"}
        content["metrics"]["log_loss"]["value"] = 0.01
        official = {"value": 0.98, "low": 0.96, "high": 0.99}
        recent = {"value": 0.9, "low": 0.85, "high": 0.93}
        content["parts"] = [
            {"part": "all", "examples": 359, "accuracy": official},
            {"part": "feedback-1f1f1f1f", "examples": 160, "accuracy": recent},
        ]

    change(EVALUATION, evaluated)
    change("params.yaml", lambda content: content["trainer"].update(max_epochs=12))
    change("reports/digits/preprocess.json", lambda content: content["splits"]["train"].update(examples=1046))

    def rerun(content: dict[str, Any]) -> None:
        stage = content["stages"]["preprocess@digits"]
        next(out for out in stage["outs"] if out["path"] == "data/digits/examples")["md5"] = "0" * 32

    change("dvc.lock", rerun)
    bounds = {"rows": 300, "version": 1, "start": "2026-11-22T00:00:00Z", "end": "2026-11-23T00:00:00Z"}
    window = {"verdict": "drift", "reasons": ["contrast has moved"], "window": bounds}
    change("reports/digits/drift.json", lambda content: content.update(window))
    engine = open_log(params)
    earlier = attempts.begin(engine, "digits", "by_hand", ["an earlier one"], 1)
    attempts.finish(engine, earlier, "refused", partition="2e" * 32)
    attempt = attempts.begin(engine, "digits", "drift", ["2 of the last 3 windows drifted"], 1)
    attempts.finish(engine, attempt, "promoted", partition=SHA, champion_after=2)


def section(text: str, name: str) -> str:
    return re.split(r"^## .*$", text.partition(f"## {name}\n")[2], maxsplit=1, flags=re.MULTILINE)[0].strip()


def test_where_nothing_has_changed_it_says_so(params: Params) -> None:
    text = report(params)
    assert text.startswith("# digits: no retraining\n")
    assert section(text, "Verdict") == "Nothing was registered; the champion is version 1."
    assert section(text, "Metrics on the test split") == "Unchanged."
    assert section(text, "Parameters") == "Unchanged."
    assert section(text, "Data").startswith("Unchanged")
    assert section(text, "Stages run") == "None: dvc.lock is unchanged."
    assert not Path("predictions.db").exists()  # looking makes no log


def test_a_retraining_is_told_with_its_reasons_and_its_figures(params: Params) -> None:
    retrain(params)
    text = report(params)
    assert text.splitlines()[0] == "# Retraining of digits: promoted"
    verdict = section(text, "Verdict")
    assert "2 of the last 3 windows drifted (drift, 20" in verdict
    assert "an earlier one" not in verdict
    assert "version 2 promoted; the champion is version 2" in verdict
    assert "- it wins on recent traffic" in verdict
    floor = next(check for check in json.loads(Path(REGISTRATION).read_text())["checks"] if check["name"] == "accuracy")
    assert f"| accuracy | yes | {plain(floor['reason'])} |" in verdict
    metrics = section(text, "Metrics on the test split")
    assert "| accuracy | 0.9889 (0.9717 to 0.9957) | 0.9500 (0.9300 to 0.9700) | -0.0389 (worse) |" in metrics
    assert re.search(r"\| log loss \| .* \| -0\.0\d+ \(better\) \|", metrics)
    assert re.search(r"\| macro f1 \| .* \| 0 \|", metrics)
    assert "| accuracy on feedback-1f1f1f1f | absent | 0.9000 (0.8500 to 0.9300) |  |" in metrics
    assert "different test splits (359 examples before, 519 after)" in metrics
    assert section(text, "Parameters").splitlines()[2:] == [
        "| <code>trainer.max&#95;epochs</code> | <code>60</code> | <code>12</code> |"
    ]
    data = section(text, "Data")
    assert "<code>1f1f1f1f</code>: 400 labelled examples, from 2026-11-20T08:00:00Z to 2026-11-23T09:30:00Z" in data
    assert "- train: 862 examples before, 1,046 after (+184)" in data
    assert section(text, "Window checked").splitlines() == [
        "Drift on 300 answers of version 1, 2026-11-22T00:00:00Z to 2026-11-23T00:00:00Z.",
        "",
        "- contrast has moved",
    ]
    stages = section(text, "Stages run").splitlines()[2:]
    assert stages == ["| preprocess | none | <code>data/digits/examples</code> |"]


def test_a_refused_one_names_the_champion_that_stays(params: Params) -> None:
    retrain(params, verdict="refused", champion=1, reasons=["a tie keeps the champion"])
    assert "version 2 refused; the champion is version 1" in report(params)


def test_it_can_be_made_later_against_any_commit(params: Params) -> None:
    retrain(params)
    uncommitted = report(params)
    git("add", "--all")
    git("commit", "--quiet", "--message=second")
    assert report(params, "HEAD~1") == uncommitted
    assert report(params).startswith("# digits: no retraining")


def test_a_first_run_has_nothing_before_it(params: Params) -> None:
    git("rm", "--quiet", "--cached", "-r", "reports", "dvc.lock")
    git("commit", "--quiet", "--message=without reports")
    text = report(params)
    assert section(text, "Metrics on the test split") == "Only one side holds an evaluation."
    assert "- train: 0 examples before, 862 after (+862)" in text
    assert "| evaluate |" in section(text, "Stages run")


@pytest.mark.parametrize("base", ["nowhere", "--help", "HEAD:dvc.lock", ""])
def test_what_is_no_commit_is_refused(params: Params, base: str) -> None:
    with pytest.raises(ClosedLoopError, match="names no commit here"):
        report(params, base)


def test_outside_git_it_says_what_lacks(params: Params) -> None:
    shutil.rmtree(".git")
    with pytest.raises(ClosedLoopError, match="in a git checkout"):
        report(params)


def test_a_damaged_file_is_named(params: Params) -> None:
    Path(EVALUATION).write_text("{")
    with pytest.raises(DataError, match=f"{EVALUATION} of the working tree is damaged"):
        report(params)


def test_a_password_in_an_address_stays_out(params: Params) -> None:
    uri = "postgresql://user:secret@host/predictions"
    change("params.yaml", lambda content: content["log"].update(uri=uri))
    text = report(params)
    assert "postgresql://host/predictions" in text
    assert "secret" not in text


HOSTILE = "a|b\n\n# <img src=x onerror=alert(1)> [x](http://x) @somebody #1 `c` **d** ![e](f) <!-- g -->"


def test_what_others_wrote_stays_text(params: Params) -> None:
    retrain(params, reasons=[HOSTILE])
    change("params.yaml", lambda content: content["task"].update(title=HOSTILE))
    change("reports/digits/drift.json", lambda content: content.update(reasons=[HOSTILE], verdict="drift"))
    text = report(params)
    bare = text.replace("<!-- -->", "").replace("<code>", "").replace("</code>", "")
    assert "<" not in bare
    assert not re.search(r"[@#]\w", re.sub(r"<code>.*?</code>", "", text))
    assert not re.search(r"(?<!\\)\]\(", text)
    rows = [line for line in text.splitlines() if line.startswith("| <code>task.title")]
    assert len(rows) == 1
    assert len(re.findall(r"(?<!\\)\|", rows[0])) == 4


def test_a_long_list_is_cut_so_that_a_pull_request_holds_it(params: Params) -> None:
    def many(content: dict[str, Any]) -> None:
        content["task"]["classes"] = [f"class {number} {'x' * 500}" for number in range(2000)]

    change("params.yaml", many)
    entries = [{**copy.deepcopy(PARTITION), "sha256": f"{number:064x}"} for number in range(500)]
    Path("partitions/digits.json").write_text(json.dumps(entries))
    text = report(params)
    assert f"- and {500 - SHOWN} more" in text
    assert len(text) < 65_536


@given(st.text())
def test_text_is_one_line_that_opens_nothing(text: str) -> None:
    for escaped in (plain(text), code(text)):
        assert len(escaped.splitlines()) <= 1
        assert not re.search(r"(?<!\\)(?:\\\\)*\|", escaped)
        assert "<" not in re.sub(r"</?code>|(?<=[@#])<!-- -->", "", escaped)
        assert not re.search(r"[@#]\w", re.sub(r"<code>.*</code>|&#\d+;", "", escaped))
