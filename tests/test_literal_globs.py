"""Paths as globs."""

from __future__ import annotations

import fnmatch
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ko_pants.literal_globs import literal_glob


@pytest.mark.parametrize(
    ("path", "glob"),
    [
        ("cmd/app/main.go", "cmd/app/main.go"),
        ("static/[id].js", "static/[[]id].js"),
        ("d/[slug]/page.js", "d/[[]slug]/page.js"),
        ("d/[...all]/a", "d/[[]...all]/a"),
        ("a*b?c", "a[*]b[?]c"),
        ("**/x", "[*][*]/x"),
        ("!important", "./!important"),
        ("![x]", "./![[]x]"),
        ("a/!b", "a/!b"),
        ("{a,b}", "{a,b}"),
        ("", ""),
    ],
)
def test_globs(path: str, glob: str) -> None:
    assert literal_glob(path) == glob


# fnmatch has the same wildcards as the globs of Pants, but for `**`.
@given(st.text("ab*?[]!-^", min_size=1), st.text("ab*?[]!-^", min_size=1))
def test_a_glob_matches_its_path_alone(path: str, other: str) -> None:
    glob = re.sub(r"^\./", "", literal_glob(path))
    assert fnmatch.fnmatchcase(path, glob)
    assert fnmatch.fnmatchcase(other, glob) is (other == path)
