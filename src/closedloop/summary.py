"""The short table that a finished run ends with."""

from typing import Any

from closedloop.config import Params
from closedloop.errors import DataError
from closedloop.evaluation.wording import figure, headline, metric_name
from closedloop.files import read_json
from closedloop.monitoring.quality import in_report
from closedloop.monitoring.wording import rows_in_words
from closedloop.paths import Paths
from closedloop.registry.store import CHAMPION
from closedloop.registry.watch import alias_version


def summarise(params: Params, paths: Paths) -> str:
    """What the last run came to: data, score, model, drift, and where to look next.

    Raises DataError when the pipeline has not been run to its end, RegistryError when the registry does not answer.
    """
    reports: dict[str, Any] = {}
    for name in ("preprocess", "evaluation", "registration", "drift"):
        file = paths.report(f"{name}.json")
        if not file.is_file():
            raise DataError(f"{file} is missing: `make run` has not come to its end for {params.task.name} yet")
        reports[name] = read_json(file)
    rows = [
        ("data", _data(params, reports["preprocess"])),
        ("score", _score(reports["evaluation"])),
        ("model", _model(params, reports["registration"])),
        ("drift", _drift(reports["drift"])),
        ("look", f"make ui (runs, figures, model) · {paths.reports}/drift.html · {paths.reports}/validation.html"),
    ]
    return "\n" + "\n".join(f"  {name:6} {text}" for name, text in rows) + "\n"


def _data(params: Params, report: dict[str, Any]) -> str:
    counts = ", ".join(f"{split} {part['examples']:,}" for split, part in report["splits"].items())
    return f"{params.task.title}: {counts}"


def _score(report: dict[str, Any]) -> str:
    metric, found = headline(report)
    value, low, high = (figure(metric, found[key]) for key in ("value", "low", "high"))
    r2 = f", R2 {report['metrics']['r2']['value']:.3f}" if "r2" in report["metrics"] else ""
    simple = figure(metric, report["baseline"]["metrics"][metric]["value"])
    return (
        f"test {metric_name(metric)} {value} ({report['confidence']:.0%} interval {low} to {high}){r2}; "
        f"{report['baseline']['name']}: {simple}"
    )


def _model(params: Params, report: dict[str, Any]) -> str:
    champion, name, version = alias_version(params, CHAMPION), params.task.name, report["version"]
    if champion is None:  # a fresh clone has the receipt of somebody else's registry
        return f"{name} has no champion in this registry; `make run` registers one"
    if champion != report["champion"]:  # since then a person or a retraining has moved the alias
        return f"{name} version {champion} is the champion by now; the last run came to version {version}"
    alias = "champion" if champion == version else f"not champion, which stays version {champion}"
    return f"{name} version {version}: {alias} ({report['reasons'][0]})"


def _drift(report: dict[str, Any]) -> str:
    known = in_report(report)
    seen = f", {metric_name(known[0])} there {figure(known[0], known[1]['value'])}" if known else ""
    why = f": {report['reasons'][0]}" if report["reasons"] else ""
    return f"{report['verdict'].replace('_', ' ')} on {rows_in_words(report['window'])}{seen}{why}"
