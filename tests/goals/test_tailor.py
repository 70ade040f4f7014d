"""`tailor` proposes what is missing, and only if it is asked to."""

from __future__ import annotations

import pytest
from pants.core.goals import tailor as core_tailor
from pants.core.goals.tailor import AllOwnedSources, PutativeTargets
from pants.engine.rules import QueryRule
from pants.testutil.rule_runner import RuleRunner
from rules.engine_runner import configure, new_runner

from ko_pants.goals.tailor import PutativeKoTargetsRequest

MAIN = "package main\n\nfunc main() {}\n"
FILES = {
    "go.mod": "module example.com/shop\n\ngo 1.21\n",
    "main.go": MAIN,
    "cmd/new/main.go": MAIN,
    "cmd/new/new_test.go": "package main\n",
    "cmd/known/main.go": MAIN,
    "cmd/known/BUILD": "go_oci_image(name='image')\n",
    "cmd/flags/main.go": MAIN,
    "deploy/BUILD": (
        "go_executable(name='bin', main='../cmd/flags')\n"
        "go_oci_image(name='image', binary=':bin')\n"
        "go_oci_image(name='broken', binary=':nowhere')\n"
    ),
    "cmd/windows/main_windows.go": MAIN,
    "cmd/tool/main.go": "//go:build ignore\n\n" + MAIN,
    "cmd/test/main_test.go": MAIN,
    "lib/lib.go": "package lib\n",
    "vendor/example.com/x/main.go": MAIN,
    "lib/testdata/main.go": MAIN,
    "_old/main.go": MAIN,
    "tools/go.mod": "module example.com/tools\n",
    "tools/gen/main.go": MAIN,
    "owned/go.mod": "module example.com/owned\n",
    "owned/BUILD": "go_sources(name='sources')\n",
}
DIRECTORIES = tuple(
    sorted({name.rpartition("/")[0] for name in FILES} | {"cmd", "vendor/example.com"})
)


@pytest.fixture(scope="module")
def runner() -> RuleRunner:
    runner = new_runner(
        [(PutativeTargets, [PutativeKoTargetsRequest])],
        rules=[*core_tailor.rules(), QueryRule(AllOwnedSources, ())],  # type: ignore[no-untyped-call]
    )
    runner.write_files(FILES)
    return runner


def proposed(runner: RuleRunner, *options: str, directories: tuple[str, ...] = DIRECTORIES) -> str:
    configure(runner, *options)
    found = runner.request(PutativeTargets, [PutativeKoTargetsRequest(directories)])
    return "".join(
        f"{target.path or '.'}: {target.generate_build_file_stanza('')}".replace("\n", "") + "\n"
        for target in found
    )


def test_what_is_missing(runner: RuleRunner) -> None:
    assert proposed(runner, "--ko-tailor") == (
        '.: go_sources(name="go",)\n'
        '.: go_oci_image(name="image",)\n'
        "cmd/new: go_oci_image()\n"
        'tools: go_sources(name="go",)\n'
        "tools/gen: go_oci_image()\n"
    )


def test_programs_for_the_platforms_of_the_option(runner: RuleRunner) -> None:
    found = proposed(
        runner,
        "--ko-tailor",
        "--ko-default-platforms=['windows/amd64']",
        directories=("cmd/windows",),
    )
    assert found == "cmd/windows: go_oci_image()\n"


def test_nothing_unless_the_option_is_set(runner: RuleRunner) -> None:
    assert proposed(runner) == ""
