"""One target for each package: what it owns, and that no image is missed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Iterable

import pytest
from pants.backend.project_info import dependents, filter_targets, list_targets, peek
from pants.backend.project_info.peek import Peek
from pants.engine.addresses import Address, Addresses
from pants.engine.internals.graph import Owners, OwnersRequest
from pants.engine.internals.scheduler import ExecutionError
from pants.engine.target import (
    AllTargets,
    Dependencies,
    DependenciesRequest,
    InvalidTargetException,
)
from pants.testutil.rule_runner import RuleRunner
from pants.vcs import changed
from pants.vcs.changed import ChangedAddresses, ChangedRequest, DependentsOption
from rules.engine_runner import configure, new_runner
from rules.layouts import LAYOUTS, Layout
from rules.test_layouts_with_go import write_layout

from ko_pants.go_sources_fields import GoPackageSourcesField
from ko_pants.target_types import GoSourceField, GoSourcesTarget

EMBED = 'package web\nimport _ "embed"\n//go:embed static/*.txt\nvar s string\n'
FILES = {
    "BUILD": "go_sources(name='go', one_target_per='package')\n",
    "go.mod": "module example.com/app\ngo 1.21\n",
    "go.sum": "",
    "app.go": "package app\n",
    "app_test.go": "package app\n",
    "cmd/BUILD": "go_oci_image(name='image', platforms=['linux/amd64'])\n",
    "cmd/main.go": (
        'package main\nimport _ "example.com/app/web"\nimport _ "example.com/app"\nfunc main() {}\n'
    ),
    "cmd/kodata/deep/x.txt": "x",
    "web/web.go": EMBED,
    "web/web_windows.go": "package web\n",
    "web/web_test.go": 'package web\nimport _ "embed"\n//go:embed testdata\nvar t string\n',
    "web/static/a.txt": "a",
    "web/static/b.bin": "b",
    "web/testdata/golden": "g",
    "other/other.go": "package other\n",
    "odd@dir/odd.go": "package odd\n",
    "odd@dir/odd.h": "",
    "tools/go.mod": "module example.com/app/tools\ngo 1.21\n",
    "tools/tool.go": "package tools\n",
}
IMAGE = "cmd:image"


def runner_with(files: dict[str, str]) -> RuleRunner:
    runner = new_runner(
        [
            (Addresses, [DependenciesRequest]),
            (Owners, [OwnersRequest]),
            (ChangedAddresses, [ChangedRequest]),
            (AllTargets, []),
        ],
        rules=[
            *changed.rules(),  # type: ignore[no-untyped-call]
            *dependents.rules(),  # type: ignore[no-untyped-call]
            *list_targets.rules(),  # type: ignore[no-untyped-call]
            *peek.rules(),  # type: ignore[no-untyped-call]
            *filter_targets.rules(),  # type: ignore[no-untyped-call]
        ],
    )
    runner.write_files(files)
    return runner


@pytest.fixture
def runner() -> RuleRunner:
    return runner_with(FILES)


def sources(runner: RuleRunner, address: Address) -> set[str]:
    """The files of a target that `go_sources` has generated."""
    target = runner.get_target(address)
    if target.has_field(GoPackageSourcesField):
        names = target[GoPackageSourcesField].value or ()
    elif target.has_field(GoSourceField):
        names = (target[GoSourceField].value,)
    else:
        return set()
    return {str(Path(address.spec_path, name)) for name in names}


def named(runner: RuleRunner, *files: str, direct: bool = False) -> set[str]:
    """What `--changed-since` names where files have changed, with dependents."""
    option = DependentsOption.DIRECT if direct else DependentsOption.TRANSITIVE
    found = runner.request(ChangedAddresses, [ChangedRequest(files, option)])
    return {address.spec for address in found}


def test_there_is_a_target_for_each_package_and_one_for_all_tests(runner: RuleRunner) -> None:
    generated = {
        target.address.spec: sources(runner, target.address)
        for target in runner.request(AllTargets, [])
        if target.address.is_generated_target
    }
    assert generated == {
        "//:go#.": {"app.go"},
        "//:go#_test.go": {"app_test.go", "web/web_test.go", "web/testdata/golden"},
        "//:go#cmd": {"cmd/main.go"},
        "//:go#cmd/kodata": {"cmd/kodata/deep/x.txt"},
        "//:go#web": {"web/web.go", "web/web_windows.go", "web/static/a.txt"},
        "//:go#other": {"other/other.go"},
        "//:go#tools": {"tools/tool.go"},
        # Module files have targets of their own.
        "//go.mod:go": {"go.mod"},
        "//go.sum:go": {"go.sum"},
        "//tools/go.mod:../go": {"tools/go.mod"},
        # Pants takes no `@` in a name.
        "//odd@dir/odd.go:../go": {"odd@dir/odd.go"},
        "//odd@dir/odd.h:../go": {"odd@dir/odd.h"},
    }


@pytest.mark.parametrize("direct", [False, True], ids=["transitive", "direct"])
@pytest.mark.parametrize(
    ("path", "owner"),
    [
        ("cmd/main.go", "//:go#cmd"),
        ("web/web.go", "//:go#web"),
        ("web/static/a.txt", "//:go#web"),
        ("app.go", "//:go#."),
        ("cmd/kodata/deep/x.txt", "//:go#cmd/kodata"),
        ("go.mod", "//go.mod:go"),
        ("go.sum", "//go.sum:go"),
        # It is not among what the image reads. Its package is.
        ("web/web_windows.go", "//:go#web"),
    ],
)
def test_an_edit_names_the_images_that_read_the_package(
    runner: RuleRunner, path: str, owner: str, direct: bool
) -> None:
    assert named(runner, path, direct=direct) == {owner, IMAGE}


@pytest.mark.parametrize(
    ("path", "owner"),
    [
        ("web/web_test.go", "//:go#_test.go"),
        ("web/testdata/golden", "//:go#_test.go"),
        ("app_test.go", "//:go#_test.go"),
        ("other/other.go", "//:go#other"),
        ("tools/go.mod", "//tools/go.mod:../go"),
    ],
)
def test_an_edit_of_tests_and_of_other_packages_names_no_image(
    runner: RuleRunner, path: str, owner: str
) -> None:
    assert named(runner, path) == {owner}


def test_new_files_name_the_image(runner: RuleRunner) -> None:
    assert named(runner, "web/web.go") == {"//:go#web", IMAGE}
    new = {"web/static/new.txt": "", "web/more.go": "package web\n", "cmd/kodata/new": ""}
    runner.write_files(new)
    configure(runner)
    for path in new:
        assert IMAGE in named(runner, path)
    runner.write_files(
        {
            "fresh/fresh.go": "package fresh\n",
            "web/more.go": 'package web\nimport _ "example.com/app/fresh"\n',
        }
    )
    configure(runner)
    assert named(runner, "fresh/fresh.go") == {"//:go#fresh", IMAGE}


def test_a_deleted_file_names_the_generator_as_with_targets_for_files(runner: RuleRunner) -> None:
    (Path(runner.build_root) / "web/web_windows.go").unlink()
    configure(runner)
    assert named(runner, "web/web_windows.go") == {"//:go"}


def test_a_target_lives_in_the_directory_of_its_package(runner: RuleRunner) -> None:
    found = runner.run_goal_rule(list_targets.List, args=["web::"]).stdout.splitlines()
    assert found == ["//:go#web"]
    found = runner.run_goal_rule(list_targets.List, args=["cmd:"]).stdout.splitlines()
    assert found == ["//:go#cmd", IMAGE]
    found = runner.run_goal_rule(list_targets.List, args=["web/static/a.txt"]).stdout.splitlines()
    assert found == ["//:go#web"]


def test_peek_and_dependents_read_well(runner: RuleRunner) -> None:
    (shown,) = json.loads(runner.run_goal_rule(Peek, args=["//:go#web"]).stdout)
    assert shown["target_type"] == "go_package_sources"
    assert shown["sources"] == ["web/static/a.txt", "web/web.go", "web/web_windows.go"]
    found = runner.run_goal_rule(dependents.DependentsGoal, args=["//:go#web"]).stdout
    assert found.split() == ["//:go", IMAGE]
    wanted = ["--target-type=go_package_sources", "web::"]
    found = runner.run_goal_rule(filter_targets.FilterGoal, args=wanted).stdout
    assert found.split() == ["//:go#web"]


def test_dependencies_and_tags_of_the_generator_are_those_of_its_targets() -> None:
    files = {
        **FILES,
        "BUILD": (
            "target(name='license')\n"
            "go_sources(name='go', one_target_per='package', tags=['go'],"
            " dependencies=[':license'])\n"
        ),
    }
    runner = runner_with(files)
    target = runner.get_target(Address("", target_name="go", generated_name="web"))
    shown = json.loads(runner.run_goal_rule(Peek, args=["//:go#web"]).stdout)[0]
    assert (shown["dependencies"], shown["tags"]) == (["//:license"], ["go"])
    assert target.residence_dir == "web"


def test_a_program_and_what_only_it_can_import_are_one_target() -> None:
    runner = runner_with(
        {
            **FILES,
            "BUILD": "go_sources(name='go', one_target_per='program')\n",
            "cmd/main.go": (
                'package main\nimport _ "example.com/app/web"\n'
                'import _ "example.com/app/cmd/internal/store"\nfunc main() {}\n'
            ),
            "cmd/internal/store/store.go": EMBED.replace("package web", "package store"),
            "cmd/internal/store/static/s.txt": "s",
            "cmd/internal/spare/spare.go": "package spare\n",
        }
    )
    target = Address("", target_name="go", generated_name="cmd")
    assert sources(runner, target) == {
        "cmd/main.go",
        "cmd/internal/store/store.go",
        "cmd/internal/store/static/s.txt",
        "cmd/internal/spare/spare.go",
    }
    for path in ("cmd/main.go", "cmd/internal/store/static/s.txt", "cmd/internal/spare/spare.go"):
        assert named(runner, path) == {"//:go#cmd", IMAGE}
    # Other packages, kodata and tests have the targets that they have with `package`.
    assert named(runner, "web/web.go") == {"//:go#web", IMAGE}
    assert named(runner, "cmd/kodata/deep/x.txt") == {"//:go#cmd/kodata", IMAGE}
    assert named(runner, "web/web_test.go") == {"//:go#_test.go"}
    # A second program below it may import the same packages.
    runner.write_files({"cmd/admin/main.go": "package main\nfunc main() {}\n"})
    configure(runner)
    assert named(runner, "cmd/internal/store/store.go") == {"//:go#cmd/internal/store", IMAGE}


def test_an_unknown_unit_names_target_field_and_choices() -> None:
    with pytest.raises(InvalidTargetException) as e:
        GoSourcesTarget({"one_target_per": "module"}, Address("a"))
    for part in ("one_target_per", "a:a", "file", "package", "program"):
        assert part in str(e.value)


def image_of(layout: Layout) -> dict[str, str]:
    """The BUILD files of a layout with an image."""
    image = f"go_oci_image(name='image', binary=':exe', platforms=[{layout.platform!r}])\n"
    executable = (
        f"go_executable(name='exe', main={layout.directory or '.'!r}, flags={layout.flags!r},"
        f" env={[f'{k}={v}' for k, v in layout.env]!r})\n"
    )
    sources = "go_sources(name='go', one_target_per={unit!r})\n"
    units = ("file", "package", "program")
    return {unit: sources.format(unit=unit) + executable + image for unit in units}


def all_dependencies(runner: RuleRunner) -> set[Address]:
    """The dependencies of the image, and those of these."""
    found: set[Address] = set()
    pending = [Address("", target_name="image")]
    while pending:
        target = runner.get_target(pending.pop())
        for address in runner.request(Addresses, [DependenciesRequest(target.get(Dependencies))]):
            if address not in found:
                found.add(address)
                pending.append(address)
    return found


def owned(runner: RuleRunner, addresses: Iterable[Address]) -> set[str]:
    return {path for address in addresses for path in sources(runner, address)}


@pytest.mark.parametrize("name", LAYOUTS)
def test_each_file_that_an_image_reads_leads_to_it_with_each_unit(name: str) -> None:
    layout = LAYOUTS[name]
    runner = runner_with({})
    write_layout(Path(runner.build_root), layout)
    files: set[str] = set()
    for unit, build_file in image_of(layout).items():
        runner.write_files({"BUILD": build_file})
        configure(runner)
        try:
            found = all_dependencies(runner)
        except ExecutionError:
            # What is wrong with the layout is reported with each.
            found = set()
        if unit == "file":
            files = owned(runner, found)
            assert files or layout.error
        else:
            assert owned(runner, found) >= files
            assert bool(found) is bool(files)
        for path in files:
            assert found & set(runner.request(Owners, [OwnersRequest((path,))])), path
