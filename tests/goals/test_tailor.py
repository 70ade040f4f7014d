"""`tailor` proposes what is missing, and only if it is asked to."""

from __future__ import annotations

import pytest
from pants.backend.go.target_types import GoBinaryTarget, GoModTarget, GoPackageTarget
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
        "go_executable(name='more', main='../cmd/more')\n"
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
    "cmd/more/main.go": MAIN,
    "cmd/more/BUILD": "go_oci_image(name='a', binary='//deploy:bin', binaries=['//deploy:more'])\n",
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
        # The owner of the files of a directory owns those of the module `tools` as well.
        '.: go_sources(name="go",)\n'
        '.: go_oci_image(name="shop",)\n'
        "cmd/new: go_oci_image()\n"
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


def stanzas(files: dict[str, str], *options: str, go_backend: bool = False) -> list[str]:
    """What is proposed for these files alone."""
    targets = (GoModTarget, GoPackageTarget, GoBinaryTarget) if go_backend else ()
    runner = new_runner(
        [(PutativeTargets, [PutativeKoTargetsRequest])],
        rules=[*core_tailor.rules(), QueryRule(AllOwnedSources, ())],  # type: ignore[no-untyped-call]
        target_types=targets,
    )
    runner.write_files(files)
    directories = tuple(sorted({name.rpartition("/")[0] for name in files}))
    return proposed(runner, "--ko-tailor", *options, directories=directories).splitlines()


def test_a_program_outside_of_all_modules_is_no_image() -> None:
    assert stanzas({"scripts/main.go": MAIN, "a/go.mod": "module a.test/a\n"}) == [
        'a: go_sources(name="go",)'
    ]


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("example.com/shop", "shop"),
        ("example.com/shop/v2", "shop"),
        ("shop", "shop"),
        ("example.com/go", "go-image"),
    ],
)
def test_an_image_at_the_build_root_is_named_after_its_module(module: str, name: str) -> None:
    assert stanzas({"go.mod": f"module {module}\n", "main.go": MAIN}) == [
        '.: go_sources(name="go",)',
        f'.: go_oci_image(name="{name}",)',
    ]


def test_the_modules_of_a_go_work_have_one_owner() -> None:
    files = {
        "src/go.work": "go 1.21\nuse (\n\t./a\n\t./b\n)\n",
        "src/a/go.mod": "module a.test/a\n",
        "src/b/go.mod": "module a.test/b\n",
        "other/go.mod": "module a.test/other\n",
    }
    assert stanzas(files) == ['other: go_sources(name="go",)', 'src: go_sources(name="go",)']


def test_modules_without_a_go_work_have_an_owner_each() -> None:
    files = {"src/a/go.mod": "module a.test/a\n", "src/b/go.mod": "module a.test/b\n"}
    assert stanzas(files) == ['src/a: go_sources(name="go",)', 'src/b: go_sources(name="go",)']


def test_a_name_that_is_taken() -> None:
    files = {
        "go.mod": "module example.com/shop\n",
        "BUILD": "target(name='shop')\ntarget(name='go')\n",
        "main.go": MAIN,
        "cmd/app/main.go": MAIN,
        "cmd/app/BUILD": "target()\n",
    }
    image = 'cmd/app: go_oci_image(name="image",repository="{directory}",)'
    found = [line.replace("    ", "") for line in stanzas(files)]
    assert found == [
        '.: go_sources(name="go-sources",)',
        '.: go_oci_image(name="shop-image",)',
        image,
    ]
    # The template of the option already tells images apart.
    assert stanzas(files, "--ko-default-repository={directory}")[-1] == (
        'cmd/app: go_oci_image(name="image",)'
    )
    assert stanzas(files, "--ko-default-repository=shop/{name}")[-1] == image.replace(
        "{directory}", "shop/{directory}"
    )


def test_beside_the_targets_of_the_go_backend() -> None:
    files = {
        "go.mod": "module example.com/shop\n\ngo 1.21\n",
        "BUILD": "go_mod(name='mod')\n",
        "cmd/app/main.go": MAIN,
        "cmd/app/BUILD": "go_package()\ngo_binary(name='bin')\n",
        "cmd/done/main.go": MAIN,
        "cmd/done/BUILD": "go_package()\ngo_binary(name='bin')\n",
        "deploy/BUILD": "go_oci_image(name='done', binary='//cmd/done:bin')\n",
        # Here the backend's own `tailor` proposes a `go_mod` and a `go_package`.
        "new/go.mod": "module example.com/new\n",
        "new/main.go": MAIN,
    }
    assert stanzas(files, go_backend=True) == [
        f'{directory}: go_oci_image(name="image",repository="{{directory}}",)'
        for directory in ("cmd/app", "new")
    ]
