"""What a retraining has changed, in Markdown: the body of a pull request, the summary of a job."""

import html
import json
import re
from typing import Any

from closedloop.composition import differences
from closedloop.config import Params
from closedloop.evaluation.wording import headline
from closedloop.prediction_log.attempts import Attempt, recent
from closedloop.prediction_log.clock import to_text
from closedloop.prediction_log.store import log_uri, open_log
from closedloop.registry.store import sqlite_file
from closedloop.snapshot import Snapshot, committed, working_tree

LOWER_IS_BETTER = ("log_loss", "calibration_error", "mae", "rmse", "interval_width")
SHOWN = 30  # rows of a list; a pull request's body holds 65,536 characters
LENGTH = 100  # characters of a value


def report(params: Params, base: str = "HEAD") -> str:
    """Compare the working tree with a commit: verdict, metrics, parameters, data and stages, in Markdown.

    Raises ClosedLoopError when `base` is no commit, DataError when a file of either side is damaged, LogError when the
    prediction log cannot be read.
    """
    task = params.task.name
    return compare(task, committed(task, base), working_tree(task), _attempts(params))


def compare(task: str, before: Snapshot, after: Snapshot, attempts: list[Attempt]) -> str:
    """The report on two snapshots; an attempt belongs to the change when its partition is new in it."""
    known = {partition["sha256"] for partition in before.partitions}
    new = [partition for partition in after.partitions if partition["sha256"] not in known]
    shas = {partition["sha256"] for partition in new}
    attempt = max((a for a in attempts if a.partition in shas), key=lambda a: a.started, default=None)
    outcome = after.registration.get("verdict") if attempt is None else attempt.outcome
    registered = before.registration != after.registration
    title = f"Retraining of {task}: {outcome}" if new else f"{task}: no retraining"
    sections = {
        "Verdict": _verdict(after.registration, attempt, registered or bool(new)),
        "Metrics on the test split": _metrics(before, after),
        "Parameters": _parameters(before.params, after.params),
        "Data": _data(before, after, new),
        "Window checked": _window(after.drift),
        "Stages run": _stages(before.stages, after.stages),
    }
    return f"# {title}\n\n" + "\n\n".join(f"## {name}\n\n{text}" for name, text in sections.items()) + "\n"


def _verdict(registration: dict[str, Any], attempt: Attempt | None, registered: bool) -> str:
    lines = []
    if attempt is not None:
        lines += [f"**Why:** {plain('; '.join(attempt.reasons))} ({attempt.trigger}, {to_text(attempt.started)})", ""]
    if not registration:
        return "\n".join([*lines, "No model has been registered."])
    champion = registration["champion"]
    if not registered:
        return "\n".join([*lines, f"Nothing was registered; the champion is {_version(champion)}."])
    lines += [
        f"**Decided:** {_version(registration['version'])} {plain(registration['verdict'])}; "
        f"the champion is {_version(champion)}.",
        "",
        *(f"- {plain(reason)}" for reason in registration["reasons"]),
    ]
    checks = [
        f"| {plain(check['name'])} | {'yes' if check['passed'] else '**no**'} | {plain(check['reason'])} |"
        for check in registration["checks"]
    ]
    return "\n".join([*lines, "", _table("check | passed | found", checks)])


def _version(version: int | None) -> str:
    return "nobody" if version is None else f"version {version}"


def _metrics(before: Snapshot, after: Snapshot) -> str:
    old, new = before.evaluation, after.evaluation
    if not old or not new:
        return f"{'Neither side holds' if not old and not new else 'Only one side holds'} an evaluation."
    if old["metrics"] == new["metrics"] and old["examples"] == new["examples"]:
        return "Unchanged."
    rows, earlier = [], _intervals(old)
    for name, found in _intervals(new).items():
        was = earlier.get(name)
        change = "" if was is None else _change(name, found["value"] - was["value"])
        rows.append(f"| {plain(name.replace('_', ' '))} | {_interval(was)} | {_interval(found)} | {change} |")
    table = _table(f"metric ({new['confidence']:.0%} interval) | before | after | difference", rows)
    if _examples(before) == _examples(after):
        return table
    return (
        f"{table}\n\nMeasured on different test splits ({old['examples']:,} examples before, {new['examples']:,} "
        "after): whether the model has become better is said by the gate's checks above, not by these differences."
    )


def _intervals(evaluation: dict[str, Any]) -> dict[str, dict[str, float]]:
    """The metrics by name, and the one that heads them on each part of the data."""
    metric = headline(evaluation)[0]
    parts = {f"{metric} on {row['part']}": row[metric] for row in evaluation.get("parts", [])}
    return {**evaluation["metrics"], **parts}


def _change(name: str, difference: float) -> str:
    if abs(difference) < 0.00005:
        return "0"
    better = (difference < 0) == (name.partition(" on ")[0] in LOWER_IS_BETTER)
    return f"{difference:+.4f} ({'better' if better else 'worse'})"


def _interval(found: dict[str, float] | None) -> str:
    return "absent" if found is None else f"{found['value']:.4f} ({found['low']:.4f} to {found['high']:.4f})"


def _examples(state: Snapshot) -> Any:
    """The hash of the splits, from dvc.lock."""
    outs = state.stages.get("preprocess", {}).get("outs", [])
    return [out.get("md5") for out in outs if out["path"].endswith("/examples")]


def _parameters(before: dict[str, Any], after: dict[str, Any]) -> str:
    found = differences(before, after)
    rows = [f"| {code(key)} | {code(_value(was))} | {code(_value(now))} |" for key, was, now in found]
    return _table("parameter | before | after", rows) if rows else "Unchanged."


def _value(value: Any) -> str:
    text = "none" if value is None else json.dumps(value, ensure_ascii=False)
    return re.sub(r"://[^/@\s]*@", "://", text)  # no user name, no password


def _data(before: Snapshot, after: Snapshot, new: list[dict[str, Any]]) -> str:
    lines = [
        f"- partition {code(partition['sha256'][:8])}: {partition['examples']:,} labelled examples"
        + (f", from {plain(partition['first'])} to {plain(partition['last'])}" if partition.get("first") else "")
        for partition in new
    ]
    kept = {partition["sha256"] for partition in after.partitions}
    lines += [f"- partition {code(p['sha256'][:8])} taken out" for p in before.partitions if p["sha256"] not in kept]
    for split in dict.fromkeys((*before.splits, *after.splits)):
        was, now = (state.splits.get(split, {}).get("examples", 0) for state in (before, after))
        if was != now:
            lines.append(f"- {plain(split)}: {was:,} examples before, {now:,} after ({now - was:+,})")
    return _listed(lines) if lines else "Unchanged: no new partition, and splits of the same sizes."


def _window(drift: dict[str, Any]) -> str:
    if not drift:
        return "None."
    reasons = [f"- {plain(reason)}" for reason in drift["reasons"]]
    window = drift["window"]
    bounds = f", {plain(window['start'])} to {plain(window['end'])}" if "start" in window else ""
    verdict = plain(drift["verdict"].replace("_", " ")).capitalize()
    found = f"{verdict} on {window['rows']:,} answers of version {window['version']}{bounds}."
    return "\n".join([found, "", *reasons]).rstrip()


def _stages(before: dict[str, Any], after: dict[str, Any]) -> str:
    rows = []
    for name in dict.fromkeys((*before, *after)):
        was, now = before.get(name, {}), after.get(name, {})
        if was != now:
            inputs = [key for key, _, _ in differences(_inputs(was), _inputs(now))]
            outs = [key for key, _, _ in differences(_hashes(was, "outs"), _hashes(now, "outs"))]
            rows.append(f"| {plain(name)} | {_paths(inputs)} | {_paths(outs)} |")
    return _table("stage | inputs changed | outputs changed", rows) if rows else "None: dvc.lock is unchanged."


def _inputs(stage: dict[str, Any]) -> dict[str, Any]:
    params = {key: value for values in stage.get("params", {}).values() for key, value in values.items()}
    return {**_hashes(stage, "deps"), **params, "the command": stage.get("cmd")}


def _hashes(stage: dict[str, Any], kind: str) -> dict[str, Any]:
    return {entry["path"]: entry.get("md5") for entry in stage.get(kind, [])}


def _paths(paths: list[str]) -> str:
    more = f" and {len(paths) - 5} more" if len(paths) > 5 else ""
    return ", ".join(code(path) for path in paths[:5]) + more if paths else "none"


def _table(head: str, rows: list[str]) -> str:
    return f"| {head} |\n|{'---|' * (head.count('|') + 1)}\n{_listed(rows, '| … | and {} more |')}"


def _listed(lines: list[str], more: str = "- and {} more") -> str:
    left = len(lines) - SHOWN
    return "\n".join([*lines[:SHOWN], more.format(left)] if left > 0 else lines)


def plain(text: str) -> str:
    """One line of text without meaning in Markdown or HTML; it mentions nobody and refers to no issue."""
    line = html.escape(" ".join(text.split()), quote=False)
    line = re.sub(r"([\\`*_\[\]|~]|^[#+-])", r"\\\1", line)
    return re.sub(r"([@#])(?=\w)", r"\1<!-- -->", line)


def code(text: str) -> str:
    """One line of text set as code, cut to what a table's cell can hold."""
    line = " ".join(text.split())
    line = html.escape(line if len(line) <= LENGTH else line[: LENGTH - 1] + "…", quote=False)
    return "<code>" + re.sub(r"[\\`*_\[\]|~]", lambda found: f"&#{ord(found[0])};", line) + "</code>"


def _attempts(params: Params) -> list[Attempt]:
    """The attempts that the log knows; none where the log is a file that nobody has made yet."""
    file = sqlite_file(log_uri(params))
    if file and not file.is_file():
        return []
    return list(recent(open_log(params), params.task.name, 20))
