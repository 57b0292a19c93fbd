"""The history page: complete, self-contained, and deaf to markup in names."""

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closedloop.monitoring.history_page import DRAWN, page
from closedloop.prediction_log.attempts import Attempt
from closedloop.prediction_log.checks import Check

HOUR = 3_600_000_000
FIRST = 1_795_000_000_000_000
ATTACK = "</title></svg><script>alert(1)</script>\"'<img src=x onerror=alert(2)>"


def accuracy(value: float, low: float, high: float, reference: float) -> dict[str, Any]:
    return {"value": value, "low": low, "high": high, "reference": reference, "labelled_rows": 250}


def check_of(number: int, verdict: str = "clean", version: int = 1, **report: Any) -> Check:
    content = {
        "reasons": ["1 of 17 columns have moved: contrast (KS distance 0.40)"] if verdict == "drift" else [],
        "columns": [{"name": "contrast", "effect": 0.4, "drifted": verdict == "drift"}],
        "accuracy": accuracy(0.95, 0.91, 0.97, 0.97),
        "estimated_accuracy": None,
        "service": {"latency": {"p95": 4.2}, "errors": {"share": 0.01, "count": 3, "requests": 300}, "rejected": None},
        **report,
    }
    start = FIRST + number * HOUR
    return Check("digits", start, start + HOUR, version, start + HOUR, 300, verdict, content, None)


def attempt_of(number: float, outcome: str = "promoted", **changed: Any) -> Attempt:
    start = FIRST + int(number * HOUR)
    content: dict[str, Any] = {
        "id": "0", "task": "digits", "started": start, "ended": start + 1, "process": "here:1:1", "trigger": "drift",
        "reasons": ["2 of the last 3 windows drifted"], "partition": None, "data": None, "champion_before": 1,
        "challenger": 2, "champion_after": 2, "outcome": outcome, "verdict": None,
    }  # fmt: skip
    return Attempt(**{**content, **changed})


class Parsed(HTMLParser):
    """Counts elements, collects addresses and text, and checks that what is opened is closed."""

    EMPTY = frozenset({"meta", "br", "line", "rect", "circle"})

    def __init__(self, content: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(content)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def test_it_needs_no_other_file_and_no_script() -> None:
    content = page("digits", "handwritten digits", [check_of(0), check_of(1, "drift")], [attempt_of(2)], FIRST)
    parsed = Parsed(content)
    assert {tag for tag, _ in parsed.elements}.isdisjoint({"script", "link", "img", "iframe", "object", "form"})
    assert not re.search(r"https?:|@import|url\(", content)
    targets = {attributes["id"] for attributes in parsed.of("tr") if "id" in attributes}
    assert {str(attributes["href"]).removeprefix("#") for attributes in parsed.of("a")} == targets
    assert "prefers-color-scheme:dark" in content
    assert {"name": "viewport", "content": "width=device-width,initial-scale=1"} in parsed.of("meta")


def test_names_and_reasons_stay_text_wherever_they_stand() -> None:
    column = {"name": ATTACK, "effect": 0.4, "drifted": True}
    check = check_of(0, "drift", reasons=[ATTACK], columns=[column])
    hostile = Check(**{**check.__dict__, "alert": ATTACK})
    content = page(ATTACK, ATTACK, [hostile], [attempt_of(1, ATTACK, reasons=[ATTACK])], FIRST)
    tags = {tag for tag, _ in Parsed(content).elements}
    assert tags.isdisjoint({"script", "img"})
    assert not any(name.startswith("on") for _, attributes in Parsed(content).elements for name in attributes)


def test_a_verdict_is_told_by_symbol_and_word_not_by_colour_alone() -> None:
    checks = [check_of(0), check_of(1, "drift"), check_of(2, "too_few_rows")]
    parsed = Parsed(page("digits", "", checks, [], FIRST))
    for words in ("✓ clean", "! drift", "? too few rows"):
        assert words in parsed.text
    classes = [attributes.get("class") for attributes in parsed.of("rect")]
    assert [name for name in classes if name in ("clean", "drift", "too_few_rows")] == [
        "clean",
        "drift",
        "too_few_rows",
    ]


def test_measured_and_estimated_accuracy_are_drawn_apart_and_nothing_where_there_is_neither() -> None:
    estimate = accuracy(0.9, 0.85, 0.95, 0.97)
    checks = [
        check_of(0),
        check_of(1, accuracy=None, estimated_accuracy=estimate),
        check_of(2, accuracy=None, estimated_accuracy=None),
    ]
    parsed = Parsed(page("digits", "", checks, [], FIRST))
    kinds = [attributes.get("class") for attributes in parsed.of("g")]
    assert kinds == ["measured", "estimate"]
    assert "0.850 to 0.950; estimated" in parsed.text
    assert "0.910 to 0.970; 250 labels" in parsed.text


def test_versions_and_attempts_are_marked_where_they_began() -> None:
    checks = [check_of(number, version=1 if number < 3 else 2) for number in range(6)]
    tried = [attempt_of(-5), attempt_of(2.5, "refused"), attempt_of(3.0), attempt_of(9, "running")]
    parsed = Parsed(page("digits", "", checks, tried, FIRST))
    assert [attributes.get("class") for attributes in parsed.of("rect")][:2] == ["band0", "band1"]
    assert [a.get("class") for a in parsed.of("g")].count("attempt") == 3  # the first one began before the windows
    assert "version 2 was refused, version 1 stays" in parsed.text
    assert "The last retraining began" in parsed.text
    assert "it is under way" in parsed.text


def test_only_the_latest_windows_are_drawn_and_the_table_begins_with_the_latest() -> None:
    checks = [check_of(number) for number in range(DRAWN + 30)]
    content = page("digits", "", checks, [], FIRST)
    assert content.count("<circle") == DRAWN
    rows = [attributes["id"] for attributes in Parsed(content).of("tr") if "id" in attributes]
    assert rows[0] == f"w{checks[-1].start}-{checks[-1].end}-1"
    assert len(rows) == DRAWN + 30


def test_before_the_first_check_it_says_so() -> None:
    assert "No window has been checked yet" in Parsed(page("digits", "", [], [], FIRST)).text


shares = st.floats(0, 1)


@given(
    st.lists(
        st.tuples(st.sampled_from(["clean", "drift", "too_few_rows"]), shares, shares, shares), min_size=1, max_size=90
    )
)
def test_every_mark_lies_inside_the_drawing(windows: list[tuple[str, float, float, float]]) -> None:
    checks = [
        check_of(number, verdict, accuracy=accuracy(sorted(values)[1], min(values), max(values), values[0]))
        for number, (verdict, *values) in enumerate(windows)
    ]
    parsed = Parsed(page("digits", "", checks, [attempt_of(number + 0.5) for number in range(len(checks))], FIRST))
    (svg,) = parsed.of("svg")
    width, height = float(str(svg["width"])), float(str(svg["height"]))
    for tag, attributes in parsed.elements:
        for name, value in attributes.items():
            if tag in ("line", "circle", "rect", "text") and name in ("x", "x1", "x2", "cx"):
                assert 0 <= float(str(value)) <= width
            if tag in ("line", "circle", "rect", "text") and name in ("y", "y1", "y2", "cy"):
                assert 0 <= float(str(value)) <= height


@pytest.mark.parametrize("outcome", ["promoted", "refused", "unchanged", "failed", "interrupted", "running"])
def test_every_outcome_of_an_attempt_is_put_into_words(outcome: str) -> None:
    text = Parsed(page("digits", "", [check_of(0)], [attempt_of(1, outcome)], FIRST)).text
    (sentence,) = re.findall(r"The last retraining began [\d :-]+: ([^.]+)\.", text)
    assert "None" not in sentence
    assert re.match(r"(it|version \d|nothing) ", sentence)


@pytest.mark.parametrize("verdict", [{"error": "the log is lost"}, {"reasons": ["the log is lost", "and more"]}])
def test_what_decided_an_attempt_stands_beside_what_it_was_begun_for(verdict: dict[str, Any]) -> None:
    attempt = attempt_of(1, "failed", verdict=verdict, reasons=["by hand"])
    text = Parsed(page("digits", "", [check_of(0)], [attempt], FIRST)).text
    assert "it failed: the log is lostbegun because: by hand" in text
