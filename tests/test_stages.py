"""dvc.yaml: an edit of what a stage rests on runs it again."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from closedloop.tasks.schema import KINDS
from imported import PACKAGE, closure, within

ROOT = Path(__file__).parents[1]
STAGES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
KIND = "${task.kind}"
# what may change without any output of a stage changing, or changes it in ways that DVC sees without being told
ANYWHERE = {
    "config": "checks params.yaml: what a stage takes of it stands among its params",
    "data/schema.py": "the same",
    "networks/schema.py": "the same",
    "section.py": "the same",
    "tasks/schema.py": "the same",
    "errors.py": "says what went wrong",
    "files.py": "writes files whole or not at all",
    "paths.py": "where files are, which stands among deps and outs",
    "stage.py": "exit codes and the environment",
    "registry": "reaches what is registered, and records runs: neither is a file that DVC could watch",
    "targets/__init__.py": "chooses one of the targets",
    "tasks/__init__.py": "chooses one of the tasks",
    "tasks/base.py": "what every kind of task has, and the numbers of requests, of which no stage reads any",
}
RAW = dict.fromkeys(
    [f"data/{name}.py" for name in ("archives", "columns", "idx", "npz", "tables", "text_table", "times")],
    "raw files were read by validate and preprocess",
)
BY_STAGE = {
    "acquire": {"data/examples.py": "partitions are supplied by their sha256, and not read"},
    "validate": {"tasks/imbalance.py": "shifts what traffic sends"},
    "preprocess": {"tasks/imbalance.py": "shifts what traffic sends"},
    "train": {
        "evaluation/judge.py": "is asked for before a training, and judges after it",
        "tasks/images/pictures.py": "puts images side by side in a picture, which goes to MLflow",
    },
    "evaluate": {"tasks/imbalance.py": "shifts what traffic sends", **RAW},
    "traffic": {
        **RAW,
        **dict.fromkeys(
            [
                f"evaluation/{name}.py"
                for name in (
                    *("answers", "comparison", "figures", "generation", "intervals", "judge"),
                    *("outcome_report", "outcomes", "predictions"),
                )
            ],
            "judges and draws: of assessment what a policy comes through is asked alone, of parts a name",
        ),
        "monitoring/wording.py": "says what was done",
        **dict.fromkeys(
            [f"prediction_log/{name}.py" for name in ("checks", "clock", "schema", "store")],
            "reaches the log, which is no file that DVC could watch",
        ),
    },
    "monitor": {
        **dict.fromkeys(
            ["data", "evaluation/assessment.py", "serving", "targets", "tasks"], "traffic has asked the model"
        ),
        "evaluation/metrics.py": "of intervals that of a share is asked alone",
        "evaluation/outcomes.py": "names columns of what traffic has written",
        "evaluation/predictions.py": "of intervals that of a share is asked alone",
        "evaluation/profile.py": "names columns of what traffic has written",
        "prediction_log": "keeps the verdict",
    },
}
WATCHED = [name for name, stage in STAGES.items() if not stage.get("always_changed")]  # register asks its receipt


@pytest.mark.parametrize("name", WATCHED)
@pytest.mark.parametrize("kind", KINDS)
def test_a_stage_depends_on_the_code_that_it_rests_on(name: str, kind: str) -> None:
    deps = [dep.replace(KIND, kind) for dep in STAGES[name]["deps"]]
    beyond = {*ANYWHERE, *BY_STAGE.get(name, ())}
    if deps != STAGES[name]["deps"]:  # that of other kinds is not run then
        beyond |= {f"tasks/{other}" for other in KINDS if other != kind}
    needed = {f"src/closedloop/{file}" for file in closure(run_by(name, kind), beyond) if not empty(PACKAGE / file)}
    assert not [file for file in sorted(needed) if not within(file, deps)]
    assert STAGES[name]["cmd"].split()[1] in deps


@pytest.mark.parametrize("name", WATCHED)
def test_no_exception_is_needless_and_would_hide_what_is_added_later(name: str) -> None:
    reached = closure({file for kind in KINDS for file in run_by(name, kind)})
    assert not [place for place in BY_STAGE.get(name, ()) if not any(within(file, [place]) for file in reached)]


def run_by(stage: str, kind: str) -> set[Path]:
    """The script of a stage, and the modules of a kind of task where it chooses one."""
    files = {ROOT / STAGES[stage]["cmd"].split()[1]}
    if any(KIND in dep for dep in STAGES[stage]["deps"]):
        files |= set((PACKAGE / "tasks" / kind).glob("*.py"))
    return files


def empty(file: Path) -> bool:
    """Whether a module is no more than its docstring."""
    return file.read_text().count("\n") <= 1
