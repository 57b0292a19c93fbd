"""Nested mappings by dotted keys: {"a": {"b": 1}} and {"a.b": 1}."""

from collections.abc import Callable, Mapping
from typing import Any


def flatten(
    content: Mapping[str, Any], prefix: str = "", is_leaf: Callable[[Mapping[str, Any]], bool] = lambda _: False
) -> dict[str, Any]:
    """{"a": {"b": 1}} -> {"a.b": 1}; a mapping of which `is_leaf` holds is taken whole."""
    flat: dict[str, Any] = {}
    for key, value in content.items():
        inner = isinstance(value, Mapping) and not is_leaf(value)
        flat.update(flatten(value, f"{prefix}{key}.", is_leaf) if inner else {f"{prefix}{key}": value})
    return flat


def put(content: dict[str, Any], key: str, value: Any) -> None:
    """Set a value by its dotted key, with the sections on the way to it."""
    *sections, name = key.split(".")
    for section in sections:
        content = content.setdefault(section, {})
    content[name] = value
