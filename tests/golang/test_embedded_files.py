"""What a package embeds, found on the disk as the go tool finds it."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Sequence

import pytest
from golang.trees import find_go, run_go_list

from ko_pants.disk.disk import Disk
from ko_pants.errors import KoPantsError
from ko_pants.golang.embed import EmbedFilter
from ko_pants.golang.embedded_files import Tree, embedded_files, is_bad_name
from ko_pants.oci.platform import Platform

FILES = (
    *("a.txt", "b.txt", "[id].js", ".dot", "_under", "café.txt", "sp ace.txt"),
    *("static/x.css", "static/.hidden", "static/_draft/y.css", "static/sub/z.css"),
    *("static/.well-known/security.txt", "static/[slug]/page.js", "static/日本.txt"),
    *("static/.git/config", "static/sub/.svn/entries", "static/sub/.hg", "static/.gitignore"),
    # Directories with bad names are left out; files with bad names are refused, see below.
    *("static/console.txt", "static/a@b", "static/aux.d/x", "static/a'b/c", "static/caf\udce9/c"),
    *("static/.q?", "static/_a:b", "static/dot./x"),
    *("static/node_modules/m/go.mod", "static/node_modules/m/m.js", "static/node_modules/n.js"),
    *("nested/go.mod", "nested/n.txt", "nested/deeper/d.txt"),
    *("bad/con.txt", "bad/q?", "bad/com1/x.txt", "dot/.only", "caf\udce9/x", "down/caf\udce9"),
    *("bad1/a?b", "bad2/sub/con.txt", "bad3/dot.", "bad4/NUL", "bad5/½", "bad6/a:b", "empty/aux/x"),
    *("module/go.mod/file", "module/m.txt"),
)
LINKS = {
    "to-file": "a.txt",
    "to-directory": "static/sub",
    "dangling": "nowhere",
    "static/to-file": "../a.txt",
    "static/to-directory": "sub",
    "static/out": "/etc/passwd",
    "static/loop": ".",
    "linked/go.mod": "../a.txt",
}
CSS = {"static/x.css", "static/sub/z.css"}
STATIC = {
    *CSS,
    *("static/[slug]/page.js", "static/日本.txt", "static/console.txt", "static/a@b"),
    "static/node_modules/n.js",
}
HIDDEN = {
    *("static/.hidden", "static/_draft/y.css", "static/.well-known/security.txt"),
    "static/.gitignore",
}

# Patterns, and what they embed.
EMBEDDED: Sequence[tuple[str, set[str]]] = [
    ("a.txt", {"a.txt"}),
    ("?.txt", {"a.txt", "b.txt"}),
    ("[a-b].txt", {"a.txt", "b.txt"}),
    ("\\[id].js", {"[id].js"}),
    ("[[]id\\].js", {"[id].js"}),
    ("[[]id[]].js", set()),
    ("[id].js", set()),
    ("*.txt", {"a.txt", "b.txt", "café.txt", "sp ace.txt"}),
    (".dot", {".dot"}),
    ("_under", {"_under"}),
    ("static", STATIC),
    ("all:static", STATIC | HIDDEN),
    ("static/.well-known", {"static/.well-known/security.txt"}),
    ("static/_draft", {"static/_draft/y.css"}),
    ("static/s*/z.css", {"static/sub/z.css"}),
    ("s*c/s?b", {"static/sub/z.css"}),
    ("static/*.css", {"static/x.css"}),
    ("static/\\[slug]", {"static/[slug]/page.js"}),
    ("static/node_modules", {"static/node_modules/n.js"}),
    ("empty", set()),
    ("dot", set()),
    ("all:dot", {"dot/.only"}),
    ("missing", set()),
    ("missing/*", set()),
    ("a.txt/b", set()),
    ("A.TXT", set()),
    # Malformed: Go says so.
    ("[", set()),
    ("a.txt\\", set()),
    ("[]a]", set()),
    ("static/[", set()),
    ("/a.txt", set()),
    ("./a.txt", set()),
    ("static/../a.txt", set()),
    ("static/", set()),
]

# Patterns that Go refuses, and what the error says.
REFUSED: Sequence[tuple[str, str]] = [
    ("to-file", "irregular file pkg/to-file"),
    ("to-*", "irregular file pkg/to-"),
    ("dangling", "irregular file pkg/dangling"),
    ("static/loop", "irregular file pkg/static/loop"),
    ("pipe", "irregular file pkg/pipe"),
    ("static/socket", "irregular file pkg/static/socket"),
    ("static/*", "pkg/static/"),
    ("to-directory/z.css", "pkg/to-directory is no directory"),
    ("static/*/z*.css", "pkg/static/to-directory is no directory"),
    ("nested", "in a different module, pkg/nested"),
    ("nested/n.txt", "in a different module, pkg/nested"),
    ("all:nested/deeper", "in a different module, pkg/nested"),
    ("static/node_modules/m", "in a different module, pkg/static/node_modules/m"),
    ("module", "in a different module, pkg/module"),
    ("linked", "in a different module, pkg/linked"),
    ("bad", "invalid name con.txt"),
    ("bad1", "cannot embed the file pkg/bad1/a?b: invalid name a?b"),
    ("bad2", "cannot embed the file pkg/bad2/sub/con.txt: invalid name con.txt"),
    ("all:bad3", "invalid name dot."),
    ("bad4", "invalid name NUL"),
    ("bad5", "invalid name ½"),
    ("bad6", "invalid name a:b"),
    ("down", "invalid name caf\\xe9"),
    ("bad/con.txt", "invalid name con.txt"),
    ("bad/q*", "invalid name q?"),
    ("bad/com1/x.txt", "invalid name com1"),
    ("static/.git", "invalid name .git"),
    ("static/.git/config", "invalid name .git"),
    ("static/dot.", "invalid name dot."),
    ("down/*", "caf\\xe9"),
    ("caf*/x", "caf\\xe9"),
]


def make_tree(root: Path) -> None:
    """The files above in one directory."""
    for name in FILES:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    for name, target in LINKS.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(target)
    os.mkfifo(root / "pipe")
    os.mkfifo(root / "static" / "pipe")
    here = os.getcwd()
    # The path of a socket is short.
    os.chdir(root / "static")
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("socket")
    finally:
        os.chdir(here)


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Disk:
    root = tmp_path_factory.mktemp("repo")
    make_tree(root / "pkg")
    return Disk(str(root))


def embedded(disk: Disk, *patterns: str, directory: str = "pkg") -> set[str]:
    """What the patterns embed, relative to the package."""
    found = embedded_files(EmbedFilter(directory, patterns), Tree(disk.entries, disk.resolve))
    assert list(found) == sorted(set(found))
    return {path[len(directory) + 1 :] for path in found}


@pytest.mark.parametrize(("pattern", "expected"), EMBEDDED)
def test_what_a_pattern_embeds(disk: Disk, pattern: str, expected: set[str]) -> None:
    assert embedded(disk, pattern) == expected


@pytest.mark.parametrize(("pattern", "says"), REFUSED)
def test_what_go_refuses_is_an_error(disk: Disk, pattern: str, says: str) -> None:
    with pytest.raises(KoPantsError) as e:
        embedded(disk, pattern)
    assert str(e.value).startswith(f"pkg: `//go:embed {pattern}`: cannot embed the ")
    assert says in str(e.value)
    # The text can be printed, whatever the name of the file.
    str(e.value).encode()


def test_patterns_add_up(disk: Disk) -> None:
    assert embedded(disk, "a.txt", "?.txt", "static/sub", "static") == {
        *("a.txt", "b.txt"),
        *STATIC,
    }
    assert embedded(disk) == set()


def test_a_package_in_the_root(tmp_path: Path) -> None:
    make_tree(tmp_path)
    disk = Disk(str(tmp_path))
    tree = Tree(disk.entries, disk.resolve)
    assert embedded_files(EmbedFilter("", ("?.txt", "static/sub")), tree) == (
        *("a.txt", "b.txt", "static/sub/z.css"),
    )
    with pytest.raises(KoPantsError, match=r"^\.: `//go:embed nested`: .* module, nested$"):
        embedded_files(EmbedFilter("", ("nested",)), tree)


@pytest.mark.parametrize("target", ["nowhere", "/etc/passwd", "../../../outside"])
def test_a_go_mod_that_is_a_bad_link_is_an_error(tmp_path: Path, target: str) -> None:
    # Go takes one that dangles for no go.mod; another machine may see it otherwise.
    (tmp_path / "static/sub").mkdir(parents=True)
    (tmp_path / "static/sub/x.css").touch()
    os.symlink(target, tmp_path / "static/sub/go.mod")
    disk = Disk(str(tmp_path))
    for pattern in ("static", "static/sub", "static/*"):
        with pytest.raises(KoPantsError, match=r"static/sub/go\.mod is a symbolic link"):
            embedded_files(EmbedFilter("", (pattern,)), Tree(disk.entries, disk.resolve))


def test_a_package_that_is_a_module_embeds_from_itself(disk: Disk) -> None:
    assert embedded(disk, "n.txt", "deeper", directory="pkg/nested") == {"n.txt", "deeper/d.txt"}


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "..", "...", "a.", ".git", ".hg", ".svn", ".bzr", "a?b", "a*b", "a:b", "a|b"),
        *("a\\b", 'a"b', "a'b", "a<b", "a>b", "a`b", "a;b", "a\nb", "a\tb", "a\x7fb"),
        *("con", "CON", "Con.txt", "com1", "COM9.tar.gz", "lpt1", "nul.", "PRN", "aux.go"),
        *("½", "a٣", "\u200b", "e\u0301", "caf\udce9"),
    ],
)
def test_bad_names(name: str) -> None:
    assert is_bad_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *("a", ".a", "_a", "a b", "[id]", "{a}", "~", "-a", "!a", "#", "$a", "a%20", "a&b", "(a)"),
        *("a+b", "a,b", "a=b", "a@b", "a^b", ".github", ".gitignore", ".well-known", "..a"),
        *("console", "com", "com0", "com10", "lpt", "null", "x.con", "café", "日本", "Ж"),
    ],
)
def test_good_names(name: str) -> None:
    assert not is_bad_name(name)


def test_go_embeds_the_same(tmp_path: Path) -> None:
    """One package for each pattern, each with all files."""
    go = find_go()
    (tmp_path / "go.mod").write_text("module example.com/app\n\ngo 1.21\n")
    patterns = [pattern for pattern, _ in (*EMBEDDED, *REFUSED)]
    for number, pattern in enumerate(patterns):
        make_tree(tmp_path / f"p{number}")
        (tmp_path / f"p{number}" / "p.go").write_text(
            f'package p\n\nimport "embed"\n\n//go:embed `{pattern}`\nvar files embed.FS\n'
        )
    packages = run_go_list(
        go,
        tmp_path,
        "",
        Platform("linux", "amd64"),
        arguments=(),
        patterns=[f"./p{number}" for number in range(len(patterns))],
    )
    listed = {package["ImportPath"].rpartition("/p")[2]: package for package in packages}
    disk = Disk(str(tmp_path))
    ours, gos = {}, {}
    for number, pattern in enumerate(patterns):
        package = listed[str(number)]
        gos[pattern] = set(package.get("EmbedFiles") or ())
        try:
            ours[pattern] = embedded(disk, pattern, directory=f"p{number}")
        except KoPantsError:
            ours[pattern] = set()
            # What we refuse, Go refuses.
            assert package.get("Error"), pattern
        if not ours[pattern]:
            assert package.get("Error"), pattern
    assert ours == gos
