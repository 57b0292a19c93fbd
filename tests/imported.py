"""What a module of this project rests on: the modules that it imports, and all that those import."""

import ast
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

import closedloop

PACKAGE = Path(closedloop.__file__).parent


def imports(file: Path) -> set[str]:
    """The modules of this project that a file imports when it runs, by their paths in the package."""
    return {found for node in _run(ast.parse(file.read_text())) for found in _modules(node)}


def closure(files: Iterable[Path], beyond: Collection[str] = ()) -> set[str]:
    """All that files rest on; what is imported through the modules and folders in `beyond` is not followed."""
    found: set[str] = set()
    unseen = set().union(*map(imports, files))
    while unseen := {name for name in unseen - found if not within(name, beyond)}:
        found |= unseen
        unseen = set().union(*(imports(PACKAGE / name) for name in unseen))
    return found


def within(name: str, places: Collection[str]) -> bool:
    """Whether a path is one of the places, or below one of them."""
    return any(name == place or name.startswith(f"{place}/") for place in places)


def _run(tree: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a module that are there when it runs."""
    for node in ast.iter_child_nodes(tree):
        if not (isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"):
            yield node
            yield from _run(node)


def _modules(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.ImportFrom) and node.module:
        named = [_file(f"{node.module}.{alias.name}") for alias in node.names]
        yield from (file for file in [*named, _file(node.module)] if file)
    elif isinstance(node, ast.Import):
        yield from (file for file in (_file(alias.name) for alias in node.names) if file)


def _file(module: str) -> str | None:
    """`closedloop.data.idx` -> `data/idx.py`; None for other things than modules of this project with code in them."""
    package, *names = module.split(".")
    if package != "closedloop" or not names:
        return None
    path = "/".join(names)
    for file in (f"{path}.py", f"{path}/__init__.py"):
        if (PACKAGE / file).is_file():
            return file
    return None
