import asyncio
import itertools
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from logged import TARGET, TASK, answer, put
from sqlalchemy import Engine, event, select, update

from closedloop.config import Params
from closedloop.errors import DataError
from closedloop.prediction_log.clock import now
from closedloop.prediction_log.ids import new_id
from closedloop.prediction_log.labels import LabelOutcome, add_labels, count_unused, load_file
from closedloop.prediction_log.reading import labelled, window
from closedloop.prediction_log.schema import LABELS
from closedloop.prediction_log.store import open_log
from closedloop.prediction_log.writer import LogWriter


def stored(log: Engine) -> dict[str, tuple[str, int]]:
    """The label and its revisions by id."""
    with log.connect() as connection:
        return {row.prediction_id: (row.label, row.revisions) for row in connection.execute(select(LABELS))}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 7), st.sampled_from(["3", "4", "5"])), max_size=12), min_size=1, max_size=4
    )
)
def test_labels_mean_what_a_dictionary_would(log: Engine, batches: list[list[tuple[int, str]]]) -> None:
    """Batches about six known predictions, one of another task and one unknown."""
    ids = [*put(log, [answer() for _ in range(6)] + [answer(task="another")]), new_id()]
    expected: dict[str, tuple[str, int]] = {}
    for batch in batches:
        before = dict(expected)
        last = {ids[number]: label for number, label in batch if number < 6}
        for key, label in last.items():
            if key not in expected:
                expected[key] = label, 0
            elif expected[key][0] != label:
                expected[key] = label, expected[key][1] + 1
        outcome = add_labels(log, TASK, [(ids[number], label) for number, label in batch], TARGET)
        assert outcome == LabelOutcome(
            accepted=sum(key not in before for key in last),
            unchanged=sum(key in before and before[key][0] == label for key, label in last.items()),
            revised=sum(key in before and before[key][0] != label for key, label in last.items()),
            unknown=[position for position, (number, _) in enumerate(batch) if number >= 6],
        )
    assert {key: row for key, row in stored(log).items() if key in ids} == expected


def test_one_label_outside_the_classes_refuses_the_batch(log: Engine) -> None:
    ids = put(log, [answer() for _ in range(4)])
    pairs = [(ids[0], "3"), (ids[1], "ten"), (ids[2], "4"), (ids[3], "")]
    assert add_labels(log, TASK, pairs, TARGET) == LabelOutcome(invalid=[1, 3])
    assert stored(log) == {}


@pytest.mark.parametrize("key", ["", "x", "\x00" * 26, "\ud800" * 26, "é" * 26, "' OR 1=1 --", "x" * 100_000])
def test_ids_that_are_none_are_unknown(log: Engine, key: str) -> None:
    assert add_labels(log, TASK, [(key, "3")], TARGET) == LabelOutcome(unknown=[0])


def test_a_label_that_was_used_for_training_can_be_revised(log: Engine) -> None:
    ids = put(log, [answer(), answer()])
    add_labels(log, TASK, [(key, "3") for key in ids], TARGET)
    with log.begin() as connection:
        connection.execute(update(LABELS).values(partition="a" * 64))
    assert add_labels(log, TASK, [(ids[0], "4"), (ids[1], "3")], TARGET) == LabelOutcome(revised=1, unchanged=1)
    with log.connect() as connection:
        rows = {row.prediction_id: row for row in connection.execute(select(LABELS))}
    assert {row.partition for row in rows.values()} == {"a" * 64}
    assert (rows[ids[0]].label, rows[ids[0]].revisions) == ("4", 1)
    assert rows[ids[0]].time > rows[ids[1]].time
    assert labelled(log, TASK).num_rows == 0
    assert labelled(log, TASK, unused_only=False).num_rows == 2


@pytest.mark.parametrize("mark", ["quarantined", "known"])
def test_a_label_that_was_not_learnt_from_counts_again_when_it_is_corrected(log: Engine, mark: str) -> None:
    ids = put(log, [answer(), answer()])
    add_labels(log, TASK, [(key, "3") for key in ids], TARGET)
    with log.begin() as connection:
        connection.execute(update(LABELS).values(partition=mark))
    assert add_labels(log, TASK, [(ids[0], "4"), (ids[1], "3")], TARGET) == LabelOutcome(revised=1, unchanged=1)
    assert labelled(log, TASK).column("id").to_pylist() == [ids[0]]
    assert count_unused(log, TASK, []) == 1


def test_a_label_may_come_weeks_later(log: Engine) -> None:
    long_ago = now() - 10**13
    ids = put(log, [answer(time=long_ago)])
    assert add_labels(log, TASK, [(ids[0], "5")], TARGET).accepted == 1
    row = window(log, TASK, long_ago, long_ago + 1).to_pylist()[0]
    assert row["label"] == "5"
    assert row["label_time"] > long_ago + 10**12


def test_unused_labels_are_counted(log: Engine) -> None:
    ids = put(log, [answer() for _ in range(3)])
    add_labels(log, TASK, [(key, "3") for key in ids], TARGET)
    with log.begin() as connection:
        connection.execute(update(LABELS).where(LABELS.c.prediction_id == ids[0]).values(partition="quarantined"))
    assert count_unused(log, TASK, []) == 2


def test_a_million_duplicates(log: Engine) -> None:
    """The batch costs its caller 8 MB for the list; the log adds next to nothing, and asks the database once."""
    ids = put(log, [answer() for _ in range(3)])
    labels = list(itertools.islice(itertools.cycle([(ids[0], "3"), (ids[1], "4"), (ids[0], "5")]), 1_000_000))
    statements = 0

    @event.listens_for(log, "before_cursor_execute")
    def note(*_: object) -> None:
        nonlocal statements
        statements += 1

    tracemalloc.start()
    outcome = add_labels(log, TASK, labels, TARGET)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert outcome == LabelOutcome(accepted=2)
    assert stored(log) == {ids[0]: ("3", 0), ids[1]: ("4", 0)}  # the last of each: 1,000,000 = 3 * 333,333 + 1
    assert statements < 10
    assert peak < 5e6


def test_many_unknown_ids_need_few_questions(log: Engine) -> None:
    statements = 0

    @event.listens_for(log, "before_cursor_execute")
    def note(*_: object) -> None:
        nonlocal statements
        statements += 1

    pairs = [(new_id(), "3") for _ in range(20_000)]
    assert add_labels(log, TASK, pairs, TARGET).unknown == list(range(20_000))
    assert statements < 100


def test_the_server_writes_on_while_labels_arrive(log: Engine) -> None:
    """Batches of labels that together would hold SQLite's lock for long leave room for predictions in between."""
    ids = put(log, [answer() for _ in range(20_000)])

    async def main() -> int:
        log_writer, written = LogWriter(log), 0
        for label in ("3", "4"):
            loading = asyncio.create_task(asyncio.to_thread(load, label))
            while not loading.done():
                await log_writer.write([answer()])
                written += 1
            assert loading.result() == len(ids)
        log_writer.close()
        return written

    def load(label: str) -> int:
        outcome = add_labels(log, TASK, [(key, label) for key in ids], TARGET)
        return outcome.accepted + outcome.revised

    assert asyncio.run(main()) >= 20


class TestFiles:
    @pytest.fixture
    def log_address(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path}/predictions.db"

    @pytest.mark.parametrize(
        ("name", "line"),
        [
            ("labels.csv", "{id},{label}"),
            ("labels.jsonl", '{{"id": "{id}", "label": "{label}"}}'),
            ("labels.ndjson", '{{"label": "{label}", "id": "{id}"}}'),
        ],
    )
    @pytest.mark.parametrize("mark", ["", "\ufeff"])
    def test_labels_from_a_file(self, params: Params, tmp_path: Path, name: str, line: str, mark: str) -> None:
        log = open_log(params)
        ids = put(log, [answer() for _ in range(3)])
        given = [(ids[0], "3"), (ids[1], "4"), (new_id(), "4"), (ids[0], "5")]
        header = ["id,label"] if name.endswith("csv") else []
        lines = header + [line.format(id=key, label=label) for key, label in given]
        file = tmp_path / name
        file.write_text(mark + "\n".join(lines) + "\n", encoding="utf-8")
        assert load_file(log, TASK, file, TARGET) == LabelOutcome(accepted=2, unknown=[2])
        assert stored(log) == {ids[0]: ("5", 0), ids[1]: ("4", 0)}

    def test_columns_in_another_order(self, params: Params, tmp_path: Path) -> None:
        log = open_log(params)
        ids = put(log, [answer()])
        (tmp_path / "labels.csv").write_text(f'label,id\r\n"3","{ids[0]}"\r\n')
        assert load_file(log, TASK, tmp_path / "labels.csv", TARGET).accepted == 1

    @pytest.mark.parametrize(
        ("name", "content", "match"),
        [
            ("labels.csv", b"", r"row 1: expected the column names id,label"),
            ("labels.csv", b"key,label\n", r"row 1: expected the column names id,label"),
            ("labels.csv", b"id,label\nKEY,3\nKEY\n", r"row 3: expected 2 columns, found 1; nothing was stored"),
            ("labels.csv", b"id,label\nKEY,3\nKEY,ten\n", r"row 3, column label: not one of the classes 0, 1, .*9"),
            ("labels.csv", b'id,label\nKEY,3\n"KEY,3\n', r"row 3: not CSV"),
            ("labels.csv", b"id,label\nKEY,3\nKEY," + b"3" * 200_000, r"row 3: not CSV \(field larger"),
            ("labels.csv", b"id,label\nKEY,3\nKEY,\xff\n", "not UTF-8 text"),
            ("labels.jsonl", b"", r"it is empty; expected rows of"),
            ("labels.jsonl", b'{"id": "KEY", "label": "4", "label": "3"}\n', r"row 1: not JSON \(it names a key twice"),
            ("labels.jsonl", b'{"id": "KEY", "label": "3"}\n{"id"\n', r"row 2: not JSON"),
            ("labels.jsonl", b"[" * 100_000, r"row 1: it nests too deeply"),
            ("labels.jsonl", b'{"id": "KEY", "label": 3}\n', r"row 1, column label: expected text"),
            ("labels.jsonl", b'{"id": "KEY", "label": "3"}\n\n', r"row 2: not JSON"),
            ("labels.jsonl", b'{"id": "KEY"}\n', r'row 1: expected \{"id": …, "label": …\}'),
            ("labels.jsonl", b'["KEY", "3"]\n', r"row 1: expected"),
            ("labels.xlsx", b"", r"labels are read from \.csv, \.jsonl, \.ndjson files"),
        ],
    )
    def test_a_bad_file_is_refused_whole(
        self, params: Params, tmp_path: Path, name: str, content: bytes, match: str
    ) -> None:
        log = open_log(params)
        ids = put(log, [answer()])
        (tmp_path / name).write_bytes(content.replace(b"KEY", ids[0].encode()))
        with pytest.raises(DataError, match=match) as raised:
            load_file(log, TASK, tmp_path / name, TARGET)
        assert str(raised.value).startswith(str(tmp_path / name))
        assert stored(log) == {}

    def test_no_file(self, params: Params, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"absent\.csv cannot be read: No such file"):
            load_file(open_log(params), TASK, tmp_path / "absent.csv", TARGET)
