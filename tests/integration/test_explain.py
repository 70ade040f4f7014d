"""`ko-explain` after publishes of every kind, and what a publish records."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Callable

import pytest
from integration.bases import make_base, write_layout
from integration.go_proxy import GoProxy
from integration.workspace import Run, Workspace, go_mod

MAIN = """package main

import (
	_ "embed"

	"example.com/explained/lib"
)

//go:embed text.txt
var text string

var version = "none"

func main() { println(lib.Text(), text, version) }
"""
LIB = """package lib

import "example.org/explained"

func Text() string {{ return "{}" + explained.Text() }}
"""
APP = "example.com/explained/app"
PLATFORMS = ["linux/amd64", "linux/arm64"]
BOTH = ", ".join(PLATFORMS)
SECRET = "s3cr3t-v4lu3"


def build(program: str = "", image: str = "") -> str:
    """The BUILD file of the service."""
    return (
        f"go_executable(name='program', flags=['-tags=netgo'], {program})\n"
        f"go_oci_image(name='app', binary=':program', base_image='oci:base', "
        f"platforms={PLATFORMS!r}, {image})\n"
    )


def go_mod_of(version: str) -> str:
    """The go.mod, which requires one module from outside."""
    return go_mod("example.com/explained", "", f"require example.org/explained {version}")


def ldflags(value: str) -> str:
    """The field with a variable of the program."""
    return f"ldflags=['-X main.version={value}']"


class Repo:
    """A service with a base image, a package, an embedded file, kodata, and a module."""

    def __init__(self, workspace: Workspace, proxy: GoProxy, cache: Path) -> None:
        self.workspace = workspace
        self._proxy, self._cache = proxy, cache

    def write(self, path: str, content: str) -> None:
        """Write a file of the repo."""
        self.workspace.write({path: content})

    def require(self, version: str) -> None:
        """Have another version of the module."""
        self.write("go.mod", go_mod_of(version))
        self._proxy.go("mod", "tidy", cwd=self.workspace.root, cache=self._cache)

    def write_base(self, text: str) -> str:
        """Exchange the base image; returns its digest."""
        directory = self.workspace.root / "base"
        shutil.rmtree(directory, ignore_errors=True)
        base = make_base(PLATFORMS, text=text)
        write_layout(base, directory)
        return base.digest

    def publish(self, **env: str) -> Run:
        """Publish the image."""
        return self.workspace.publish("app:app", env=env).ok()

    def explain(self, *args: str, **env: str) -> tuple[dict[str, Any], Run]:
        """What `ko-explain` says as JSON. It starts no process that compiles."""
        run = self.workspace.pants("ko-explain", "--format=json", "app:app", *args, env=env).ok()
        assert not [p for p in run.processes if p.startswith("Compile ")]
        (found,) = json.loads(run.stdout)
        return found, run

    def records(self) -> dict[str, bytes]:
        """Every file of the records, by path."""
        directory = self.workspace.kocache / "ko-pants" / "records"
        return {
            str(path.relative_to(directory)): path.read_bytes()
            for path in sorted(directory.rglob("*"))
            if path.is_file()
        }


@pytest.fixture(scope="module")
def repo(
    make_workspace: Callable[..., Workspace], tmp_path_factory: pytest.TempPathFactory
) -> Repo:
    proxy = GoProxy(tmp_path_factory.mktemp("proxy"))
    for version in ("v1.0.0", "v1.1.0"):
        text = f'package explained\n\nfunc Text() string {{ return "{version}" }}\n'
        proxy.add("example.org/explained", version, {"explained.go": text})
    workspace = make_workspace(env=proxy.env)
    made = Repo(workspace, proxy, tmp_path_factory.mktemp("go"))
    workspace.write(
        {
            "app/BUILD": build(ldflags("one")),
            "app/main.go": MAIN,
            "app/text.txt": "embedded\n",
            "app/kodata/index.html": "<p>data\n",
            "lib/lib.go": LIB.format("lib"),
        }
    )
    made.require("v1.0.0")
    made.write_base("base")
    return made


def kinds(changes: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Kind and name of each change."""
    return [(change["kind"], change["name"]) for change in changes]


def test_before_the_first_publish_and_after(repo: Repo) -> None:
    found, _ = repo.explain()
    assert found["last_publish"] is None
    assert "no publish of app:app to " in found["problem"]
    assert "`./pants publish app:app` leaves a record" in found["problem"]
    assert [c["platform"] for c in found["now"]["compiles"]] == PLATFORMS
    assert repo.records() == {}

    published = repo.publish().images["app:app"]

    found, _ = repo.explain()
    assert found["problem"] == ""
    last = found["last_publish"]
    assert last["digest"] == published["digest"]
    assert last["compared_with"] is None
    assert list(last["destinations"].values()) == ["written"]
    assert kinds(last["changes"]) == [("first publish", "app:app")]
    assert (found["now"]["changes"], found["now"]["compiles"]) == ([], [])
    assert found["now"]["compared"] == last["compared"]
    assert last["compared"]["source file"] == 4
    assert last["compared"]["embedded file"] == last["compared"]["kodata file"] == 1


def test_without_a_change_nothing_is_written(repo: Repo) -> None:
    before = repo.records()
    assert before

    repo.publish()
    repo.workspace.end_daemon()
    run = repo.publish()

    assert run.images["app:app"]["published"] is False
    assert repo.records() == before
    text = repo.workspace.pants("ko-explain", "app:app").ok().stdout
    assert "nothing changed. The same are: 2 platforms, 1 program, " in text
    assert "4 source files, 1 embedded file, 1 kodata file." in text
    assert "A publish would compile nothing." in text


def check_edit(
    repo: Repo,
    edit: Callable[[], object],
    expected: list[tuple[str, str]],
    *,
    compiles: bool,
    **env: str,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], Run]:
    """Edit; ask; publish; ask.

    :returns: the changes that were found before the publish and after it, and the publish.
    """
    edit()
    before, _ = repo.explain(**env)
    assert kinds(before["now"]["changes"]) == expected
    wanted = [{"program": APP, "platform": p} for p in PLATFORMS]
    assert before["now"]["compiles"] == (wanted if compiles else [])

    run = repo.publish(**env)
    compiled = [p for p in run.processes if p.startswith("Compile ")]
    assert compiled == ([f"Compile {APP} for {p}" for p in PLATFORMS] if compiles else [])

    after, _ = repo.explain(**env)
    assert after["now"]["changes"] == []
    last = after["last_publish"]
    assert kinds(last["changes"]) == expected
    assert last["compared_with"] == before["last_publish"]["digest"]
    assert last["digest"] == run.images["app:app"]["digest"]
    for one, two in zip(before["now"]["changes"], last["changes"]):
        assert (one["before"], one["after"]) == (two["before"], two["after"])
    return before["now"]["changes"], last["changes"], run


def test_an_edit_of_a_source_file(repo: Repo) -> None:
    (before,), (after,), _ = check_edit(
        repo,
        lambda: repo.write("lib/lib.go", LIB.format("edited")),
        [("source file", "lib/lib.go")],
        compiles=True,
    )

    assert before["caused"] == [f"compile for {BOTH} would run"]
    assert after["caused"] == [
        f"compile for {BOTH} ran",
        f"the executable for {BOTH} is another, its layer was written",
    ]
    assert after["before"] != after["after"]


def test_a_comment_makes_the_same_image(repo: Repo) -> None:
    _, (change,), run = check_edit(
        repo,
        lambda: repo.write("lib/lib.go", LIB.format("edited") + "// A comment.\n"),
        [("source file", "lib/lib.go")],
        compiles=True,
    )

    assert run.images["app:app"]["published"] is False
    assert change["caused"] == [
        f"compile for {BOTH} ran",
        f"the executable for {BOTH} is the same",
        "the image is the same, so nothing was pushed",
    ]


def test_a_linker_flag_is_named_without_its_value(repo: Repo) -> None:
    _, (change,), _ = check_edit(
        repo,
        lambda: repo.write("app/BUILD", build(ldflags(SECRET))),
        [("flag", "-ldflags -X main.version")],
        compiles=True,
    )

    assert (change["before"], change["after"]) == ("(not shown)", "(not shown)")
    assert not [name for name, content in repo.records().items() if SECRET.encode() in content]


def test_an_embedded_file(repo: Repo) -> None:
    check_edit(
        repo,
        lambda: repo.write("app/text.txt", "edited\n"),
        [("embedded file", "app/text.txt")],
        compiles=True,
    )


def test_a_file_of_kodata(repo: Repo) -> None:
    (before,), (after,), _ = check_edit(
        repo,
        lambda: repo.write("app/kodata/more.html", "<p>more\n"),
        [("kodata file", "app/kodata/more.html")],
        compiles=False,
    )

    assert before["before"] is None
    assert before["caused"] == ["the layer of kodata would be made"]
    assert after["caused"] == ["the layer of kodata was made anew and written"]


def test_a_base_image(repo: Repo) -> None:
    (_,), (change,), _ = check_edit(
        repo, lambda: repo.write_base("new"), [("base image", "base_image")], compiles=False
    )

    assert change["before"] != change["after"]
    assert change["after"].startswith("oci:base@sha256:")
    assert change["caused"] == ["the image was composed anew, without a compile"]


def test_a_module(repo: Repo) -> None:
    (_,), (change,), _ = check_edit(
        repo,
        lambda: repo.require("v1.1.0"),
        [("module", "example.org/explained")],
        compiles=True,
    )

    assert (change["before"], change["after"]) == ("v1.0.0", "v1.1.0")


def test_a_variable_of_the_environment(repo: Repo) -> None:
    (_,), (change,), run = check_edit(
        repo,
        lambda: None,
        [("environment variable", "GOPRIVATE")],
        compiles=True,
        GOPRIVATE=f"example.com/{SECRET}",
    )

    assert (change["before"], change["after"]) == (None, "(not shown)")
    assert run.images["app:app"]["published"] is False
    assert not [name for name, content in repo.records().items() if SECRET.encode() in content]
    repo.publish()


def test_a_field_an_option_and_a_platform(repo: Repo) -> None:
    check_edit(
        repo,
        lambda: repo.write("app/BUILD", build(ldflags(SECRET), "user='0'")),
        [("field", "user")],
        compiles=False,
    )

    run = repo.workspace.pants(
        "--ko-layer-compression=zstd", "ko-explain", "--format=json", "app:app"
    ).ok()
    (found,) = json.loads(run.stdout)
    assert kinds(found["now"]["changes"]) == [
        ("compressor", "compressor"),
        ("option", "[ko].layer_compression"),
    ]
    assert found["now"]["compiles"] == []

    one = build(ldflags(SECRET), "user='0'").replace(f"{PLATFORMS!r}", f"{PLATFORMS[:1]!r}")
    repo.write("app/BUILD", one)
    found, _ = repo.explain()
    assert kinds(found["now"]["changes"]) == [("platform", "linux/arm64")]
    assert found["now"]["compiles"] == []
    repo.write("app/BUILD", build(ldflags(SECRET), "user='0'"))


def test_damaged_records_are_said_and_come_back(repo: Repo) -> None:
    directory = repo.workspace.kocache / "ko-pants" / "records"
    for path in directory.rglob("*"):
        if path.is_file():
            path.write_bytes(b"damaged")

    found, run = repo.explain()
    assert found["last_publish"] is None
    assert "it is taken as absent until rewritten" in run.stderr

    repo.publish()
    found, _ = repo.explain()
    assert found["last_publish"] is not None
    assert found["now"]["changes"] == []


def test_mistakes_are_said(repo: Repo) -> None:
    run = repo.workspace.pants("ko-explain", "app:program")
    assert run.exit_code == 1
    assert "ko-explain: found app:program (a `go_executable`); expected a `go_oci_image`" in (
        run.stderr
    )
    run = repo.workspace.pants("ko-explain", "--format=xml", "app:app")
    assert "there is no format 'xml'; expected text or json" in run.stderr


def test_the_records_are_shown_and_pruned(repo: Repo) -> None:
    shown = repo.workspace.pants("ko-cache").ok().stdout
    assert "records of what 1 images were made from (" in shown

    repo.workspace.pants("ko-cache", "--prune", "--max-age-days=0").ok()
    assert set(repo.records()) <= {"lock"}
