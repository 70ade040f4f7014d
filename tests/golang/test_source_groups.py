"""Which files stand together as the sources of a package."""

from __future__ import annotations

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ko_pants.golang.directory import analyze_directory
from ko_pants.golang.embed import EmbedFilter
from ko_pants.golang.repo_paths import is_within
from ko_pants.golang.source_groups import (
    EmbeddingPackages,
    SourceGroup,
    SourceGrouping,
    embed_filters,
    embedder,
    lone_programs,
    program_of,
)

# By path: what a Go file embeds, or None for what is no Go file.
EMBEDS: dict[str, tuple[str, ...] | None] = {
    "go.mod": None,
    "main.go": (),
    "main_test.go": ("testdata/golden.txt",),
    "kodata/index.html": None,
    "web/web.go": ("static", "*_test.go"),
    "web/web_test.go": (),
    "nested/nested_test.go": (),
    "web/static/inner/inner.go": ("page.html",),
    "web/static/inner/x.h": None,
    "nested/go.mod": None,
    "nested/nested.go": (),
    "vendor/modules.txt": None,
    "vendor/example.com/x/x.go": (),
    "include/common.h": None,
}
# Files that do not match the globs of a generator.
OTHERS = (
    "testdata/golden.txt",
    "web/static/app.js",
    "web/static/inner/page.html",
    "web/static/inner/other.html",
    "nested/data.txt",
)


def grouping(embeds: dict[str, tuple[str, ...] | None], root: str = "") -> SourceGrouping:
    """Of the files, which all match."""
    sources = {path: _source(found) for path, found in embeds.items() if found is not None}
    return SourceGrouping(frozenset(embeds), packages_of(sources), root)


def packages_of(sources: dict[str, bytes]) -> EmbeddingPackages:
    """Of Go files by path."""
    directories: dict[str, dict[str, bytes]] = {}
    for path, source in sources.items():
        directory, name = posixpath.split(path)
        directories.setdefault(directory, {})[name] = source
    return EmbeddingPackages.of(
        [analyze_directory(directory, files) for directory, files in sorted(directories.items())]
    )


def _source(patterns: tuple[str, ...]) -> bytes:
    lines = "".join(
        f"//go:embed {pattern}\nvar X{i} string\n" for i, pattern in enumerate(patterns)
    )
    return f'package p\nimport _ "embed"\n{lines}'.encode()


@pytest.mark.parametrize(
    ("path", "group"),
    [
        ("main.go", SourceGroup("")),
        ("include/common.h", SourceGroup("include")),
        ("vendor/example.com/x/x.go", SourceGroup("vendor/example.com/x")),
        ("nested/nested.go", SourceGroup("nested")),
        # What only tests read is apart, of all packages together; what a program embeds is not.
        ("main_test.go", SourceGroup("", tests=True)),
        ("testdata/golden.txt", SourceGroup("", tests=True)),
        ("web/web_test.go", SourceGroup("web")),
        ("nested/nested_test.go", SourceGroup("", tests=True)),
        # An embedded file belongs to the innermost package that embeds it.
        ("web/static/app.js", SourceGroup("web")),
        ("web/static/inner/page.html", SourceGroup("web/static/inner")),
        ("web/static/inner/other.html", SourceGroup("web")),
        ("web/static/inner/x.h", SourceGroup("web/static/inner")),
        # Nothing embeds it.
        ("nested/data.txt", SourceGroup("nested")),
        ("kodata/index.html", SourceGroup("kodata")),
        ("kodata/a/kodata/b.html", SourceGroup("kodata")),
        ("a/kodata", SourceGroup("a")),
        # They stand alone.
        ("go.mod", None),
        ("nested/go.mod", None),
        ("go.work.sum", None),
        ("vendor/modules.txt", None),
        (".ko.yaml", None),
    ],
)
def test_the_group_of_a_file(path: str, group: SourceGroup | None) -> None:
    assert grouping(EMBEDS).group_of(path) == group


def test_a_kodata_above_the_generator_is_no_group() -> None:
    found = grouping({"kodata/app/main.go": ()}, "kodata/app")
    assert found.group_of("kodata/app/main.go") == SourceGroup("kodata/app")
    assert found.group_of("kodata/app/kodata/x/y") == SourceGroup("kodata/app/kodata")


def test_nothing_is_embedded_from_another_module() -> None:
    embeds = {"": EmbedFilter("", ("data",))}
    assert embedder("data/a.txt", embeds) == ""
    assert embedder("data/nested/a.txt", embeds, {"", "data/nested"}) is None
    assert embedder("other/a.txt", embeds) is None


def test_filters_of_tests_of_others_and_of_both() -> None:
    directory = analyze_directory("a", {"a.go": _source(("x",)), "a_test.go": _source(("y",))})
    wanted = [(None, ("x", "y")), (False, ("x",)), (True, ("y",))]
    for tests, patterns in wanted:
        assert embed_filters([directory], tests=tests) == {"a": EmbedFilter("a", patterns)}
    assert embed_filters([analyze_directory("b", {"b.go": _source(())})]) == {}


# A service with packages of its own, one with two programs, a tool, and a library with a generator.
PROGRAMS = {
    "svc/main.go": "package main",
    "svc/internal/store/store.go": "package store",
    "svc/internal/store/store_test.go": "package store",
    "svc/internal/internal/deep/x.go": "package deep",
    "svc/client/client.go": "package client",
    "svc/client/internal/wire/wire.go": "package wire",
    "two/main.go": "package main",
    "two/internal/a.go": "package internal",
    "two/cmd/main.go": "package main",
    "two/cmd/internal/b.go": "package internal",
    "tool/tool.go": "package main",
    "tool/tool_test.go": "package main",
    "lib/lib.go": "package lib",
    "lib/gen.go": "//go:build ignore\n\npackage main",
    "lib/internal/x.go": "package internal",
    "lib/lib_test/main_test.go": "package main",
    "lib/lib_test/internal/x.go": "package internal",
}


@pytest.mark.parametrize(
    ("path", "group"),
    [
        ("svc/main.go", SourceGroup("svc")),
        ("svc/internal/store/store.go", SourceGroup("svc")),
        ("svc/internal/internal/deep/x.go", SourceGroup("svc")),
        ("svc/internal/store/store_test.go", SourceGroup("", tests=True)),
        # Other programs may import it, and with it what only it can import.
        ("svc/client/client.go", SourceGroup("svc/client")),
        ("svc/client/internal/wire/wire.go", SourceGroup("svc/client/internal/wire")),
        # Two programs can import it.
        ("two/main.go", SourceGroup("two")),
        ("two/internal/a.go", SourceGroup("two/internal")),
        ("two/cmd/internal/b.go", SourceGroup("two/cmd")),
        ("tool/tool.go", SourceGroup("tool")),
        # What `go run` alone is meant for makes no program, and neither does a test.
        ("lib/internal/x.go", SourceGroup("lib/internal")),
        ("lib/lib_test/internal/x.go", SourceGroup("lib/lib_test/internal")),
        ("svc/internal/go.mod", None),
        ("svc/kodata/index.html", SourceGroup("svc/kodata")),
    ],
)
def test_the_group_of_a_file_by_program(path: str, group: SourceGroup | None) -> None:
    packages = packages_of({p: source.encode() for p, source in PROGRAMS.items()})
    matched = frozenset({*PROGRAMS, path})
    assert SourceGrouping(matched, packages, by_program=True).group_of(path) == group


def test_the_only_program_of_a_module_can_be_at_its_root() -> None:
    assert lone_programs({"", "cmd"}) == {"cmd"}
    assert lone_programs({""}) == {""}
    assert program_of("internal/a", {""}) == ""
    assert program_of("a/internal", {""}) is None
    assert program_of("", {""}) is None


_NAME = st.sampled_from(["a", "b", "kodata", "vendor", "testdata", "a_test.go", "x@y"])
_FILE = st.sampled_from(["a.go", "b_test.go", "go.mod", "x.txt", "y.h", "modules.txt", ".ko.yaml"])
_PATHS = st.lists(
    st.builds(lambda parts, name: "/".join([*parts, name]), st.lists(_NAME, max_size=4), _FILE),
    unique=True,
)
_PATTERNS = st.lists(st.sampled_from(["a", "*", "all:b", "x.txt", "*_test.go"]), max_size=2)


@given(st.data(), _PATHS, _PATHS)
def test_every_file_is_in_or_below_the_directory_of_its_group(
    data: st.DataObject, matched: list[str], embedded: list[str]
) -> None:
    embeds = {
        path: tuple(data.draw(_PATTERNS)) if path.endswith(".go") else None for path in matched
    }
    found = grouping(embeds)
    for path in {*matched, *embedded}:
        group = found.group_of(path)
        alone = posixpath.basename(path) in ("go.mod", "modules.txt", ".ko.yaml")
        assert (group is None) is alone
        if group is not None:
            assert is_within(posixpath.dirname(path), group.directory)
            # Go files of one group are of one package, unless they are kodata.
            if path.endswith(".go") and path in embeds and not group.directory.endswith("kodata"):
                assert group.tests or group.directory == posixpath.dirname(path)
