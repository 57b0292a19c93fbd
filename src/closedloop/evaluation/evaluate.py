"""The one look at the test split: what the exported model says about it, measured, drawn and kept."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from closedloop.config import Params
from closedloop.data.examples import read_examples
from closedloop.errors import DataError
from closedloop.evaluation import (
    classification,
    control,
    curves,
    figures,
    generation,
    language,
    outcome_report,
    regression,
    regression_figures,
)
from closedloop.evaluation.answers import Answers
from closedloop.evaluation.assessment import assess, assess_baseline, seen
from closedloop.evaluation.baseline import HEADLINES, against_baseline
from closedloop.evaluation.calibration import reliability
from closedloop.evaluation.judge import Judge
from closedloop.evaluation.latency import measure
from closedloop.evaluation.numbers import Numbers
from closedloop.evaluation.outcomes import ENERGY, RETURN, Outcomes
from closedloop.evaluation.parts import contents_digest, part_names
from closedloop.evaluation.predictions import Predictions
from closedloop.evaluation.profile import profile
from closedloop.files import atomic, write_json, write_text
from closedloop.paths import Paths
from closedloop.serving.predictor import Predictor
from closedloop.targets import Target, of_task
from closedloop.tasks import get_task

# by task.target: what is called loss in training and in validation, where these are two quantities
LOSSES = {
    "image": ("the discriminator's cross-entropy", "energy score"),
    "action": ("loss of a step", "share of the return missed"),
}
Look = Callable[[int], NDArray[np.uint8] | str]


def evaluate(params: Params, paths: Paths, judge: Judge | None = None) -> dict[str, Any]:
    """Write predictions, reports, figures and the reference for drift; return the report.

    `judge` is asked where images are made. Raises DataError when model and task do not belong together, an answer is
    none, or a class is absent.
    """
    model = paths.model / "model.onnx"
    predictor = Predictor.load(model, paths.preprocessor)
    _require_same_target(predictor, params, paths)
    task, config = get_task(params.task.kind), params.evaluation
    examples, training = read_examples(paths.examples("test")), read_examples(paths.examples("train"))
    found = assess(predictor, examples, params, judge, training)
    report = _report(params, found, examples)
    report["serving"] = measure(predictor, examples, model, paths.preprocessor)
    print("fitting the baseline on the training split", flush=True)
    baseline = task.baseline(training, examples, params)
    simple = assess_baseline(baseline, examples, predictor.target, judge, training)
    report["baseline"] = against_baseline(found, baseline.name, simple, config)

    found.write(paths.predictions)
    write_json(paths.report("evaluation.json"), report)
    asked = seen(predictor, examples, params)
    reference = profile(task, asked, predictor.answers(asked), predictor.target)
    with atomic(paths.reference) as temporary:
        reference.to_parquet(temporary, index=False)
    figures.training_curves(paths.report("history.csv"), paths.figures / "training.png", LOSSES.get(params.task.target))
    if isinstance(found, Outcomes):
        _show_outcomes(found, report, lambda row: task.look(examples, row), predictor, paths)
    elif isinstance(found, Numbers):
        _show_numbers(found, report, lambda row: task.look(examples, row), paths)
    else:
        _show_classes(found, report, lambda row: task.look(examples, row), params, paths)
    return report


def _report(params: Params, found: Answers, examples: pa.Table) -> dict[str, Any]:
    name, config, parts = params.task.name, params.evaluation, part_names(examples)
    if isinstance(found, Outcomes):
        report = outcome_report.report(name, found, parts, config, HEADLINES[found.metric])
        if found.metric == ENERGY:
            contents = get_task(params.task.kind).fingerprints(examples)
            report |= generation.facts(found.evidence, contents_digest(contents))
        return report
    if isinstance(found, Numbers):
        return regression.report(name, found, parts, config)
    return classification.report(name, found, parts, config)


def _show_classes(found: Predictions, report: dict[str, Any], look: Look, params: Params, paths: Paths) -> None:
    calibration = reliability(found, params.evaluation.calibration_bins, params.evaluation.confidence)
    write_json(paths.report("metrics.json"), classification.flat(report))
    _write_table(paths, "calibration.csv", calibration)
    _write_table(paths, "confusion.csv", _pairs(found))
    figures.confusion(found, paths.figures / "confusion.png")
    figures.reliability(calibration, report, paths.figures / "reliability.png")
    figures.classes(report, paths.figures / "classes.png")
    curves.roc_and_precision(found, report, paths.figures / "curves.png")
    figures.mistakes(found, look, paths.figures / "mistakes.png")


def _show_numbers(found: Numbers, report: dict[str, Any], look: Look, paths: Paths) -> None:
    calibration = regression.calibration(found)
    write_json(paths.report("metrics.json"), outcome_report.flat(report))
    _write_table(paths, "calibration.csv", calibration)
    _write_table(paths, "confusion.csv", regression.ranges(found))
    regression_figures.predicted(found, report, paths.figures / "predicted.png")
    regression_figures.residuals(found, report, paths.figures / "residuals.png")
    regression_figures.calibration(calibration, report, paths.figures / "calibration.png")
    regression_figures.mistakes(found, look, paths.figures / "mistakes.png")


def _show_outcomes(found: Outcomes, report: dict[str, Any], look: Look, predictor: Predictor, paths: Paths) -> None:
    write_json(paths.report("metrics.json"), outcome_report.flat(report))
    _write_table(paths, "calibration.csv", outcome_report.by_example(found))
    _write_table(paths, "confusion.csv", pd.DataFrame({"actual": [], "predicted": []}))
    if found.metric == ENERGY:
        generation.samples(found, report, paths.figures / "samples.png")
        generation.neighbours(found, paths.figures / "neighbours.png")
        generation.made_classes(report, paths.figures / "classes.png")
    elif found.metric == RETURN:
        control.returns(found, report, paths.figures / "returns.png")
        control.paths(found, paths.figures / "episodes.png")
    else:
        _show_passages(found, report, look, predictor, paths)


def _show_passages(found: Outcomes, report: dict[str, Any], look: Look, predictor: Predictor, paths: Paths) -> None:
    language.surprise(found, report, paths.figures / "surprise.png")
    begun = [str(look(row))[: language.BEGINNING] for row in range(min(language.SAMPLES, len(found.ids)))]
    written = [
        predictor.made({"prompt": text, "length": language.WRITTEN, "seed": seed})["text"]
        for seed, text in enumerate(begun)
    ]
    language.samples(list(zip(begun, written, strict=True)), paths.figures / "samples.png")
    told = [f"{text}|{more}" for text, more in zip(begun, written, strict=True)]
    write_text(paths.figures / "samples.txt", "\n\n-----\n\n".join(told) + "\n")


def _write_table(paths: Paths, name: str, table: pd.DataFrame) -> None:
    write_text(paths.report(name), table.to_csv(index=False, lineterminator="\n"))


def _require_same_target(predictor: Predictor, params: Params, paths: Paths) -> None:
    fitted, asked = _told(predictor.target), _told(of_task(params.task))
    if fitted != asked:
        raise DataError(
            f"{paths.preprocessor} was fitted for {fitted}, the task asks for {asked}; run `dvc repro` from "
            "preprocess on"
        )


def _told(target: Target) -> str:
    """What a model tells, with the names of classes or actions."""
    ((kind, content),) = target.to_json().items()
    return f"{kind} {', '.join(content)}" if isinstance(content, list) else kind


def _pairs(found: Predictions) -> pd.DataFrame:
    """A row an example, as the confusion template of `dvc plots` wants it."""
    names = pd.Series(found.classes)
    return pd.DataFrame({"actual": names[found.labels].to_numpy(), "predicted": names[found.predicted].to_numpy()})
