"""The plugin uses nothing that CPython 3.8 lacks: `./pants` and the wheel take that version too."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Iterator

import pytest

SOURCES = Path(__file__).resolve().parent.parent / "src" / "python" / "ko_pants"

# What came with 3.9 and later, and is easily used without a thought.
NEWER_ATTRIBUTES = {
    *("functools.cache", "ast.unparse", "math.lcm", "random.randbytes", "itertools.pairwise"),
    *("removeprefix", "removesuffix", "is_relative_to", "with_stem", "readlink", "bit_count"),
}
NEWER_KEYWORDS = {"usedforsecurity", "kw_only", "slots"}
NEWER_MODULES = {"zoneinfo", "graphlib", "tomllib"}
GENERIC_TYPES = {"dict", "frozenset", "list", "set", "tuple", "type"}


def newer_names(tree: ast.Module) -> Iterator[str]:
    """What the code uses at run time and 3.8 does not have, with lines."""
    annotations = {id(node) for root in _annotations(tree) for node in ast.walk(root)}
    for node in ast.walk(tree):
        found = "" if id(node) in annotations else _newer_name(node)
        if found:
            yield f"{getattr(node, 'lineno', '?')}: {found}"


def _annotations(tree: ast.Module) -> Iterator[ast.AST]:
    """Annotations, which `from __future__ import annotations` leaves as text."""
    for node in ast.walk(tree):
        for name in ("annotation", "returns"):
            part = getattr(node, name, None)
            if part is not None:
                yield part


def _newer_name(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        module = node.value.id if isinstance(node.value, ast.Name) else ""
        names = {node.attr, f"{module}.{node.attr}"}
        # `os.readlink` is old; it is the method of a path that is new.
        newer = NEWER_ATTRIBUTES - ({"readlink"} if module == "os" else set())
        return next(iter(names & newer), "")
    if isinstance(node, ast.keyword):
        return node.arg if node.arg in NEWER_KEYWORDS else ""
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        modules = [getattr(node, "module", None), *(alias.name for alias in node.names)]
        return next((m for m in modules if m in NEWER_MODULES), "")
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        return f"{node.value.id}[...]" if node.value.id in GENERIC_TYPES else ""
    return ""


@pytest.mark.parametrize(
    "path", sorted(SOURCES.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCES))
)
def test_nothing_newer_than_python_3_8(path: Path) -> None:
    assert list(newer_names(ast.parse(path.read_text(), feature_version=(3, 8)))) == []


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("@functools.cache\ndef f(): pass", "1: functools.cache"),
        ("a = 'x'.removeprefix('y')", "1: removeprefix"),
        ("hashlib.md5(b'', usedforsecurity=False)", "?: usedforsecurity"),
        ("import zoneinfo", "1: zoneinfo"),
        ("Pairs = tuple[str, str]", "1: tuple[...]"),
    ],
)
def test_such_code_is_found(code: str, found: str) -> None:
    (line,) = newer_names(ast.parse(code))
    assert line.endswith(found[2:])
