"""YAML with comments beside its values."""

import json
import re
import textwrap
from dataclasses import dataclass
from typing import Any

import yaml

WIDTH = 118


@dataclass(frozen=True)
class Noted:
    """A value, and what a person should know about it."""

    value: Any
    note: str


def to_yaml(content: dict[str, Any], indent: int = 0) -> str:
    """Nested dictionaries as block YAML, lists as flow YAML; a note follows its value, or precedes it when long."""
    lines: list[str] = []
    margin = " " * indent
    for key, noted in content.items():
        value, note = (noted.value, noted.note) if isinstance(noted, Noted) else (noted, "")
        if isinstance(value, dict):
            lines += [*_comment(note, margin), f"{margin}{key}:", to_yaml(value, indent + 2).rstrip("\n")]
            continue
        if isinstance(value, list) and value and isinstance(value[0], dict):
            lines += [*_comment(note, margin), f"{margin}{key}:", *(f"{margin}  - {scalar(one)}" for one in value)]
            continue
        line = f"{margin}{key}: {scalar(value)}"
        if isinstance(value, list) and len(line) > WIDTH:
            line = f"{margin}{key}: " + _wrapped_list(value, margin)
        if note and "\n" not in line and len(line) + len(note) + 3 <= WIDTH:
            lines.append(f"{line:25} # {note}")
        else:
            lines += [*_comment(note, margin), line]
    return "\n".join(lines) + "\n"


def scalar(value: Any) -> str:
    """A value in flow YAML that reads back as it is, through YAML and through OmegaConf."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{scalar(key)}: {scalar(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(scalar, value)) + "]"
    if isinstance(value, str):
        plain = re.fullmatch(r"[^\W\d][\w .-]*", value) and value == value.strip() and yaml.safe_load(value) == value
        # OmegaConf would look up what stands in ${}
        return value if plain else json.dumps(value.replace("${", "\\${"), ensure_ascii=False)
    return json.dumps(value)


def _wrapped_list(values: list[Any], margin: str) -> str:
    lines, line = [], ""
    for value in values:
        item = scalar(value) + ", "
        if line and len(margin) + 4 + len(line) + len(item) > WIDTH:
            lines.append(line.rstrip())
            line = ""
        line += item
    lines.append(line.removesuffix(", "))
    return "[\n" + "\n".join(f"{margin}    {line}" for line in lines) + f"\n{margin}  ]"


def _comment(note: str, margin: str) -> list[str]:
    return [f"{margin}# {line}" for line in textwrap.wrap(note, WIDTH - len(margin) - 2)]
