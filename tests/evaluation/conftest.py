"""A trained project without torch: logistic regression on the scanned digits, written as an ONNX graph."""

from collections.abc import Callable
from pathlib import Path

import pytest
from digits_project import Project, digits, write_linear_model
from sklearn.linear_model import LogisticRegression

from closedloop.composition import compose
from closedloop.config import Params, parse
from closedloop.data.examples import LABEL, write_examples
from closedloop.files import write_text
from closedloop.paths import Paths
from closedloop.targets import of_task, save_target
from closedloop.tasks import get_task

CONF = Path(__file__).parents[2] / "conf"
HISTORY = "epoch,train/loss,train/accuracy,val/loss,val/accuracy,lr\n1,1,0.7,0.5,0.9,0.01\n2,0.5,0.8,0.2,0.95,0\n"


@pytest.fixture(scope="session")
def params() -> Params:
    return parse(compose("digits", conf=CONF), "conf")


@pytest.fixture(scope="session")
def make_project(params: Params) -> Callable[[Path], Project]:
    task = get_task("images")
    train, test = digits(slice(0, 1200)), digits(slice(1200, 1500))
    preprocessor = task.fit(train, params)
    inputs = preprocessor.transform(train)["inputs"]
    model = LogisticRegression(max_iter=200).fit(inputs.reshape(len(inputs), -1), train.column(LABEL).to_pylist())

    def make(root: Path) -> Project:
        paths = Paths("digits", root)
        write_examples(paths.examples("train"), train)
        write_examples(paths.examples("test"), test)
        preprocessor.save(paths.preprocessor)
        save_target(of_task(params.task), paths.preprocessor)
        write_text(paths.report("history.csv"), HISTORY)
        write_linear_model(paths.model / "model.onnx", model.coef_.T, model.intercept_, inputs.shape[1:])
        return Project(params, paths, test)

    return make
