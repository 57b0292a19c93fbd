"""Runs side by side as one page without scripts or links to anywhere: it can be mailed."""

import base64
import html
from collections.abc import Iterable, Sequence
from pathlib import Path

from closedloop.comparing.comparison import SideBySide
from closedloop.comparing.wording import gain_cells, gain_title, number, score, score_title, who

STYLE = """
:root{color-scheme:light dark;--ink:#1c2430;--faint:#5c6875;--paper:#fff;--line:#d9dfe6;
--better:#1e7d34;--worse:#b83227}
@media(prefers-color-scheme:dark){:root{--ink:#e4e9ef;--faint:#9aa7b4;--paper:#14181d;--line:#323a44;--better:#5cc47a;
--worse:#ff8375}}
body{margin:0 auto;max-width:68rem;padding:1.2rem 1rem 3rem;background:var(--paper);color:var(--ink);
font:15px/1.45 system-ui,sans-serif}
h1{font-size:1.5rem;margin:0 0 .4rem}h2{font-size:1.1rem;margin:1.8rem 0 .5rem}
.scroll{overflow-x:auto}table{border-collapse:collapse}
th,td{text-align:left;vertical-align:top;padding:.35rem 1.2rem .35rem 0;border-bottom:1px solid var(--line);
font-variant-numeric:tabular-nums}
th{color:var(--faint);font-size:.85rem;font-weight:600}small{color:var(--faint);white-space:nowrap}
.better{color:var(--better);font-weight:600}.worse{color:var(--worse);font-weight:600}
img{max-width:100%;background:#fff;border-radius:4px}
"""


def page(found: SideBySide, title: str, picture: Path) -> str:
    """The page with the picture in it; everything that people have named is escaped."""
    heading = html.escape(f"{title}: {len(found.sides)} runs side by side")
    image = base64.b64encode(picture.read_bytes()).decode()
    body = [
        f"<h1>{heading}</h1>",
        _table([], [[f"<b>{side.letter}</b>", *map(html.escape, who(side.record))] for side in found.sides]),
        *_section("What differs", _differing(found), found, "nothing that was recorded"),
        *_section(score_title(found), _scores(found), found, ""),
        f"<h2>{html.escape(gain_title(found))}</h2>{_gains(found)}",
        *_section("Validation split, epoch whose weights are kept", _validation(found), found, "no run has figures"),
        f'<h2>Picture</h2><img alt="scores and gains with their intervals" src="data:image/png;base64,{image}">',
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{heading}</title><style>{STYLE}</style></head><body>{''.join(body)}</body></html>\n"
    )


def _section(title: str, rows: list[list[str]], found: SideBySide, empty: str) -> list[str]:
    content = _table(["", *(side.letter for side in found.sides)], rows) if rows else f"<p>{empty}</p>"
    return [f"<h2>{html.escape(title)}</h2>", content]


def _differing(found: SideBySide) -> list[list[str]]:
    return [[html.escape(key), *map(html.escape, values)] for key, values in found.differing.items()]


def _validation(found: SideBySide) -> list[list[str]]:
    return [[html.escape(name), *map(number, values)] for name, values in found.validation.items()]


def _scores(found: SideBySide) -> list[list[str]]:
    return [
        [html.escape(name), *("<br><small>".join(score(one)) + "</small>" for one in intervals)]
        for name, intervals in found.scores.items()
    ]


def _gains(found: SideBySide) -> str:
    rows = []
    for gain in found.gains:
        if gain.missing:
            rows.append([gain.letter, "not compared", html.escape(gain.missing), "", ""])
        for metric, value, interval, verdict in gain_cells(gain):
            kind = verdict if verdict in ("better", "worse") else ""
            rows.append([gain.letter, html.escape(metric), value, interval, f'<span class="{kind}">{verdict}</span>'])
    return _table(["", "metric", "gain", "interval", ""], rows)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "<tr>" + "".join(f"<th>{cell}</th>" for cell in heads) + "</tr>" if heads else ""
    lines = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table>{head}{lines}</table></div>'
