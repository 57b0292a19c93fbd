"""All windows of a task on one page that a person reads in a minute: what it is now, how it came, what was done.

One file without scripts or links to anywhere: it can be mailed, and it opens in ten years' time.
"""

import html
from collections.abc import Sequence
from typing import Any

from closedloop.monitoring.quality import in_words, shown
from closedloop.monitoring.timeline import MARKS, SYMBOLS, anchor, draw
from closedloop.monitoring.wording import bounds_in_words
from closedloop.prediction_log.attempts import Attempt
from closedloop.prediction_log.checks import Check
from closedloop.prediction_log.clock import to_text

DRAWN, LISTED = 60, 200  # the latest windows: in the drawing, in the table
NAMED = 3  # columns that a row of the table names
HEADS = ("window (UTC)", "answers", "version", "verdict", "what moved", "quality", "latency p95", "errors")

STYLE = """
:root{color-scheme:light dark;--ink:#1c2430;--faint:#5c6875;--paper:#fff;--line:#d9dfe6;--band:#e6ecf2;--band2:#d3dde8;
--clean:#1e7d34;--drift:#b83227;--few:#8a6d00;--on:#fff;--mark:#6a3fb5}
@media(prefers-color-scheme:dark){:root{--ink:#e4e9ef;--faint:#9aa7b4;--paper:#14181d;--line:#323a44;--band:#26303a;
--band2:#33404d;--clean:#5cc47a;--drift:#ff8375;--few:#e2ba4e;--on:#14181d;--mark:#bb9cf5}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:68rem;padding:1.2rem 1rem 3rem;background:var(--paper);color:var(--ink);
font:15px/1.45 system-ui,sans-serif}
h1{font-size:1.5rem;margin:0 0 .4rem}h2{font-size:1.1rem;margin:1.8rem 0 .5rem}p{margin:.3rem 0}
.now{border-left:5px solid;padding:.2rem 0 .2rem .8rem;margin:.8rem 0}
.now.clean{border-color:var(--clean)}.now.drift{border-color:var(--drift)}.now.too_few_rows{border-color:var(--few)}
.scroll{overflow-x:auto;direction:rtl}.scroll svg{display:block;direction:ltr;margin:0 auto 0 0}
svg text{font:12px system-ui,sans-serif;fill:var(--ink)}svg .faint{fill:var(--faint);font-size:11px}
.grid{stroke:var(--line)}.band0{fill:var(--band)}.band1{fill:var(--band2)}
.change{stroke:var(--faint);stroke-dasharray:2 3}
.interval{stroke:var(--ink);stroke-width:1.5}.reference{stroke:var(--faint);stroke-width:2}
circle{fill:var(--ink);stroke:var(--ink);stroke-width:1.5}
.estimate circle{fill:var(--paper)}.estimate .interval{stroke-dasharray:2 2}
rect.clean{fill:var(--clean)}rect.drift{fill:var(--drift)}rect.too_few_rows{fill:var(--few)}
svg .symbol{fill:var(--on);font-weight:700;font-size:14px}
.attempt line{stroke:var(--mark);stroke-width:1.5}.attempt text{fill:var(--mark);font-size:14px}
.key{color:var(--faint);font-size:.85rem}.key b{color:var(--ink)}
.faint{color:var(--faint)}small{color:var(--faint)}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;vertical-align:top;padding:.45rem .6rem .45rem 0;border-bottom:1px solid var(--line)}
th{font-size:.8rem;color:var(--faint);font-weight:600}
td{font-variant-numeric:tabular-nums;overflow-wrap:anywhere}tr:target{background:var(--band)}
.badge{display:inline-block;border-radius:4px;padding:0 .45rem;color:var(--on);font-weight:600;white-space:nowrap}
.badge.clean{background:var(--clean)}.badge.drift{background:var(--drift)}.badge.too_few_rows{background:var(--few)}
.retraining td{border-left:4px solid var(--mark);padding-left:.6rem}.retraining b{color:var(--mark)}
summary{cursor:pointer}details ul{margin:.3rem 0;padding-left:1.1rem}
td:nth-last-child(-n+3):not([colspan]) small{white-space:nowrap}
@media(max-width:50rem){thead{display:none}table,tbody,td{display:block}
tr{display:grid;grid-template-columns:3fr 2fr 2fr;gap:0 .6rem;padding:.6rem 0;border-bottom:1px solid var(--line)}
td{border:0;padding:.1rem 0}td::before{content:attr(data-head);display:block;color:var(--faint);font-size:.8rem}
td:nth-child(1),td:nth-child(5){grid-column:1/4}td small{white-space:normal!important}
.retraining td::before{content:none}}
"""


def page(task: str, title: str, checks: Sequence[Check], attempts: Sequence[Attempt], now: int) -> str:
    """The page for the windows and the attempts to retrain, both with the latest last; `now` in microseconds UTC."""
    head = f"{html.escape(task)}: what production looked like"
    body = _content(checks, attempts) if checks else ["<p>No window has been checked yet.</p>"]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{head}</title><style>{STYLE}</style></head><body><h1>{head}</h1>"
        f'<p class="faint">{html.escape(title)}; written {short(now)} UTC</p>{"".join(body)}</body></html>\n'
    )


def short(micros: int) -> str:
    """2026-11-23 10:00:05: to the second, for people."""
    return to_text(micros)[:19].replace("T", " ")


def _content(checks: Sequence[Check], attempts: Sequence[Attempt]) -> list[str]:
    drawn = checks[-DRAWN:]
    return [
        _now(checks, attempts),
        f"<h2>The latest {len(drawn)} windows</h2>" if len(drawn) > 1 else "<h2>The only window so far</h2>",
        f'<div class="scroll" tabindex="0">{draw(drawn, attempts, lambda micros: short(micros)[5:16])}</div>',
        _key(),
        "<h2>Window by window, the latest first</h2>",
        _table(checks[-LISTED:], attempts),
    ]


def _now(checks: Sequence[Check], attempts: Sequence[Attempt]) -> str:
    latest = checks[-1]
    why = "; ".join(latest.report["reasons"]) or "Nothing has moved beyond what is allowed"
    alarms = sum(check.verdict == "drift" for check in checks)
    lines = [
        f"<p>{_badge(latest.verdict)} the latest window, {_bounds(latest)}: {_counted(latest.rows, 'answer')} of "
        f"version {latest.version}. {html.escape(why[0].upper() + why[1:])}.</p>",
        f"<p>{alarms} of {_counted(len(checks), 'window')} drifted. {_last_attempt(attempts)}</p>",
    ]
    return f'<div class="now {latest.verdict}">{"".join(lines)}</div>'


def _last_attempt(attempts: Sequence[Attempt]) -> str:
    if not attempts:
        return "There has been no retraining."
    last = attempts[-1]
    return f"The last retraining began {short(last.started)}: {html.escape(_outcome(last))}."


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def _key() -> str:
    return (
        f'<p class="key"><b>{SYMBOLS["clean"]}</b> clean · <b>{SYMBOLS["drift"]}</b> drift · '
        f"<b>{SYMBOLS['too_few_rows']}</b> too few rows to judge · <b>●</b> quality by labels, with its interval · "
        "<b>○</b> as estimated without labels · <b>–</b> on the reference · retraining: "
        f"<b>{MARKS['promoted']}</b> promoted, <b>{MARKS['refused']}</b> champion stays, <b>{MARKS['failed']}</b> "
        f"failed, <b>{MARKS['running']}</b> under way</p>"
    )


def _table(checks: Sequence[Check], attempts: Sequence[Attempt]) -> str:
    """Windows and attempts in one order of time: an attempt stands above the windows that it came after."""
    shown = [attempt for attempt in attempts if attempt.started >= checks[0].start]
    rows = [(check.end, 0, _window_row(check)) for check in checks]
    rows += [(attempt.started, 1, _attempt_row(attempt)) for attempt in shown]
    ordered = sorted(rows, key=lambda row: row[:2], reverse=True)
    heads = "".join(f'<th scope="col">{head}</th>' for head in HEADS)
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{''.join(row for _, _, row in ordered)}</tbody></table>"


def _window_row(check: Check) -> str:
    service = check.report.get("service") or {}
    alert = f"<div><small>alert {html.escape(check.alert)}</small></div>" if check.alert else ""
    cells = (
        _bounds(check),
        f"{check.rows:,}",
        str(check.version),
        _badge(check.verdict),
        f"<div>{_moved(check.report)}{alert}</div>",
        _quality(check.report),
        _latency(service.get("latency")),
        _errors(service.get("errors")),
    )
    content = "".join(f'<td data-head="{head}">{cell}</td>' for head, cell in zip(HEADS, cells, strict=True))
    return f'<tr id="{anchor(check)}">{content}</tr>'


def _bounds(check: Check) -> str:
    return bounds_in_words(to_text(check.start), to_text(check.end))


def _badge(verdict: str) -> str:
    return f'<span class="badge {verdict}">{SYMBOLS[verdict]} {verdict.replace("_", " ")}</span>'


def _moved(report: dict[str, Any]) -> str:
    """The columns that moved; all reasons behind a fold."""
    moved = [column for column in report["columns"] if column["drifted"]]
    names = [f"{column['name']} {column['effect']:.2f}" for column in moved[:NAMED]]
    names += [f"{len(moved) - NAMED} more"] if len(moved) > NAMED else []
    if not report["reasons"]:
        return "–"
    shown = ", ".join(names) or report["reasons"][0].partition(":")[0]
    reasons = "".join(f"<li>{html.escape(reason)}</li>" for reason in report["reasons"])
    return f"<details><summary>{html.escape(shown)}</summary><ul>{reasons}</ul></details>"


def _quality(report: dict[str, Any]) -> str:
    found = shown(report)
    if found is None:
        return "–"
    what = "estimated" if found.estimated else _counted(found.figure["labelled_rows"], "label")
    return (
        f"<div>{found.number('value')}<br><small>{in_words(found.metric)}, {found.number('low')} to "
        f"{found.number('high')}; {what}</small></div>"
    )


def _latency(latency: dict[str, Any] | None) -> str:
    return f"{latency['p95']:.1f} ms" if latency else "–"


def _errors(errors: dict[str, Any] | None) -> str:
    return (
        f"<div>{errors['share']:.1%}<br><small>{errors['count']:,} of {errors['requests']:,}</small></div>"
        if errors
        else "–"
    )


def _attempt_row(attempt: Attempt) -> str:
    decided = html.escape(attempt.decided_by)
    begun = html.escape("; ".join(attempt.reasons))
    return (
        f'<tr class="retraining"><td colspan="{len(HEADS)}"><div><b>{MARKS.get(attempt.outcome, "•")} retraining</b> '
        f"{short(attempt.started)}: {html.escape(_outcome(attempt))}{decided and f': {decided}'}<br>"
        f"<small>begun because: {begun}</small></div></td></tr>"
    )


def _outcome(attempt: Attempt) -> str:
    versions = {
        "promoted": f"version {attempt.champion_after} took over from version {attempt.champion_before}",
        "refused": f"version {attempt.challenger} was refused, version {attempt.champion_before} stays",
        "unchanged": f"nothing came of it, version {attempt.champion_before} stays",
        "running": "it is under way",
        "interrupted": "it was interrupted",
    }
    return versions.get(attempt.outcome, f"it {attempt.outcome}")
