"""What `new` tells on the terminal: what was found, what was assumed, what a person should look at."""

import tempfile
import textwrap
from pathlib import Path

from closedloop.onboarding.classes import look_alikes
from closedloop.onboarding.proposal import Asked, Proposal, Row

MOST_ROWS = 60
MANY_LEFT_OUT = 0.05  # share of the examples that a person should know of
WIDTH = 110


def report(asked: Asked, proposal: Proposal, file: Path) -> str:
    """A table of what each column or class was taken for, then what needs a look, then the next command."""
    total = sum(proposal.classes.values())
    lines = [
        *_field("data", f"{asked.path}: {proposal.form}; {proposal.content}"),
        *_field("kind", f"{proposal.kind}: {proposal.why}"),
        *_target(proposal, total),
    ]
    if proposal.left_out:
        names = ", ".join(f"{name} {count:,}" for name, count in list(proposal.left_out.items())[:12])
        what = "without a number" if proposal.number else "of no class"
        lines += _field("left out", f"{sum(proposal.left_out.values()):,} examples {what}: {names}")
    lines += ["", *_table(proposal.rows)] if proposal.rows else []
    lines += [""]
    checks = [
        *_lacking(proposal, total),
        *([] if proposal.target != "classes" else look_alikes([*proposal.classes, *proposal.left_out])),
        *proposal.checks,
        *_kept(asked.path),
    ]
    if checks:
        lines += ["  Please look at this:", *(line for check in checks for line in _item(check)), ""]
    lines += [
        f"  wrote {file}; what was guessed in it is marked CHECK",
        f"  next: make run TASK={asked.task}",
    ]
    return "\n" + "\n".join(lines) + "\n"


def _target(proposal: Proposal, total: int) -> list[str]:
    match proposal.target:
        case "number":
            return _field("number", proposal.number)
        case "text":
            return []
    first = list(proposal.classes.items())[:12]
    more = len(proposal.classes) - len(first)
    classes = ", ".join(f"{name} {count:,} ({count / total:.0%})" for name, count in first)
    return _field("classes", classes + (f" and {more} more" if more else ""))


def _field(name: str, text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=f"  {name:9} ", subsequent_indent=" " * 12)


def _item(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="  - ", subsequent_indent="    ")


def _table(rows: tuple[Row, ...]) -> list[str]:
    if not rows:
        return []
    shown = rows[:MOST_ROWS]
    widths = [
        max(len(text) for text in texts) for texts in zip(*((r.name, r.taken_as, r.holds) for r in shown), strict=True)
    ]
    widths = [min(width, most) for width, most in zip(widths, (32, 10, 60), strict=True)]
    lines = []
    for row in shown:
        cells = (row.name, row.taken_as, row.holds)
        cut = [
            text if len(text) <= width else text[: width - 1] + "…" for text, width in zip(cells, widths, strict=True)
        ]
        line = "  ".join(text.ljust(width) for text, width in zip(cut, widths, strict=True))
        lines.append(f"  {line}  {row.why if row.taken_as != 'number' else ''}".rstrip())
    if len(rows) > MOST_ROWS:
        lines.append(f"  and {len(rows) - MOST_ROWS} more, all of them in the file")
    return lines


def _lacking(proposal: Proposal, total: int) -> list[str]:
    lacking = sum(proposal.left_out.values())
    share = lacking / max(1, lacking + total)
    what = "have no number" if proposal.number else "are of no class"
    return [f"{share:.0%} of the examples {what} and are left out"] if share > MANY_LEFT_OUT else []


def _kept(path: Path) -> list[str]:
    places = {Path(tempfile.gettempdir()).resolve(), Path("/tmp"), Path("/var/tmp"), Path("/dev/shm")}  # noqa: S108
    if any(place in path.parents for place in places):
        return [
            f"{path.name} lies in a temporary folder: acquire reads it there again when it has to; move it to a place "
            "where it stays, and change its url in the file"
        ]
    return []
