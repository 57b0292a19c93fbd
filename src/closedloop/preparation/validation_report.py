"""The outcome of validation as one page that needs nothing else: verdict, checks, class balance, sample images."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jinja2 import Environment, StrictUndefined

from closedloop.config import Params
from closedloop.data.examples import ID, LABEL, PART, labels, strings
from closedloop.data.partitions import official
from closedloop.files import write_text
from closedloop.preparation.validation import ValidationResult
from closedloop.targets.strata import Strata, bars
from closedloop.tasks.base import Task
from closedloop.tasks.images.request import encode_png

PICTURES = 200  # at most, in the grid of samples
PER_CLASS = 10
# what examples are said to be, and how they are counted, where no classes are told
TOLD = {"number": "a number each", "text": "a running text", "image": "to be imitated", "action": "episodes"}
GROUPED = {
    "number": "Examples by the range of their numbers",
    "text": "Passages",
    "image": "Images",
    "action": "Episodes",
}

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Validation of {{ task.name }}: {{ "passed" if result.passed else "failed" }}</title>
<style>
:root { color-scheme: light dark; --page: #f6f7f9; --card: #fff; --text: #1c2230; --quiet: #596275; --line: #dfe3ea;
  --bar: #3b74d1; --good: #17713c; --good-back: #e3f4e9; --bad: #b3261e; --bad-back: #fce8e6 }
@media (prefers-color-scheme: dark) { :root { --page: #12151b; --card: #1b1f27; --text: #e7eaf0; --quiet: #9fa9ba;
  --line: #313846; --bar: #6ea0f5; --good: #7bd79c; --good-back: #16301f; --bad: #ff9c92; --bad-back: #3b1917 } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1.5rem 1rem 3rem; max-width: 68rem; background: var(--page); color: var(--text);
  font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere }
h1 { font-size: 1.5rem; margin: 0 } h2 { font-size: 1.15rem; margin: 2.25rem 0 .75rem }
h3 { font-size: 1rem; margin: 0 0 .5rem } p { margin: .25rem 0 } a { color: inherit }
.quiet { color: var(--quiet) }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: 1rem }
.verdict { border-left: .5rem solid var(--good); margin-top: 1rem }
.verdict.failed { border-left-color: var(--bad) } .verdict strong { font-size: 1.15rem }
.mark { display: inline-block; padding: 0 .6rem; border-radius: 1rem; font-size: .875rem; white-space: nowrap;
  color: var(--good); background: var(--good-back) }
.failed .mark { color: var(--bad); background: var(--bad-back) }
table { width: 100%; border-collapse: collapse } .checks { padding: 0 1rem }
th { text-align: left; color: var(--quiet); font-weight: 500; font-size: .875rem }
th, td { padding: .6rem .75rem .6rem 0; vertical-align: top; border-bottom: 1px solid var(--line) }
tbody:last-child tr:last-child td { border-bottom: 0 } tr.shown td { border-bottom: 0; padding-bottom: 0 }
td.check { font-weight: 600; min-width: 9rem }
.parts { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(20rem, 100%), 1fr)) }
.bars { display: grid; grid-template-columns: minmax(1.5rem, max-content) 1fr max-content; gap: .15rem .75rem;
  align-items: center; font-size: .9rem; font-variant-numeric: tabular-nums }
.bars .name { max-width: 10rem } .bars .count { text-align: right }
.track { background: var(--page); border-radius: .25rem } .fill { height: .9rem; border-radius: .25rem;
  background: var(--bar) } .stranger .fill { background: var(--bad) } .stranger { color: var(--bad); display: contents }
.known { display: contents }
.pictures { display: flex; flex-wrap: wrap; gap: .5rem } .class { display: flex; gap: 1rem; padding: .35rem 0 }
.class h3 { flex: 0 0 4.5rem; margin: 0; font-weight: 500 }
figure { margin: 0; font-size: .75rem; line-height: 1.3; color: var(--quiet) }
img { display: block; width: 3.5rem; height: 3.5rem; object-fit: contain; image-rendering: pixelated; background: #000;
  outline: 1px solid var(--line);
  border-radius: .25rem }
.offending figure { width: 6.5rem } .offending img { width: 6.5rem; height: 6.5rem }
figure.text, .offending figure.text { width: auto; max-width: 100% }
pre { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere }
@media (max-width: 40rem) { thead { display: none } tr, td { display: block } td { border: 0; padding: .1rem 0 }
  tr { border-bottom: 1px solid var(--line); padding: .7rem 0 } tr.shown { border: 0; padding-bottom: 0 }
  tbody:last-child tr:last-child { border: 0 } td[data-name]::before { content: attr(data-name) ": ";
  color: var(--quiet) } .class { display: block } .offending figure { width: 5.5rem }
  .offending img { width: 5.5rem; height: 5.5rem } }
</style>
<h1>Validation of {{ task.name }}</h1>
<p class="quiet">{{ task.title }} · {{ "{:,}".format(examples) }} examples, {{ told }} ·
{{ source.licence }} ·
{% if source.homepage.startswith(("http://", "https://")) -%}
<a href="{{ source.homepage }}" rel="noreferrer">{{ source.homepage }}</a>
{%- else %}{{ source.homepage }}{% endif %}</p>
<div class="card verdict{{ "" if result.passed else " failed" }}">
{% if result.passed %}<strong>Passed all {{ result.findings | length }} checks</strong>
<p>The pipeline goes on with these data.</p>
{% else %}<strong>Failed {{ result.failed | length }} of {{ result.findings | length }} checks</strong>
<p>{{ result.failed | map(attribute="check") | join(", ") }}. The pipeline stops here: mend the data, or change the
limits named below in <code>conf/</code> if the data are meant so.</p>{% endif %}
</div>

<h2>Checks</h2>
<div class="card checks"><table>
<thead><tr><th>Outcome</th><th>Check</th><th>Found</th><th>Allowed</th></tr></thead>
{% for finding, pictures in findings %}<tbody{% if not finding.passed %} class="failed"{% endif %}>
<tr{% if finding.examples %} class="shown"{% endif %}>
<td><span class="mark">{{ "✓ passed" if finding.passed else "✗ failed" }}</span></td>
<td class="check">{{ finding.check }}</td><td data-name="Found">{{ finding.found }}</td>
<td data-name="Allowed" class="quiet">{{ finding.allowed }}</td></tr>
{% if finding.examples %}<tr><td></td><td colspan="3">{% if pictures %}<div class="pictures offending">
{% for picture in pictures %}{{ figure(picture, true) }}{% endfor %}</div>
{% else %}<span class="quiet">{{ finding.examples | join(", ") }}</span>{% endif %}</td></tr>{% endif %}
</tbody>{% endfor %}
</table></div>

{% if parts %}<h2>{{ grouped }}</h2>
<div class="parts">{% for part in parts %}
<section class="card"><h3>{{ part.name }} <span class="quiet">{{ "{:,}".format(part.total) }} examples</span></h3>
<div class="bars">{% for bar in part.bars %}
<div class="{{ "known" if bar.known else "stranger" }}"><span class="name">{{ bar.name }}</span>
<div class="track"><div class="fill" style="width:{{ "%.2f" % bar.width }}%"></div></div>
<span class="count">{{ "{:,}".format(bar.count) }} <span class="quiet">{{ "%.1f" % bar.percent }}%</span></span></div>
{% endfor %}</div></section>{% endfor %}</div>{% endif %}

{% if samples %}<h2>Samples</h2>
<div class="card">{% for name, pictures in samples.items() %}<div class="class">
{% if name %}<h3>{{ name }}</h3>{% endif %}
<div class="pictures">{% for picture in pictures %}{{ figure(picture, false) }}{% endfor %}</div></div>{% endfor %}
</div>{% endif %}
</html>
"""

FIGURE = """{% macro figure(picture, named) %}<figure{{ "" if picture.png else " class=text" }}>
{%- if picture.png %}<img src="data:image/png;base64,{{ picture.png }}" alt="{{ picture.label }}"
 title="{{ picture.id }}, label {{ picture.label }}">{% else %}<pre>{{ picture.text }}</pre>{% endif %}
{%- if named %}{{ picture.id }}<br>label {{ picture.label }}{% endif %}</figure>{% endmacro %}"""


@dataclass(frozen=True)
class Picture:
    """One example as a person sees it."""

    id: str
    label: str
    png: str = ""  # base64
    text: str = ""


def write_report(path: Path, result: ValidationResult, examples: pa.Table | None, task: Task, params: Params) -> None:
    """Write the page; `examples` are None when the raw files could not be read."""
    write_text(path, render(result, examples, task, params))


def render(result: ValidationResult, examples: pa.Table | None, task: Task, params: Params) -> str:
    """The page as HTML without scripts or anything loaded from elsewhere; every text in it is escaped."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    shown = examples if examples is not None and result.counts else None  # pictures need sound columns
    groups = Strata([], []) if shown is None else bars_of(shown, params)

    def pictures(ids: tuple[str, ...]) -> list[Picture]:
        if shown is None or not ids:
            return []
        rows = pc.index_in(pa.array(ids, pa.string()), shown.column(ID)).to_pylist()
        return [_picture(shown, row, task) for row in rows if row is not None]

    return environment.from_string(FIGURE + PAGE).render(
        task=params.task,
        told=TOLD.get(params.task.target) or f"{len(params.task.classes)} classes",
        grouped=GROUPED.get(params.task.target, "Examples of each class"),
        source=params.source,
        result=result,
        examples=0 if examples is None else examples.num_rows,
        findings=[
            (finding, pictures(finding.examples))
            for finding in sorted(result.findings, key=lambda finding: finding.passed)  # what failed comes first
        ],
        parts=[_part(name, counts, groups.names) for name, counts in result.counts.items()],
        samples={} if shown is None else _samples(shown, groups, task),
    )


def bars_of(examples: pa.Table, params: Params) -> Strata:
    """The groups of labels that a person looks at."""
    return bars(params.task, labels(examples), official(strings(examples.column(PART))))


def _part(name: str, counts: dict[str, int], known: list[str]) -> dict[str, Any]:
    """One part's classes as bars, the longest 100 wide."""
    total, highest = sum(counts.values()), max(1, *counts.values())
    bars = [
        {
            "name": label,
            "known": label in known,
            "count": count,
            "width": 100 * count / highest,
            "percent": 100 * count / max(1, total),
        }
        for label, count in counts.items()
    ]
    return {"name": name, "total": total, "bars": bars}


def _samples(examples: pa.Table, groups: Strata, task: Task) -> dict[str, list[Picture]]:
    """Examples of each group of labels, taken evenly over the rows."""
    names = np.array(groups.of)
    each = max(1, min(PER_CLASS, PICTURES // max(1, len(groups.names))))
    chosen: dict[str, list[Picture]] = {}
    for name in groups.names[:PICTURES]:
        rows = np.flatnonzero(names == name)
        if len(rows):
            spread = np.unique(np.linspace(0, len(rows) - 1, each).astype(int))
            chosen[name] = [_picture(examples, int(row), task) for row in rows[spread]]
    return chosen


def _picture(examples: pa.Table, row: int, task: Task) -> Picture:
    one: dict[str, Any] = examples.select([ID, PART, LABEL]).slice(row, 1).to_pylist()[0]
    seen = task.look(examples, row)
    if isinstance(seen, str):
        return Picture(one[ID], one[LABEL], text=seen)
    # values out of range are white here; the check names them
    return Picture(one[ID], one[LABEL], encode_png(np.minimum(seen, 255).astype(np.uint8)))
