"""docs/troubleshooting.md quotes messages that the plugin really has."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Iterator, List, Tuple

import pytest

REPO = Path(__file__).resolve().parent.parent
PAGE = REPO / "docs" / "troubleshooting.md"
# What comes from Pants or Go, and is not looked for in the source here.
FOREIGN = "## Messages of Pants"


def quoted() -> List[str]:
    """The messages of the page: the headings that are code."""
    text = PAGE.read_text(encoding="utf-8").partition(FOREIGN)[0]
    return [message.strip() for _, message in re.findall(r"(?m)^### (`+)(.*)\1$", text)]


def template(node: ast.expr) -> str:
    """The text of an expression, with NUL for each part that is known in a run only."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else "\0"
    if isinstance(node, ast.JoinedStr):
        return "".join(template(value) for value in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return template(node.left) + template(node.right)
    return "\0"


def texts() -> Iterator[str]:
    """Every text in the source of the plugin and of the launcher."""
    for path in sorted((REPO / "src" / "python" / "ko_pants").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.Constant, ast.JoinedStr, ast.BinOp)):
                yield template(node)
    shell = (REPO / "scripts" / "environment.sh").read_text(encoding="utf-8")
    for line in re.sub(r'" \\\n\s*"', " ", shell).splitlines():
        yield re.sub(r"\$\w+", "\0", line.replace("\\", ""))


@pytest.fixture(scope="module")
def source() -> Tuple[str, ...]:
    return tuple(text for text in texts() if len(text) > 10)


def pattern(message: str) -> re.Pattern[str]:
    """The message with anything in the place of each `…`."""
    return re.compile(".*".join(map(re.escape, message.split("…"))), re.DOTALL)


def test_there_are_many_messages() -> None:
    assert len(quoted()) >= 40
    assert len(set(quoted())) == len(quoted())


@pytest.mark.parametrize("message", quoted())
def test_a_quoted_message_is_one_of_the_source(source: Tuple[str, ...], message: str) -> None:
    assert max(map(len, message.split("…"))) > 8, "it could be any message: quote more of it"
    found = pattern(message)
    assert any(found.search(text) for text in source), (
        "no text of the source has these words in this order: quote it as it is printed, with … "
        f"for what differs, or move it below `{FOREIGN}`"
    )


def test_a_message_that_is_not_there_is_found_out(source: Tuple[str, ...]) -> None:
    for message in ("no `go` tool of version 1.20", "base image …: was not found"):
        assert not any(pattern(message).search(text) for text in source)
