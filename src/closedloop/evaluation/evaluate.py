"""The one look at the test split: what the exported model says about it, measured, drawn and kept."""

from typing import Any

import pandas as pd

from closedloop.config import Params
from closedloop.data.examples import read_examples
from closedloop.errors import DataError
from closedloop.evaluation import classification, curves, figures
from closedloop.evaluation.baseline import against_baseline
from closedloop.evaluation.calibration import reliability
from closedloop.evaluation.latency import measure
from closedloop.evaluation.parts import part_names
from closedloop.evaluation.predictions import Predictions
from closedloop.evaluation.profile import profile
from closedloop.files import atomic, write_json, write_text
from closedloop.paths import Paths
from closedloop.serving.predictor import Predictor
from closedloop.tasks import get_task


def evaluate(params: Params, paths: Paths) -> dict[str, Any]:
    """Write predictions, reports, figures and the reference for drift; return the report.

    Raises DataError when model and task do not belong together, an answer is no probability, or a class is absent.
    """
    model = paths.model / "model.onnx"
    predictor = Predictor.load(model, paths.preprocessor)
    if predictor.classes != params.task.classes:
        raise DataError(
            f"{paths.preprocessor} was fitted for the classes {', '.join(predictor.classes)}, "
            f"task.classes are {', '.join(params.task.classes)}; run `dvc repro` from preprocess on"
        )
    task, config = get_task(params.task.kind), params.evaluation
    examples = read_examples(paths.examples("test"))
    found = Predictions.of(examples, predictor.probabilities(examples), predictor.classes)
    report = classification.report(params.task.name, found, part_names(examples), config)
    report["serving"] = measure(predictor, examples, model, paths.preprocessor)
    print("fitting the baseline on the training split", flush=True)
    baseline = task.baseline(read_examples(paths.examples("train")), examples, params)
    report["baseline"] = against_baseline(found, baseline, examples, config)
    calibration = reliability(found, config.calibration_bins, config.confidence)

    found.write(paths.predictions)
    write_json(paths.report("evaluation.json"), report)
    write_json(paths.report("metrics.json"), classification.flat(report))
    write_text(paths.report("calibration.csv"), calibration.to_csv(index=False, lineterminator="\n"))
    write_text(paths.report("confusion.csv"), _pairs(found).to_csv(index=False, lineterminator="\n"))
    reference = profile(task, examples, found.probabilities, found.classes)
    with atomic(paths.reference) as temporary:
        reference.to_parquet(temporary, index=False)
    figures.training_curves(paths.report("history.csv"), paths.figures / "training.png")
    figures.confusion(found, paths.figures / "confusion.png")
    figures.reliability(calibration, report, paths.figures / "reliability.png")
    figures.classes(report, paths.figures / "classes.png")
    curves.roc_and_precision(found, report, paths.figures / "curves.png")
    figures.mistakes(found, lambda row: task.look(examples, row), paths.figures / "mistakes.png")
    return report


def _pairs(found: Predictions) -> pd.DataFrame:
    """A row an example, as the confusion template of `dvc plots` wants it."""
    names = pd.Series(found.classes)
    return pd.DataFrame({"actual": names[found.labels].to_numpy(), "predicted": names[found.predicted].to_numpy()})
