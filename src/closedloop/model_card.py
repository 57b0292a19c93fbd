"""The model card (Mitchell et al., "Model cards for model reporting", 2019) in Markdown."""

import html
import re

from closedloop.config import Params
from closedloop.evaluation.gate import Verdict
from closedloop.files import read_json
from closedloop.paths import Paths


def model_card(params: Params, paths: Paths, version: int, verdict: Verdict, lineage: dict[str, str]) -> str:
    """What the model is, what it was trained on, how good it is and for whom, and where it came from."""
    evaluation = read_json(paths.report("evaluation.json"))
    training = read_json(paths.model / "training.json")
    splits = read_json(paths.report("preprocess.json"))["splits"]
    metrics = [
        f"| {name.replace('_', ' ')} | {value['value']:.4f} | {value['low']:.4f} to {value['high']:.4f} |"
        for name, value in evaluation["metrics"].items()
    ]
    classes = [
        f"| {plain(row['class'])} | {row['support']} | {row['precision']:.3f} | {row['recall']:.3f} | {row['f1']:.3f} |"
        for row in evaluation["classes"]
    ]
    checks = [
        f"| {check.name} | {'unknown' if check.found is None else f'{check.found:.6g}'} | {check.bound:g} | "
        f"{'met' if check.passed else 'not met'} |"
        for check in verdict.checks
    ]
    worst = min(evaluation["classes"], key=lambda row: row["recall"])
    sections = [
        f"# {params.task.name}, version {version}",
        f"{plain(params.task.title)}: {training['parameters']:,} parameters, input {training['input_shape']}, "
        f"{len(params.task.classes)} classes.",
        "## Data",
        f"Source: {plain(params.source.homepage)} (licence {plain(params.source.licence)}). "
        + ", ".join(f"{split} {part['examples']:,}" for split, part in splits.items())
        + ". The test split was used for this evaluation only; the production split for nothing before deployment.",
        f"## Quality on the test split ({evaluation['confidence']:.0%} intervals)",
        "| metric | value | interval |\n|---|---|---|\n" + "\n".join(metrics),
        "| class | examples | precision | recall | F1 |\n|---|---|---|---|---|\n" + "\n".join(classes),
        "## The gate's checks",
        "| check | found | bound | |\n|---|---|---|---|\n" + "\n".join(checks),
        "## Use and limits",
        f"For inputs like those of the source. The class it recognises worst is {plain(worst['class'])} (recall "
        f"{worst['recall']:.3f}). It answers every input with one of its classes, also what is none of them; its "
        "confidence is calibrated on data like the test split only, and is not to be trusted after a shift: watch "
        "the drift verdict.",
        "## Lineage",
        "\n".join(f"- {key}: {value}" for key, value in lineage.items()),
    ]
    return "\n\n".join(sections) + "\n"


def plain(text: str) -> str:
    """Text without meaning in Markdown or HTML: the card is shown in MLflow's pages."""
    return re.sub(r"([\\`*\[\]|])", r"\\\1", html.escape(text, quote=False))
