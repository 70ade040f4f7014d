"""The work for the dependencies of all images grows with the repo, and not faster.

Nothing is timed: twice the services may take twice the calls, globs and nodes of the engine.
"""

from __future__ import annotations

import functools
from collections import Counter
from typing import Any

import pytest
from call_counts import count_calls
from pants.engine.addresses import Address, Addresses
from pants.engine.fs import CreateDigest, Digest, FileContent
from pants.engine.internals.graph import Owners, OwnersRequest
from pants.engine.target import AllTargets, DependenciesRequest
from pants.testutil.rule_runner import RuleRunner
from rules.engine_runner import configure, new_runner

from ko_pants import daemon_memory
from ko_pants.disk.disk import Disk
from ko_pants.golang import disk_questions, workspace
from ko_pants.rules import go_directory, go_module_set, repo_files
from ko_pants.target_types import GoOciImageDependenciesField, GoSourceDependenciesField

MODULE = "example.com/many"
FEW, MANY = 6, 12


def repo(services: int, *, go_work: bool, unit: str = "file") -> dict[str, str]:
    """Services with a package of their own, over two shared packages.

    :param unit: what there is a target for.
    """
    files = {
        "BUILD": f"go_sources(name='go', one_target_per={unit!r})\n",
        "go.mod": f"module {MODULE}\ngo 1.21\n",
        "lib/a/a.go": f'package a\nimport _ "{MODULE}/lib/b"\n',
        "lib/b/b.go": "package b\n",
        "lib/b/b_test.go": "package b\n",
    }
    for number in range(services):
        directory = f"services/s{number:02}"
        files[f"{directory}/BUILD"] = "go_oci_image(platforms=['linux/amd64'])\n"
        files[f"{directory}/main.go"] = (
            f'package main\nimport _ "{MODULE}/{directory}/own"\nfunc main() {{}}\n'
        )
        files[f"{directory}/own/own.go"] = f'package own\nimport _ "{MODULE}/lib/a"\n'
        if go_work:
            files[f"{directory}/go.mod"] = f"module {MODULE}/{directory}\ngo 1.21\n"
    if go_work:
        uses = "".join(f"use ./services/s{number:02}\n" for number in range(services))
        files["go.work"] = f"go 1.21\nuse .\n{uses}"
    return files


class Engine:
    """An engine with such a repo."""

    def __init__(self, services: int, *, go_work: bool, unit: str = "file") -> None:
        daemon_memory.clear_all()
        self.services = services
        queries: list[Any] = [(Addresses, [DependenciesRequest]), (Owners, [OwnersRequest])]
        queries.append((AllTargets, []))
        self.runner: RuleRunner = new_runner(queries)
        self.runner.write_files(repo(services, go_work=go_work, unit=unit))

    def dependencies(self) -> dict[str, set[str]]:
        """Of all images, by directory, in a new run."""
        configure(self.runner)
        return {
            d: self._of(Address(d)) for d in map("services/s{:02}".format, range(self.services))
        }

    def dependencies_of_go_work(self) -> set[str]:
        """Of the `go_source` of go.work."""
        return self._of(Address("", target_name="go", relative_file_path="go.work"))

    def owners(self, path: str) -> set[str]:
        """Of a file."""
        found = self.runner.request(Owners, [OwnersRequest((path,))])
        return {a.filename if a.is_file_target else a.spec for a in found}

    def nodes(self) -> int:
        """How many the engine's graph has."""
        return self.runner.scheduler.metrics()["resulting_graph_size"]

    def _of(self, address: Address) -> set[str]:
        target = self.runner.get_target(address)
        for field in (GoOciImageDependenciesField, GoSourceDependenciesField):
            if target.has_field(field):
                found = self.runner.request(Addresses, [DependenciesRequest(target[field])])
                return {a.filename if a.is_file_target else a.spec for a in found}
        raise AssertionError(address)


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Calls of what may take long, and the globs that the engine is asked for."""
    found: Counter[str] = Counter()

    counted = functools.partial(count_calls, monkeypatch, found)

    def globs(result: Any) -> int:
        return len(result.globs)

    counted(disk_questions, "analyze_directory")
    counted(disk_questions, "find_module_set")
    counted(workspace, "parse_go_mod")
    counted(workspace, "parse_go_work")
    counted(Disk, "state")
    counted(Disk, "entries")
    # What reads Go files and module files by the engine, which stores them.
    counted(go_directory, "analyze_directory", counted_as="analyzed by the engine")
    counted(go_module_set, "find_module_set", counted_as="analyzed by the engine")
    counted(repo_files, "_globs", size=globs)
    counted(repo_files, "_patterns", size=globs)
    return found


both_layouts = pytest.mark.parametrize("go_work", [False, True], ids=["one module", "go.work"])
both_units = pytest.mark.parametrize("unit", ["file", "package"])


@both_units
@both_layouts
def test_twice_the_services_take_twice_the_work(
    counts: Counter[str], go_work: bool, unit: str
) -> None:
    work: list[Counter[str]] = []
    for services in (FEW, MANY):
        counts.clear()
        engine = Engine(services, go_work=go_work, unit=unit)
        engine.dependencies()
        work.append(Counter({**counts, "nodes": engine.nodes()}))
    few, many = work
    assert set(few) == set(many)
    assert {name: many[name] for name in many if many[name] > 2 * few[name]} == {}
    assert many["find_module_set"] == 1
    assert many["analyze_directory"] < 4 * MANY


@both_units
@both_layouts
def test_an_edit_does_not_do_all_images_again(
    counts: Counter[str], go_work: bool, unit: str
) -> None:
    engine = Engine(MANY, go_work=go_work, unit=unit)
    before = engine.dependencies()
    engine.dependencies()
    counts.clear()
    text = repo(MANY, go_work=go_work)["services/s00/own/own.go"]
    engine.runner.write_files({"services/s00/own/own.go": text + "func F() {}\n"})
    assert engine.dependencies() == before
    assert counts["analyze_directory"] == 1
    assert counts["_globs"] + counts["_patterns"] == 0


@both_units
@both_layouts
def test_the_engine_reads_no_file_for_targets_and_dependencies(
    counts: Counter[str], go_work: bool, unit: str
) -> None:
    engine = Engine(FEW, go_work=go_work, unit=unit)
    targets = engine.runner.request(AllTargets, [])
    assert len(targets) > 3 * FEW
    assert counts["_globs"] + counts["_patterns"] == 0
    engine.dependencies()
    assert counts["analyzed by the engine"] == 0


@both_units
def test_an_edit_that_embeds_a_file_gives_it_an_owner_and_a_dependent(unit: str) -> None:
    engine = Engine(FEW, go_work=False, unit=unit)
    engine.runner.write_files({"lib/b/data.txt": "data"})
    owner = {"file": "lib/b/data.txt", "package": "//:go#lib/b"}[unit]
    assert engine.owners("lib/b/data.txt") == set()
    engine.runner.write_files({"lib/b/b.go": 'package b\nimport _ "embed"\n//go:embed *.txt\n'})
    assert all(owner in found for found in engine.dependencies().values())
    assert engine.owners("lib/b/data.txt") == {owner}
    engine.runner.write_files({"lib/b/b.go": "package b\n"})
    engine.dependencies()
    assert engine.owners("lib/b/data.txt") == set()


@both_units
def test_an_edit_of_imports_changes_the_dependencies_of_its_images(unit: str) -> None:
    engine = Engine(FEW, go_work=False, unit=unit)
    before = engine.dependencies()
    engine.runner.write_files({"lib/a/a.go": "package a\n"})
    gone = {"file": "lib/b/b.go", "package": "//:go#lib/b"}[unit]
    assert engine.dependencies() == {d: found - {gone} for d, found in before.items()}
    engine.runner.write_files({"lib/a/a.go": repo(FEW, go_work=False)["lib/a/a.go"]})
    assert engine.dependencies() == before


def test_images_depend_on_module_files_through_go_work() -> None:
    engine = Engine(FEW, go_work=True)
    module_files = {"go.mod", *(f"services/s{n:02}/go.mod" for n in range(FEW))}
    shared = {"lib/a/a.go", "lib/b/b.go", "go.work"}
    for directory, found in engine.dependencies().items():
        own = {f"{directory}/{name}" for name in ("main.go", "own/own.go", "go.mod")}
        assert found == {*own, *shared}
    assert engine.dependencies_of_go_work() == module_files


def test_images_depend_on_packages_and_on_module_files_through_go_work() -> None:
    engine = Engine(FEW, go_work=True, unit="package")
    module_files = {"go.mod", *(f"services/s{n:02}/go.mod" for n in range(FEW))}
    shared = {"//:go#lib/a", "//:go#lib/b", "go.work"}
    for directory, found in engine.dependencies().items():
        own = {f"//:go#{directory}", f"//:go#{directory}/own", f"{directory}/go.mod"}
        assert found == {*own, *shared}
    assert engine.dependencies_of_go_work() == module_files


def test_packages_of_many_files_are_as_many_targets_and_edges() -> None:
    more = {f"lib/{name}/f{n}.go": f"package {name}\n" for name in "ab" for n in range(9)}
    found = {}
    for unit in ("file", "package"):
        engine = Engine(FEW, go_work=False, unit=unit)
        few = sum(map(len, engine.dependencies().values()))
        engine.runner.write_files(more)
        found[unit] = sum(map(len, engine.dependencies().values())) - few
    assert found == {"file": len(more) * FEW, "package": 0}


def test_images_depend_on_module_files_where_go_work_has_no_owner() -> None:
    engine = Engine(FEW, go_work=True)
    engine.runner.write_files({"BUILD": "go_sources(name='go', sources=['**/*.go', '**/go.mod'])"})
    found = engine.dependencies()["services/s00"]
    assert found >= {"go.mod", *(f"services/s{n:02}/go.mod" for n in range(FEW))}


def test_a_go_work_that_names_no_module_has_no_dependencies() -> None:
    engine = Engine(FEW, go_work=True)
    engine.runner.write_files({"go.work": "go 1.21\nuse ./none\n"})
    configure(engine.runner)
    assert engine.dependencies_of_go_work() == set()


def test_requests_for_digests_are_told_apart_by_their_hashes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Otherwise the engine compares each one with all that came before it."""
    compared = Counter[str]()
    original = CreateDigest.__eq__

    def counted(self: Any, other: object) -> bool:
        compared["all"] += 1
        return bool(original(self, other))

    monkeypatch.setattr(CreateDigest, "__eq__", counted)
    runner = new_runner([(Digest, [CreateDigest])])
    count = 40
    for number in range(count):
        runner.request(Digest, [CreateDigest([FileContent(f"hash-{number}", b"x")])])
    assert compared["all"] <= 2 * count
