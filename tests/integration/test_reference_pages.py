"""The generated pages of docs/reference/ are what the code says."""

from __future__ import annotations

import json
from typing import Any, Callable

import pytest
from docs_site.reference import COMMAND, DIRECTORY, cell, default_and_meaning, pages, type_name
from integration.workspace import Workspace


@pytest.fixture(scope="module")
def made(make_workspace: Callable[..., Workspace]) -> dict[str, str]:
    return pages(json.loads(make_workspace().pants("--no-pantsd", "help-all").ok().stdout))


@pytest.mark.parametrize("name", ["goals.md", "options.md", "targets.md"])
def test_a_generated_page_is_what_the_code_says(made: dict[str, str], name: str) -> None:
    assert (DIRECTORY / name).read_text(encoding="utf-8") == made[name], f"stale: run `{COMMAND}`"


def test_there_is_no_other_generated_page(made: dict[str, str]) -> None:
    assert {path.name for path in DIRECTORY.iterdir()} == set(made)


@pytest.mark.parametrize(
    ("hint", "words"),
    [
        ("str | None", "string"),
        ("str | bool | None", "string or bool"),
        ("Iterable[str] | None", "list of strings"),
        ("'gzip' | 'none' | None", "`gzip` or `none`"),
        ("Dict[str, str] | None", "dict of strings"),
        ("list", "list"),
    ],
)
def test_a_type_is_in_words(hint: str, words: str) -> None:
    assert type_name(hint) == words


@pytest.mark.parametrize(
    ("default", "text", "cells"),
    [
        (None, "Something.", ("none", "Something.")),
        ([], "Something.", ("none", "Something.")),
        (None, "Default: `$KOCACHE`.", ("see meaning", "Default: `$KOCACHE`.")),
        (None, "Default: none.", ("none", "Default: none.")),
        (False, "", ("`False`", "")),
        (0, "", ("`0`", "")),
        ("auto", "", ("`auto`", "")),
        (("A", "a|b"), "", ("`A`, `a\\|b`", "")),
        (["A", "B", "C"], "Names.", ("see meaning", "Names.<br><br>Default: `A`, `B`, `C`.")),
    ],
)
def test_a_default_is_as_one_writes_it(default: Any, text: str, cells: tuple[str, str]) -> None:
    assert default_and_meaning({"default": default, "help": text}, "help") == cells


def test_a_required_field_has_no_default() -> None:
    field = {"default": None, "required": True, "description": "Where."}
    assert default_and_meaning(field, "description") == ("required", "Where.")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One\n  line.\n\nTwo.", "One line.<br><br>Two."),
        ("`a|b` or <c>", "`a\\|b` or &lt;c>"),
        ("all [ko] *.go, `*.go`", "all \\[ko\\] \\*.go, `*.go`"),
    ],
)
def test_a_help_text_fits_into_a_cell(text: str, expected: str) -> None:
    assert cell(text) == expected
