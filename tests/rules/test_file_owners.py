"""Owners of files are those that Pants finds, without a look at each target for each file."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from pants.engine.addresses import Address
from pants.engine.internals.graph import Owners, OwnersRequest
from pants.engine.rules import rule
from pants.testutil.rule_runner import RuleRunner
from rules.engine_runner import new_runner

from ko_pants.rules.file_owners import owners_of_files
from ko_pants.rules.inference_context import InferenceContext

FILES = {
    "go.mod": "module example.com/app\ngo 1.21\n",
    "BUILD": "go_sources(name='go', sources=['**/*.go', '**/go.mod', '!c/**'])\n",
    "a/a.go": 'package a\nimport _ "embed"\n//go:embed data/*.txt odd\nvar s string\n',
    "a/data/a.txt": "a",
    "a/data/b.bin": "b",
    "a/odd/[x].js": "odd",
    "a/odd/x.js": "odd",
    "b/BUILD": (
        "files(name='all', sources=['**/*.txt', '*.go'])\n"
        "file(name='one', source='b.txt')\n"
        "file(name='dotted', source='./b.txt')\n"
        "file(name='absent', source='absent.txt')\n"
        "resource(name='below', source='below/c.txt')\n"
        "file(name='made', source=parametrize(x='x.bin', y='y.bin'))\n"
        "go_source(name='by_hand', source='b.go')\n"
        "go_oci_image(name='image')\n"
        "target(name='other', dependencies=[':all'])\n"
    ),
    "b/b.txt": "",
    "b/b.go": "package b\n",
    "b/x.bin": "",
    "b/y.bin": "",
    "b/below/c.txt": "",
    "b/below/BUILD": "go_sources(sources=['d.go'])\n",
    "b/below/d.go": "package below\n",
    "c/c.go": "package c\n",
}


@dataclass(frozen=True)
class _Request:
    files: tuple[str, ...]


@dataclass(frozen=True)
class _Found:
    addresses: frozenset[Address]


@rule
async def find(request: _Request, context: InferenceContext) -> _Found:
    """The owners, as the dependencies of images have them."""
    return _Found(frozenset(await owners_of_files(request.files, context.owners)))


def runner_with(build_file: str) -> RuleRunner:
    runner = new_runner([(_Found, [_Request]), (Owners, [OwnersRequest])], rules=[find])
    runner.write_files({**FILES, "BUILD": build_file})
    return runner


@pytest.fixture(scope="module")
def runner() -> RuleRunner:
    return runner_with(FILES["BUILD"])


@pytest.fixture(scope="module")
def runner_of_packages() -> RuleRunner:
    return runner_with(FILES["BUILD"].replace("(", "(one_target_per='package', ", 1))


def both(runner: RuleRunner, *files: str) -> tuple[set[Address], set[Address]]:
    """Our answer, and that of Pants."""
    ours = runner.request(_Found, [_Request(files)]).addresses
    return set(ours), set(runner.request(Owners, [OwnersRequest(files)]))


def shown(address: Address) -> str:
    """The file and the generator of a generated target, else the address."""
    if not address.is_generated_target:
        return address.spec
    return f"{address.filename}:{address.target_name}"


# Pants takes the name of a file for a glob, so `[x].js` there means `x.js`.
@pytest.mark.parametrize("path", [path for path in FILES if "[" not in path])
def test_each_file_has_the_owners_that_pants_finds(runner: RuleRunner, path: str) -> None:
    ours, expected = both(runner, path)
    if path == "a/odd/x.js":
        expected = {a for a in expected if a.filename == path}
    assert ours == expected


@pytest.mark.parametrize("path", [path for path in FILES if "[" not in path])
def test_each_file_of_a_package_has_the_owners_that_pants_finds(
    runner_of_packages: RuleRunner, path: str
) -> None:
    ours, expected = both(runner_of_packages, path)
    assert ours == expected


def test_there_is_something_to_find(runner: RuleRunner) -> None:
    """Each kind of owner is among those that are compared."""
    found, _ = both(runner, *FILES)
    assert set(map(shown, found)) == {
        *("go.mod:go", "a/a.go:go", "a/data/a.txt:go", "a/odd/[x].js:go", "a/odd/x.js:go"),
        *("b/b.go:go", "b/below/d.go:go", "b/below/d.go:below"),
        *("b/b.txt:all", "b/below/c.txt:all", "b/b.go:all", "b:one", "b:dotted", "b:below"),
        *("b:made@source=x", "b:made@source=y", "b:by_hand"),
    }


def test_a_file_that_does_not_exist_has_no_owner(runner: RuleRunner) -> None:
    assert both(runner, "b/absent.txt", "b/none.txt", "none.go")[0] == set()


def test_new_targets_and_files_are_seen(runner: RuleRunner) -> None:
    runner.write_files({"a/new.go": "package a\n", "d/BUILD": "file(source='d.json')\n"})
    runner.write_files({"d/d.json": ""})
    ours, expected = both(runner, "a/new.go", "d/d.json")
    assert set(map(shown, ours)) == {"a/new.go:go", "d:d"}
    assert ours == expected
