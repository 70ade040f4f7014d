from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from golang.trees import Tree, find_go, listed_files, read_tree, run_go_list, write_tree
from hypothesis import given
from hypothesis import strategies as st

from ko_pants.golang.directory import GoDirectory
from ko_pants.golang.embed import EmbedFilter
from ko_pants.oci.platform import Platform

FILES = (
    *("a.txt", "b.txt", "ab.html", "static/x.css", "static/.hidden", "static/_draft/y.css"),
    *("static/sub/z.css", "static/.git/config", "_top/t.txt", ".dot", "sp ace.txt", "x-y.txt"),
    *("nested/go.mod", "nested/n.txt", "static/inner/go.mod", "static/inner/i.txt"),
)
BOUNDARIES = ("pkg/nested", "pkg/static/inner")
TEXTS = {"a.txt", "b.txt", "sp ace.txt", "x-y.txt"}
CSS = {"static/x.css", "static/sub/z.css"}


@pytest.mark.parametrize(
    ("pattern", "matched"),
    [
        ("a.txt", {"a.txt"}),
        ("*.txt", TEXTS),
        ("?.txt", {"a.txt", "b.txt"}),
        ("[a-b].txt", {"a.txt", "b.txt"}),
        ("[^a].txt", {"b.txt"}),
        ("x[\\-]y.txt", {"x-y.txt"}),
        ("\\a.txt", {"a.txt"}),
        ("static", CSS),
        ("all:static", CSS | {"static/.hidden", "static/_draft/y.css"}),
        ("static/*.css", {"static/x.css"}),
        ("static/*", CSS | {"static/.hidden", "static/_draft/y.css", "static/.git/config"}),
        ("stat*/sub", {"static/sub/z.css"}),
        ("_top", {"_top/t.txt"}),
        (".dot", {".dot"}),
        ("nested", set()),
        ("static/inner/i.txt", set()),
        ("sp ace.txt", {"sp ace.txt"}),
        ("../pkg/a.txt", set()),
        ("/a.txt", set()),
        ("[", set()),
        ("a.txt\\", set()),
    ],
)
def test_patterns(pattern: str, matched: set[str]) -> None:
    embed = EmbedFilter("pkg", (pattern,), BOUNDARIES)
    found = {name: embed.matches(f"pkg/{name}") for name in FILES}
    assert found == {name: name in matched for name in FILES}
    assert embed.matches("other/a.txt") is False
    assert embed.matches("pkg") is False


@pytest.mark.parametrize("directory", [".bzr", ".git", ".hg", ".svn"])
def test_version_control_is_never_embedded_from_within_a_directory(directory: str) -> None:
    assert not EmbedFilter("", ("all:static",)).matches(f"static/{directory}/config")
    assert not EmbedFilter("", ("all:static",)).matches(f"static/{directory}")
    assert EmbedFilter("", ("all:static",)).matches(f"static/x{directory}/config")


def matches(pattern: str, *paths: str) -> list[str]:
    embed = EmbedFilter("", (pattern,))
    return [path for path in paths if embed.matches(path)]


def test_classes() -> None:
    letters = ("a", "b", "c", "d", "X", "-", "]", "^", "\\")
    assert matches("[ac]", *letters) == ["a", "c"]
    assert matches("[a-bd]", *letters) == ["a", "b", "d"]
    assert matches("[^a-c]", *letters) == ["d", "X", "-", "]", "^", "\\"]
    assert matches("[\\]a]", *letters) == ["a", "]"]
    assert matches("[a^]", *letters) == ["a", "^"]
    # path.Match takes a range in this order for one without characters.
    assert matches("[c-a]", *letters) == []
    assert matches("[c-ab]", *letters) == ["b"]
    assert matches("[^c-a]", *letters) == list(letters)
    # Malformed.
    for pattern in ("[]", "[a", "[a\\]"):
        assert matches(pattern, *letters) == []


def test_the_root_and_paths_that_are_too_short() -> None:
    assert matches("a/b", "a", "a/b", "a/b/c", "a/c", "b") == ["a/b", "a/b/c"]
    assert matches("*", "a", ".b") == ["a", ".b"]
    embed = EmbedFilter("pkg", ("*",))
    found = {path: embed.matches(path) for path in ("pkg/a", "oth/a", "pkg", "pkgs/a", "a")}
    assert found == {"pkg/a": True, "oth/a": False, "pkg": False, "pkgs/a": False, "a": False}
    assert EmbedFilter("", ("a", "b.txt")).matches("b.txt")


def as_expression(glob: str) -> re.Pattern[str]:
    """What Pants takes a glob for: `**` is any number of directories or, at the end, files."""
    parts = []
    for part in glob.split("/"):
        if part == "**":
            parts.append(".+")
        else:
            parts.append("[^/]*".join(re.escape(literal) for literal in part.split("*")))
    return re.compile("/".join(parts))


NAMES = st.one_of(
    st.text(alphabet="ab[]*?\\!{}-.", min_size=1, max_size=4),
    st.lists(st.sampled_from(["a", "b", "*", "?", "[ab]", "[^a]", "\\*", "!", "{"])).map("".join),
).filter(bool)


@given(st.lists(NAMES, min_size=1, max_size=3), st.lists(NAMES, min_size=1, max_size=4))
def test_globs_take_in_whatever_matches(pattern: list[str], path: list[str]) -> None:
    embed = EmbedFilter("", ("/".join(pattern),))
    globs = embed.globs()
    assert not any(set(glob) & set("?[]{}!\\") for glob in globs)
    if embed.matches("/".join(path)):
        assert any(as_expression(glob).fullmatch("/".join(path)) for glob in globs)


@pytest.mark.parametrize("pattern", ["", ".", "..", "../x", "./x", "a/../b", "a//b", "/x", "a/"])
def test_paths_that_go_refuses_have_no_globs(pattern: str) -> None:
    assert EmbedFilter("p", (pattern, f"all:{pattern}")).globs() == ()


@pytest.mark.parametrize(
    ("pattern", "glob"),
    [
        ("static/*.css", "static/*.css"),
        ("all:a/b", "a/b"),
        # Never `**`, which stands for directories.
        ("[a][b].txt", "*.txt"),
        ("a**b", "a*b"),
        ("x?\\*y", "x*y"),
        # A class after another wildcard.
        ("img?[0-9].png", "img*.png"),
        ("*[ab]", "*"),
        ("x!{[a]", "x*"),
        ("a{b,c}!d", "a*b,c*d"),
        ("a\\\nb", "a*b"),
    ],
)
def test_wider_globs(pattern: str, glob: str) -> None:
    assert EmbedFilter("p", (pattern,)).globs() == (glob, f"{glob}/**")


def test_globs_of_a_package_in_the_root() -> None:
    assert EmbedFilter("", ("all:static", "a[0-9].txt")).globs() == (
        *("a*.txt", "a*.txt/**", "static", "static/**"),
    )


def test_go_embeds_the_same(tmp_path: Path) -> None:
    """Random patterns over one tree, a package each, against `go list`."""
    go = find_go()
    random.seed(7)
    names = [n for n in FILES if "go.mod" not in n and ".git" not in n and "nested" not in n]
    files = {"go.mod": "module example.com/m\n\ngo 1.21\n"}
    for index in range(60):
        patterns = []
        for _ in range(random.randint(1, 2)):
            pattern = random.choice(names)
            depth = random.randint(1, pattern.count("/") + 1)
            parts = pattern.split("/")[:depth]
            spot = random.randrange(len(parts))
            change = random.choice(["keep", "*", "?", "class"])
            if change == "*":
                parts[spot] = parts[spot][0] + "*"
            elif change == "?":
                parts[spot] = "?" + parts[spot][1:]
            elif change == "class":
                parts[spot] = f"[{parts[spot][0]}-{parts[spot][0]}z]{parts[spot][1:]}"
            patterns.append(random.choice(["", "", "all:"]) + "/".join(parts))
        directory = f"p{index:02}"
        quoted = " ".join(f"`{pattern}`" for pattern in patterns)
        files[f"{directory}/p.go"] = (
            f'package main\n\nimport "embed"\n\n//go:embed {quoted}\nvar F embed.FS\n'
        )
        for name in names:
            files[f"{directory}/{name}"] = name
        files[f"{directory}/static/inner/go.mod"] = "module inner\n"
        files[f"{directory}/static/inner/i.txt"] = "i"
    write_tree(tmp_path, files)
    tree = Tree(read_tree(tmp_path))
    compared = 0
    platform = Platform("linux", "amd64")
    for package in run_go_list(go, tmp_path, "", platform, [], ["./..."]):
        if package.get("Error"):
            continue
        directory = Path(package["Dir"]).name
        closure = tree.closure(directory, [platform])
        embedded = listed_files([package], tmp_path)[1]
        assert {p for p in tree.files if closure.is_embedded(p)} == embedded, package[
            "EmbedPatterns"
        ]
        compared += 1
    assert compared > 30


def test_a_directory_is_hashable() -> None:
    assert hash(EmbedFilter("p", ("a",))) == hash(EmbedFilter("p", ("a",)))
    assert hash(GoDirectory("p")) == hash(GoDirectory("p"))
