"""The model card (Mitchell et al., "Model cards for model reporting", 2019) in Markdown."""

import html
import re
from typing import Any

from closedloop.config import Params
from closedloop.data.partitions import LISTED, Partition, read_list
from closedloop.evaluation.gate import Verdict
from closedloop.evaluation.wording import metric_name
from closedloop.files import read_json
from closedloop.paths import Paths


def model_card(params: Params, paths: Paths, version: int, verdict: Verdict, lineage: dict[str, str]) -> str:
    """What the model is, what it was trained on, how good it is and for whom, and where it came from."""
    evaluation = read_json(paths.report("evaluation.json"))
    training = read_json(paths.model / "training.json")
    prepared = read_json(paths.report("preprocess.json"))
    splits = prepared["splits"]
    metrics = [
        f"| {name.replace('_', ' ')} | {value['value']:.4f} | {value['low']:.4f} to {value['high']:.4f} |"
        for name, value in evaluation["metrics"].items()
    ]
    metric = evaluation["headline"]
    parts = [
        f"| {plain(row['part'])} | {row['examples']:,} | {row[metric]['value']:.4f} | "
        f"{row[metric]['low']:.4f} to {row[metric]['high']:.4f} |"
        for row in evaluation["parts"]
    ]
    checks = [
        f"| {check.name} | {'unknown' if check.found is None else f'{check.found:.6g}'} | {check.bound:g} | "
        f"{'met' if check.passed else 'not met'} |"
        for check in verdict.checks
    ]
    sections = [
        f"# {params.task.name}, version {version}",
        f"{plain(params.task.title)}: {training['parameters']:,} parameters, {_inputs(training['inputs'])}, "
        f"{_told(params)}." + _origin(training.get("transfer")),
        "## Data",
        f"Source: {plain(params.source.homepage)} (licence {plain(params.source.licence)}). "
        + ", ".join(f"{split} {part['examples']:,}" for split, part in splits.items())
        + ". The test split was used for this evaluation only; the production split for nothing before deployment."
        + _feedback(prepared["parts"], read_list(paths.raw / LISTED)),
        f"## Quality on the test split ({evaluation['confidence']:.0%} intervals)",
        "| metric | value | interval |\n|---|---|---|\n" + "\n".join(metrics),
        _baseline(evaluation["baseline"], metric),
        *(
            [
                f"| part of the data | test examples | {metric_name(metric)} | interval |\n|---|---|---|---|\n"
                + "\n".join(parts)
            ]
            if len(parts) > 1
            else []
        ),
        *([_by_class(evaluation["classes"])] if "classes" in evaluation else []),
        "## The gate's checks",
        "| check | found | bound | |\n|---|---|---|---|\n" + "\n".join(checks),
        "## Use and limits",
        _limits(evaluation),
        "## Lineage",
        "\n".join(f"- {key}: {value}" for key, value in lineage.items()),
    ]
    return "\n\n".join(sections) + "\n"


def _told(params: Params) -> str:
    others = {
        "number": "a number with an interval",
        "text": "how a text goes on, character by character",
        "image": "images that it makes out of noise",
        "action": f"what to do next: {', '.join(params.task.classes)}",
    }
    return others.get(params.task.target) or f"{len(params.task.classes)} classes"


def _by_part(lines: list[str], metric: str) -> str:
    head = f"| part of the data | test examples | {metric_name(metric)} | interval |\n|---|---|---|---|\n"
    return head + "\n".join(lines)


def _origin(transfer: dict[str, Any] | None) -> str:
    if not transfer:
        return ""
    learnt = "only the last layers were trained" if transfer["frozen"] else "all layers were trained further"
    return f" It began with the weights of {plain(transfer['weights'])}; {learnt}."


def _by_class(rows: list[dict[str, Any]]) -> str:
    lines = [
        f"| {plain(row['class'])} | {row['support']} | {row['precision']:.3f} | {row['recall']:.3f} | {row['f1']:.3f} |"
        for row in rows
    ]
    return "| class | examples | precision | recall | F1 |\n|---|---|---|---|---|\n" + "\n".join(lines)


def _limits(evaluation: dict[str, Any]) -> str:
    if evaluation["headline"] == "nats":
        return (
            "For texts like those of the source. What it writes sounds like them and means nothing: it knows no facts, "
            "and may repeat what stands in the training text word for word. Its surprise is measured on texts like the "
            "test split only; after a shift it rises, which the drift verdict tells."
        )
    if evaluation["headline"] == "energy_score":
        judge = evaluation["judge"]
        return (
            "Makes images like those of the source, of no person and no thing that is. What the source has seldom it "
            "makes seldom, or never: see the shares of the classes. How good they are is told by a classifier, "
            f"version {judge['version']} of {plain(judge['name'])}, which sees what it was trained to see and nothing "
            "else."
        )
    if evaluation["headline"] == "return":
        return (
            "Acts in a simulation. What it does where the physics are others, or observations come late or noisy, "
            "nothing here says; the drift verdict tells when the episodes look otherwise than they did."
        )
    if "classes" not in evaluation:
        held = evaluation["metrics"]["coverage"]["value"]
        return (
            f"For inputs like those of the source. Its intervals held {held:.1%} of the test split's true numbers; "
            "they are calibrated on data like that only, and are not to be trusted after a shift: watch the drift "
            "verdict. It tells a number for every input, also for one that lies beyond all that it was trained on."
        )
    worst = min(evaluation["classes"], key=lambda row: row["recall"])
    return (
        f"For inputs like those of the source. The class it recognises worst is {plain(worst['class'])} (recall "
        f"{worst['recall']:.3f}). It answers every input with one of its classes, also what is none of them; its "
        "confidence is calibrated on data like the test split only, and is not to be trusted after a shift: watch "
        "the drift verdict."
    )


def _baseline(baseline: dict[str, Any], metric: str) -> str:
    value, gain = baseline["metrics"][metric]["value"], baseline["gains"].get(metric)
    gained = "too few test examples for a comparison."
    if gain:
        gained = (
            f"this model gains {gain['gain']:+.4f} on it (interval {gain['low']:+.4f} to {gain['high']:+.4f}, pair by "
            "pair)."
        )
    simple = f"{plain(baseline['name'])}, {metric_name(metric)} {value:.4f}"
    return f"Baseline, with no more than the same training split to go by: {simple}; {gained}"


def _inputs(shapes: dict[str, list[int]]) -> str:
    return ", ".join(f"{plain(name)} {shape}" for name, shape in shapes.items())


def _feedback(parts: dict[str, dict[str, int]], partitions: list[Partition]) -> str:
    """A sentence on each partition of labelled feedback, for the section on data."""
    lines = [
        f"- {partition.name}: {partition.examples:,} labelled answers of version "
        f"{', '.join(map(str, partition.versions))} from {partition.first} to {partition.last}; train "
        f"{parts[partition.name]['train']:,}, validation {parts[partition.name]['validation']:,}, test "
        f"{parts[partition.name]['test']:,}, sha256 {partition.sha256}"
        for partition in partitions
        if partition.name in parts
    ]
    return "\n\nIn these splits, labelled feedback from production:\n\n" + "\n".join(lines) if lines else ""


def plain(text: str) -> str:
    """Text without meaning in Markdown or HTML: the card is shown in MLflow's pages."""
    return re.sub(r"([\\`*\[\]|])", r"\\\1", html.escape(text, quote=False))
