"""Texts in Arrow tables and in requests."""

from typing import TYPE_CHECKING, Any

from closedloop.tasks.base import BadRecord

if TYPE_CHECKING:
    import pyarrow as pa

TEXT = "text"


def texts(examples: "pa.Table") -> list[str]:
    """The texts of a table of examples."""
    found: list[str] = examples.column(TEXT).to_pylist()
    return found


def with_texts(examples: "pa.Table", changed: list[str]) -> "pa.Table":
    """The same examples with other texts."""
    import pyarrow as pa

    return examples.set_column(examples.schema.get_field_index(TEXT), TEXT, pa.array(changed, pa.string()))


def text_schema(longest: int) -> dict[str, Any]:
    """The JSON schema of a text in a request."""
    return {
        "type": "string",
        "minLength": 1,
        "maxLength": longest,
        "description": "The text as it was written.",
    }


def read_records(records: list[dict[str, Any]], longest: int) -> list[str]:
    """The texts of requests; raises BadRecord, which repeats nothing of them."""
    return [_read_record(row, record, longest) for row, record in enumerate(records)]


def _read_record(row: int, record: Any, longest: int) -> str:
    if not isinstance(record, dict) or record.keys() != {TEXT}:
        raise BadRecord(row, "", f"expected an object with exactly one field, {TEXT!r}")
    return read_text(row, record[TEXT], longest)


def read_text(row: int, text: Any, longest: int, field: str = TEXT) -> str:
    """A text of a request; raises BadRecord, which repeats nothing of it."""
    if not isinstance(text, str):
        raise BadRecord(row, field, "expected a string")
    if not text:
        raise BadRecord(row, field, "the text is empty")
    if len(text) > longest:
        raise BadRecord(row, field, f"the text has {len(text)} characters, at most {longest} are taken")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise BadRecord(row, field, f"character {error.start} is half of a surrogate pair: no text has it") from None
    return text
