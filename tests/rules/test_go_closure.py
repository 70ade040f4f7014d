"""Closures in the engine: what is searched again after an edit, and what is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from pants.testutil.rule_runner import RuleRunner
from rules.engine_runner import configure, error_of, new_runner

from ko_pants.errors import KoPantsError
from ko_pants.golang.embed import EmbedFilter
from ko_pants.golang.input_views import Embedded, NamedFiles
from ko_pants.oci.platform import Platform
from ko_pants.products import (
    AnalyzedDirectory,
    GoBuild,
    GoClosure,
    GoClosureRequest,
    GoDirectoryRequest,
)
from ko_pants.rules.go_closure import closure_request

PLATFORMS = (Platform("linux", "amd64"), Platform("linux", "arm64"))
MAIN = 'package main\nimport "example.com/app/lib"\nfunc main() { lib.F() }\n'
LIB = "package lib\nfunc F() int { return 1 }\n"


@pytest.fixture(scope="module")
def engine() -> RuleRunner:
    return new_runner(
        [
            (AnalyzedDirectory, [GoDirectoryRequest]),
            (GoClosure, [GoClosureRequest]),
        ]
    )


@pytest.fixture
def runner(engine: RuleRunner) -> RuleRunner:
    configure(engine)
    engine.write_files(
        {
            "go.mod": "module example.com/app\ngo 1.21\n",
            "cmd/main.go": MAIN,
            "lib/lib.go": LIB,
            "lib/lib_test.go": "package lib\n",
            "other/other.go": "package other\n",
        }
    )
    return engine


def analyzed(runner: RuleRunner, path: str) -> AnalyzedDirectory:
    return runner.request(AnalyzedDirectory, [GoDirectoryRequest(path)])


def closure(runner: RuleRunner, directory: str = "cmd") -> GoClosure:
    return runner.request(GoClosure, [GoClosureRequest(directory, PLATFORMS)])


def test_an_edit_of_a_body_stops_at_the_analysis(runner: RuleRunner) -> None:
    directory, found = analyzed(runner, "lib"), closure(runner)
    runner.write_files({"lib/lib.go": LIB.replace("return 1", "// more\n\treturn 2")})
    assert analyzed(runner, "lib") == directory
    # The very same object: the search was not made again.
    assert closure(runner) is found


def test_the_closure_has_what_the_build_reads_and_nothing_else(runner: RuleRunner) -> None:
    runner.write_files(
        {
            "lib/win_windows.go": "package lib\n",
            "lib/arm_arm64.go": "package lib\n",
        }
    )
    found = {
        f for f in closure(runner).files if not f.endswith(("go.sum", "go.work", "go.work.sum"))
    }
    assert {"go.mod", "cmd/main.go", "lib/lib.go", "lib/arm_arm64.go"} <= found
    assert not found & {"lib/lib_test.go", "lib/win_windows.go", "other/other.go"}


def test_what_packages_embed_is_in_the_closure(runner: RuleRunner) -> None:
    runner.write_files(
        {
            "lib/lib.go": 'package lib\nimport _ "embed"\n//go:embed data/*.txt\nvar s string\n',
        }
    )
    found = closure(runner)
    assert found.closure.embeds == (EmbedFilter("lib", ("data/*.txt",)),)
    assert Embedded(found.closure.embeds[0]) in found.views


def test_replaced_modules_of_the_repo_are_in_the_closure(runner: RuleRunner) -> None:
    runner.write_files(
        {
            "multi/app/go.mod": (
                "module example.com/multi\ngo 1.21\nrequire example.com/dep v1.0.0\n"
                "replace example.com/dep => ../dep\n"
            ),
            "multi/app/main.go": 'package main\nimport _ "example.com/dep/sub"\nfunc main() {}\n',
            "multi/dep/go.mod": "module example.com/dep\ngo 1.21\n",
            "multi/dep/sub/sub.go": "package sub\n",
            "multi/dep/unused/unused.go": "package unused\n",
        }
    )
    files = closure(runner, "multi/app").files
    assert {"multi/app/go.mod", "multi/dep/go.mod", "multi/dep/sub/sub.go"} <= set(files)
    assert "multi/dep/unused/unused.go" not in files
    assert "go.mod" not in files


def test_a_package_that_lies_in_no_module(tmp_path_factory: pytest.TempPathFactory) -> None:
    bare = new_runner([(GoClosure, [GoClosureRequest])])
    bare.write_files({"cmd/main.go": "package main\n"})
    text = error_of(bare, GoClosure, [GoClosureRequest("cmd", PLATFORMS)])
    assert "go.mod" in text
    assert "cmd" in text


def test_flags_and_variables_decide_about_the_closure() -> None:
    build = GoBuild("a:b", "cmd", ("-tags=b,a",), env=(("GOFLAGS", "-mod=mod"),))
    outside = {"GOFLAGS": "-mod=vendor", "GOWORK": "off"}
    assert closure_request(build, PLATFORMS, outside) == GoClosureRequest(
        "cmd", PLATFORMS, tags=("a", "b"), mod="mod", use_go_work=False
    )
    assert closure_request(GoBuild("a:b", ""), PLATFORMS, {}) == GoClosureRequest("", PLATFORMS)


def test_flags_from_outside_have_the_bans_of_the_field() -> None:
    outside = {"GOFLAGS": "-v -toolexec=/bin/x"}
    with pytest.raises(KoPantsError) as error:
        closure_request(GoBuild("a:b", "cmd"), PLATFORMS, outside)
    assert str(error.value).startswith(
        "a:b: GOFLAGS (of the environment, or in option [ko].go_env_vars): the flag "
        "'-toolexec=/bin/x' cannot be used: "
    )
    # The target's own value is used in its place.
    own = GoBuild("a:b", "cmd", env=(("GOFLAGS", "-v"),))
    assert closure_request(own, PLATFORMS, outside) == GoClosureRequest("cmd", PLATFORMS)


@pytest.mark.parametrize("where", ["flags", "env", "outside"])
def test_the_profile_that_a_flag_names_is_an_input(runner: RuleRunner, where: str) -> None:
    flag = "-pgo=prof/cpu.pprof"
    build = GoBuild(
        "a:b",
        "svc/cmd",
        (flag,) if where == "flags" else (),
        env=(("GOFLAGS", flag),) if where == "env" else (),
    )
    request = closure_request(build, PLATFORMS, {"GOFLAGS": flag} if where == "outside" else {})
    runner.write_files({"svc/go.mod": "module e.com/svc\n", "svc/cmd/main.go": "package main\n"})
    # `complete_closure` looks whether it exists.
    assert NamedFiles(("svc/prof/cpu.pprof",)) in runner.request(GoClosure, [request]).views
    runner.write_files({"svc/prof/cpu.pprof": "profile"})
    found = runner.request(GoClosure, [request])
    assert "svc/prof/cpu.pprof" in found.closure.files
    Path(runner.build_root, "svc/prof/cpu.pprof").unlink()
