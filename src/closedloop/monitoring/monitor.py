"""One check of a window against the reference: verdict, page, picture, and the figures for MLflow."""

import base64
import html
import re
from pathlib import Path
from typing import Any

import pandas as pd

from closedloop.config import Params
from closedloop.data.examples import ID
from closedloop.evaluation.profile import VERSION
from closedloop.files import write_json, write_text
from closedloop.monitoring import drift, evidently_report, figure, quality, service
from closedloop.monitoring.performance import estimate_quality
from closedloop.monitoring.traffic import read_facts, read_profile
from closedloop.monitoring.wording import left_out_in_words, rows_in_words
from closedloop.paths import Paths

COLOURS = {"clean": "#1e7d34", "drift": "#c0392b", "too_few_rows": "#8a6d00"}


def check(params: Params, paths: Paths) -> dict[str, Any]:
    """Judge the window; write drift.json, drift.html, drift.png and drift_columns.csv; return the report.

    Raises DataError when reference and window cannot be compared.
    """
    reference, window = read_profile(paths.champion_reference), read_profile(paths.traffic)
    found = evidently_report.compare(reference, window, params.monitor)
    estimate = estimate_quality(reference, window, params.monitor)
    judged = drift.judge(reference, window, found.p_values, estimate, params.monitor)
    judged["drifted"], judged["judged"] = judged["verdict"] == "drift", judged["verdict"] != "too_few_rows"
    facts = read_facts(paths.traffic)
    if facts:
        requests = {int(status): count for status, count in facts["requests"].items()}
        judged = with_service(judged, service.judge_service(window[service.LATENCY], requests, params.monitor))
    report = {
        "verdict": judged["verdict"],
        "reasons": judged["reasons"],
        "window": _window(params, window, facts),
        **judged,
    }
    figure.draw(report, paths.report("drift.png"))
    write_text(
        paths.report("drift.html"), page(report, params.task.name, paths.report("drift.png").read_bytes(), found.html)
    )
    columns = pd.DataFrame(report["columns"], columns=["name", "effect", "min_effect", "drifted"])
    columns.columns = pd.Index(["column", "effect", "threshold", "drifted"])
    write_text(paths.report("drift_columns.csv"), columns.to_csv(index=False, lineterminator="\n"))
    write_json(paths.report("drift.json"), report)
    return report


def artifacts(paths: Paths) -> list[Path]:
    """The files of a check that are kept with its figures."""
    return [paths.report(name) for name in ("drift.json", "drift.html", "drift.png")]


def with_service(judged: dict[str, Any], served: dict[str, Any]) -> dict[str, Any]:
    """The verdict with what is said of the server: its alarms count also where the rows are too few to judge.

    `drifted` goes on to say whether the model itself gave a reason, and `judged` whether it could be judged: to retrain
    it mends no slow or failing server.
    """
    alarms = service.reasons(served)
    verdict = "drift" if alarms else judged["verdict"]
    return {**judged, "verdict": verdict, "reasons": [*judged["reasons"], *alarms], "service": served}


def _window(params: Params, window: pd.DataFrame, facts: dict[str, Any] | None) -> dict[str, Any]:
    config = params.traffic
    sample = {
        "rows": len(window),
        "first_id": str(window[ID].iloc[0]),
        "last_id": str(window[ID].iloc[-1]),
        "version": int(window[VERSION].iloc[0]),
    }
    if facts:
        return {**sample, "start": facts["start"], "end": facts["end"], "left_out": facts["left_out"]}
    severity = 0 if config.scenario == "none" else config.severity
    return {**sample, "scenario": config.scenario, "severity": severity, "seed": config.seed}


def figures(report: dict[str, Any]) -> dict[str, float]:
    """The figures of a report that are worth following over time, by MLflow metric name."""
    columns = report["columns"]
    metrics = {
        "drift/alarm": float(report["verdict"] == "drift"),
        "drift/too_few_rows": float(report["verdict"] == "too_few_rows"),
        "drift/rows": float(report["window"]["rows"]),
        "drift/drifted_columns": float(sum(column["drifted"] for column in columns)),
    }
    for prefix in ("", quality.ESTIMATED):
        if known := quality.in_report(report, prefix):
            metric, figure = known
            for part in ("value", "low", "high"):
                metrics[f"drift/{prefix}{metric}" + ("" if part == "value" else f"_{part}")] = figure[part]
    for column in columns:
        if column["effect"] is not None:  # MLflow refuses names with other characters
            metrics["drift/effect/" + re.sub(r"[^\w .-]", "_", column["name"])] = column["effect"]
    return {**metrics, **service.figures(report["service"])} if "service" in report else metrics


def headline(report: dict[str, Any]) -> str:
    """The verdict in two lines."""
    window, reasons = report["window"], report["reasons"]
    seen = []
    for prefix in ("", quality.ESTIMATED):
        if known := quality.in_report(report, prefix):
            value, low, high = (quality.number(known[0], known[1][key]) for key in ("value", "low", "high"))
            name = "estimated without labels" if prefix else quality.in_words(known[0])
            seen.append(f"{name} {value} [{low}, {high}]")
    seen += service.in_words(report["service"]) if "service" in report else []
    what = f"{report['verdict'].replace('_', ' ')}: {rows_in_words(window)}, version {window['version']}"
    why = "; ".join(reasons) or f"none of {len(report['columns'])} columns has moved"
    left_out = left_out_in_words(window)
    return f"{', '.join([what, *seen])}\n{why}" + (f" ({left_out})" if left_out else "")


def page(report: dict[str, Any], task: str, picture: bytes, evidently: str) -> str:
    """Evidently's page with the verdict above it: its own marks know p-values, but neither effect sizes nor counts."""
    verdict, (first, _, second) = report["verdict"], html.escape(headline(report)).partition("\n")
    header = (
        '<body><header style="font:16px/1.5 system-ui,sans-serif;max-width:72rem;margin:1.5rem auto;padding:0 1.5rem">'
        f'<h1 style="color:{COLOURS[verdict]};margin:0">{verdict.replace("_", " ")}</h1><p>{first}</p><p>{second}</p>'
        f'<img alt="effect size by column" style="max-width:100%" '
        f'src="data:image/png;base64,{base64.b64encode(picture).decode()}">'
        f"<p>A column has drifted when its difference is significant at {report['alpha']:.2g} (the false-alarm rate of "
        "a window over the number of columns) and at least as large as the configuration asks for. Below, Evidently "
        "shows the distributions; it marks a column as soon as its difference is significant.</p></header>"
    )
    title = f"<head><title>{html.escape(task)}: {verdict.replace('_', ' ')}</title>"
    return evidently.replace("<head>", title, 1).replace("<body>", header, 1)
