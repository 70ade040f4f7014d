"""Which directories of the repo stand in for modules."""

from __future__ import annotations

import pytest

from ko_pants.golang.go_mod import GoMod, Require
from ko_pants.golang.go_work import GoWork
from ko_pants.golang.modfile import Replace
from ko_pants.golang.replacements import LocalReplacement, local_replacements


def local(old: str, new: str, version: str = "", line: int = 1) -> Replace:
    return Replace(old, version, new, "", line)


def module(*replaces: Replace, requires: str = "x v1", go: str = "1.21", at: str = "a") -> GoMod:
    required = tuple(
        Require(path, version) for path, version in (r.split() for r in requires.split(",") if r)
    )
    return GoMod(f"{at}/go.mod", at, go, required, replaces)


def found(*mains: GoMod, work: GoWork | None = None) -> list[tuple[str, str]]:
    by_directory = {main.module: main for main in mains}
    return [(r.path, r.target) for r in local_replacements(work, by_directory)]


def test_where_it_stands() -> None:
    (replacement,) = local_replacements(None, {"a": module(local("x", "../x", line=7))})
    assert replacement == LocalReplacement("x", "a", "../x", "a/go.mod:7")


def test_only_what_is_required() -> None:
    replaces = (local("x", "./x"), local("y", "./y"), local("z", "./z", "v1"))
    assert found(module(*replaces)) == [("x", "./x")]
    assert found(module(*replaces, requires="y v1,z v1")) == [("y", "./y"), ("z", "./z")]
    assert found(module(*replaces, requires="")) == []
    assert found(module(local("q", "./q"), local("x", "./x"))) == [("x", "./x")]


@pytest.mark.parametrize("go", ["1.16", ""])
def test_all_where_go_mod_may_not_name_what_is_required(go: str) -> None:
    replaces = (local("x", "./x"), local("y", "./y"), local("x", "./x2", "v9"))
    expected = [("x", "./x"), ("y", "./y"), ("x", "./x2")]
    assert found(module(*replaces, go=go)) == expected
    assert found(module(*replaces, go="1.17")) == [("x", "./x")]


def test_the_version_in_use_decides() -> None:
    for_all, for_one = local("x", "./all"), local("x", "./one", "v1")
    assert found(module(for_all, for_one)) == [("x", "./one")]
    assert found(module(for_one, for_all)) == [("x", "./one")]
    assert found(module(for_all, for_one, requires="x v2")) == [("x", "./all")]
    # That of another module does not count.
    assert found(module(for_all, local("y", "./y", "v1"))) == [("x", "./all")]
    # A module in place of the version in use leaves no directory.
    assert found(module(for_all, Replace("x", "v1", "fork", "v1", 2))) == []


def test_modules_in_place_of_modules_are_none() -> None:
    fork = Replace("x", "", "fork", "v1", 1)
    assert found(module(fork)) == []
    assert found(module(fork, local("y", "./y"), requires="x v1,y v1")) == [("y", "./y")]


def test_each_once() -> None:
    twice = module(local("x", "./x"), local("x", "./x"), local("y", "./y"), requires="x v1,y v1")
    assert found(twice) == [("x", "./x"), ("y", "./y")]


WORK = GoWork("w/go.work", "1.21", ("./a", "./b"), (local("x", "../x", line=3),))


def test_go_work_comes_first_and_wins() -> None:
    mains = (module(local("x", "./mine"), local("y", "./y")), module(local("z", "./z"), at="b"))
    replacements = list(local_replacements(WORK, {main.module: main for main in mains}))
    assert replacements == [
        LocalReplacement("x", "w", "../x", "w/go.work:3"),
        LocalReplacement("y", "a", "./y", "a/go.mod:1"),
        LocalReplacement("z", "b", "./z", "b/go.mod:1"),
    ]


def test_go_work_overrides_all_versions() -> None:
    assert found(module(local("x", "./mine", "v1")), work=WORK) == [("x", "../x")]


def test_go_work_may_override_one_version_alone() -> None:
    work = GoWork("go.work", "1.21", (), (local("x", "./one", "v1"),))
    main = module(local("x", "./mine", "v1"), local("x", "./mine2", "v2"), local("x", "./all"))
    assert found(main, work=work) == [("x", "./one"), ("x", "./mine2"), ("x", "./all")]


def test_in_a_workspace_the_versions_in_use_are_not_known() -> None:
    main = module(local("x", "./x", "v9"), local("q", "./q"))
    assert found(main, work=GoWork("go.work")) == [("x", "./x"), ("q", "./q")]
