"""A search in words: on the terminal, in the file of the best values, on its MLflow run."""

import json
from pathlib import Path

from closedloop.evaluation.comparison import proven
from closedloop.tuning.gain import Gain
from closedloop.tuning.space import Values
from closedloop.tuning.study import Search

CAVEAT = (
    "The intervals are over seeds of training alone. The validation examples have chosen the values; what these are "
    "worth on other examples, the test split says."
)


def remarks(search: Search, gains: list[Gain]) -> list[str]:
    """What is known of the best values, a sentence a line."""
    best, metric = search.best, search.params.tune.metric
    if best is None:
        return ["No trial has come to its end."]
    ended = len(search.ended)
    chosen = f"Trial {best.number} of {ended} (search {search.name}): {metric} {best.value:.4g}"
    if search.configured_is_best:
        return [f"{chosen}. These are the configured values: nothing better was found."]
    flattering = f"{chosen}, which flatters: the luckiest of {ended} was chosen."
    return [flattering, *map(gain_in_words, gains), *([CAVEAT] if gains else [])]


def gain_in_words(gain: Gain) -> str:
    """The two means and the gain with its interval, and whether it is one."""
    return (
        f"{gain.metric} {gain.best:.4g} with {gain.seeds} other seeds, {gain.configured:.4g} as configured; "
        f"gain {gain.gain:+.4g} ({gain.confidence:.0%} interval {gain.low:+.4g} to {gain.high:+.4g}): "
        f"{proven(gain.low, gain.high)}."
    )


def summary(search: Search, values: Values, gains: list[Gain], picture: Path, command: str) -> str:
    """The short table that a search ends with."""
    said = remarks(search, gains)
    rows = [("best", said[0]), *(("", line) for line in said[1:]), ("values", in_words(values))]
    rows.append(("look", f"{picture} · make ui"))
    if not search.configured_is_best:
        rows.append(("next", command))
    return "\n" + "\n".join(f"  {name:6} {text}" for name, text in rows) + "\n"


def note(search: Search, values: Values, gains: list[Gain], command: str) -> str:
    """The description of the search's MLflow run, in Markdown."""
    table = "| key | best value |\n|---|---|\n" + "\n".join(
        f"| {key} | {_text(value)} |" for key, value in values.items()
    )
    return "\n\n".join([*remarks(search, gains), table, *([] if search.configured_is_best else [f"Next: `{command}`"])])


def in_words(values: Values) -> str:
    return ", ".join(f"{key} {_text(value)}" for key, value in values.items())


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
