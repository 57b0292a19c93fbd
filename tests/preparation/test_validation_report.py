"""The page: verdict, checks, bars and pictures, with nothing loaded from elsewhere and everything escaped."""

import base64
import io
import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from closedloop.data.examples import ID, LABEL
from closedloop.errors import DataError
from closedloop.preparation.validation import ValidationResult, unreadable, validate
from closedloop.preparation.validation_report import render
from closedloop.sources.acquire import acquire
from closedloop.tasks import get_task
from closedloop.tasks.base import Finding
from closedloop.tasks.images.request import pixels, with_pixels

TASK = get_task("images")
ATTACK = """<script>alert("1")</script><img src=x onerror='alert(2)'>"""


class Page(HTMLParser):
    """The elements of a page; raises when one is closed that is not open."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes)))
        if tag not in ("img", "meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture
def table(digits: Any) -> pa.Table:
    return TASK.read(digits.paths.raw, digits.params)


def page_of(table: pa.Table, digits: Any) -> tuple[str, Page]:
    html = render(validate(table, TASK, digits.params), table, TASK, digits.params)
    return html, Page(html)


def test_the_page_of_sound_data_says_so_and_shows_every_class(table: pa.Table, digits: Any) -> None:
    html, page = page_of(table, digits)
    assert "Passed all 13 checks" in html
    assert html.count("✓ passed") == 13
    assert len(page.all("img")) == 100
    widths = [float(width) for width in re.findall(r"width:([\d.]+)%\"", html)]
    assert len(widths) == 10 and max(widths) == 100 and min(widths) == pytest.approx(100 * 174 / 183, abs=0.01)
    assert page.open == []


def test_the_page_is_the_same_each_time(table: pa.Table, digits: Any) -> None:
    assert page_of(table, digits)[0] == page_of(table, digits)[0]


def test_nothing_is_loaded_and_no_script_runs(table: pa.Table, digits: Any) -> None:
    html, page = page_of(table, digits)
    assert all((image["src"] or "").startswith("data:image/png;base64,") for image in page.all("img"))
    assert {tag for tag, _ in page.elements}.isdisjoint({"script", "link", "iframe", "object"})
    assert "@import" not in html and "url(" not in html


def test_offending_examples_are_shown_as_they_are(table: pa.Table, digits: Any) -> None:
    images = pixels(table).copy()
    images[3], images[8] = 0, 7  # alike, they would be copies with two labels as well
    html, page = page_of(with_pixels(table, images), digits)
    assert "Failed 1 of 13 checks" in html
    shown = [image for image in page.all("img") if (image["title"] or "").startswith(("all-000003", "all-000008"))]
    assert len(shown) >= 2
    for image in shown:
        content = base64.b64decode((image["src"] or "").partition(",")[2])
        assert len(np.unique(np.asarray(Image.open(io.BytesIO(content))))) == 1


def test_every_text_is_escaped(table: pa.Table, digits: Any) -> None:
    task = digits.params.task.model_copy(update={"title": ATTACK, "classes": [ATTACK, *digits.params.task.classes[1:]]})
    source = digits.params.source.model_copy(update={"homepage": f"javascript:{ATTACK}", "licence": ATTACK})
    params = digits.params.model_copy(update={"task": task, "source": source})
    names = [ATTACK if label == "0" else label for label in table[LABEL].to_pylist()]
    ids = [ATTACK, *table[ID].to_pylist()[1:]]
    table = table.set_column(table.schema.get_field_index(LABEL), LABEL, pa.array(names))
    table = table.set_column(table.schema.get_field_index(ID), ID, pa.array(ids))
    finding = Finding(ATTACK, False, ATTACK, ATTACK, (ATTACK, "no such example"))
    page = Page(render(ValidationResult((finding,), {ATTACK: {ATTACK: 3}}), table, TASK, params))
    assert page.all("script") == []
    assert page.all("a") == []
    assert all(not any(name.startswith("on") for name in attributes) for _, attributes in page.elements)
    assert page.open == []


def test_files_that_cannot_be_read_have_a_page_as_well(digits: Any) -> None:
    html = render(unreadable(DataError("images.idx ends inside its header")), None, TASK, digits.params)
    assert "Failed 1 of 1 checks" in html
    assert "images.idx ends inside its header" in html
    assert Page(html).all("img") == []


def test_broken_columns_have_a_page_without_pictures(table: pa.Table, digits: Any) -> None:
    html, page = page_of(table.drop_columns([LABEL]), digits)
    assert "label is missing" in html
    assert page.all("img") == []


@pytest.mark.parametrize(("task", "pictures", "labels"), [("digits_gan", 10, ""), ("cartpole", 0, "no labels")])
def test_examples_without_classes_are_one_group_and_are_shown(
    make_project: Any, task: str, pictures: int, labels: str
) -> None:
    project = make_project(task)
    acquire(project.params, project.paths)
    kind = get_task(project.params.task.kind)
    table = kind.read(project.paths.raw, project.params)
    result = validate(table, kind, project.params)
    html = render(result, table, kind, project.params)
    page = Page(html)
    assert result.passed and "finite numbers" not in html and labels in html
    assert len([one for one in page.all("div") if one.get("class") == "known"]) == 1
    assert not [one for one in page.all("div") if one.get("class") == "stranger"]
    assert len(page.all("img")) == pictures
    assert "<h2>Samples</h2>" in html
