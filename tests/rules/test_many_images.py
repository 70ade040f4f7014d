"""The work for the dependencies of all images grows with the repo, and not faster.

Nothing is timed: twice the services may take twice the calls, globs and nodes of the engine.
"""

from __future__ import annotations

import functools
from collections import Counter
from typing import Any, Callable

import pytest
from pants.engine.addresses import Address, Addresses
from pants.engine.internals.graph import Owners, OwnersRequest
from pants.engine.target import DependenciesRequest
from pants.testutil.rule_runner import RuleRunner
from rules.engine_runner import configure, new_runner

from ko_pants import daemon_memory
from ko_pants.disk.disk import Disk
from ko_pants.golang import workspace
from ko_pants.rules import go_directory, go_module_set, repo_files
from ko_pants.target_types import GoOciImageDependenciesField, GoSourceDependenciesField

MODULE = "example.com/many"
FEW, MANY = 6, 12


def repo(services: int, *, go_work: bool) -> dict[str, str]:
    """Services with a package of their own, over two shared packages."""
    files = {
        "BUILD": "go_sources(name='go')\n",
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

    def __init__(self, services: int, *, go_work: bool) -> None:
        daemon_memory.clear_all()
        self.services = services
        queries: list[Any] = [(Addresses, [DependenciesRequest]), (Owners, [OwnersRequest])]
        self.runner: RuleRunner = new_runner(queries)
        self.runner.write_files(repo(services, go_work=go_work))

    def dependencies(self) -> dict[str, set[str]]:
        """Of all images, by directory, in a new run."""
        configure(self.runner)
        return {
            d: self._of(Address(d)) for d in map("services/s{:02}".format, range(self.services))
        }

    def dependencies_of_go_work(self) -> set[str]:
        """Of the `go_source` of go.work."""
        return self._of(Address("", target_name="go", relative_file_path="go.work"))

    def nodes(self) -> int:
        """How many the engine's graph has."""
        return self.runner.scheduler.metrics()["resulting_graph_size"]

    def _of(self, address: Address) -> set[str]:
        target = self.runner.get_target(address)
        for field in (GoOciImageDependenciesField, GoSourceDependenciesField):
            if target.has_field(field):
                found = self.runner.request(Addresses, [DependenciesRequest(target[field])])
                return {a.filename if a.is_generated_target else a.spec for a in found}
        raise AssertionError(address)


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Calls of what may take long, and the globs that the engine is asked for."""
    found: Counter[str] = Counter()

    def counted(place: Any, name: str, size: Callable[[Any], int] = lambda _: 1) -> None:
        original = getattr(place, name)

        @functools.wraps(original)
        def call(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            found[name] += size(result)
            return result

        monkeypatch.setattr(place, name, call)

    def globs(result: Any) -> int:
        return len(result.globs)

    counted(go_directory, "analyze_directory")
    counted(go_module_set, "find_module_set")
    counted(workspace, "parse_go_mod")
    counted(workspace, "parse_go_work")
    counted(Disk, "state")
    counted(Disk, "entries")
    counted(repo_files, "_globs", globs)
    counted(repo_files, "_patterns", globs)
    return found


@pytest.mark.parametrize("go_work", [False, True], ids=["one module", "go.work"])
def test_twice_the_services_take_twice_the_work(counts: Counter[str], go_work: bool) -> None:
    work: list[Counter[str]] = []
    for services in (FEW, MANY):
        counts.clear()
        engine = Engine(services, go_work=go_work)
        engine.dependencies()
        work.append(Counter({**counts, "nodes": engine.nodes()}))
    few, many = work
    assert set(few) == set(many)
    assert {name: many[name] for name in many if many[name] > 2 * few[name]} == {}
    assert many["find_module_set"] == 1
    assert many["analyze_directory"] < 4 * MANY


@pytest.mark.parametrize("go_work", [False, True], ids=["one module", "go.work"])
def test_an_edit_does_not_do_all_images_again(counts: Counter[str], go_work: bool) -> None:
    engine = Engine(MANY, go_work=go_work)
    before = engine.dependencies()
    engine.dependencies()
    counts.clear()
    text = repo(MANY, go_work=go_work)["services/s00/own/own.go"]
    engine.runner.write_files({"services/s00/own/own.go": text + "func F() {}\n"})
    assert engine.dependencies() == before
    assert counts["analyze_directory"] == 1
    assert counts["_globs"] + counts["_patterns"] <= 1


def test_images_depend_on_module_files_through_go_work() -> None:
    engine = Engine(FEW, go_work=True)
    module_files = {"go.mod", *(f"services/s{n:02}/go.mod" for n in range(FEW))}
    shared = {"lib/a/a.go", "lib/b/b.go", "go.work"}
    for directory, found in engine.dependencies().items():
        own = {f"{directory}/{name}" for name in ("main.go", "own/own.go", "go.mod")}
        assert found == {*own, *shared}
    assert engine.dependencies_of_go_work() == module_files


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
