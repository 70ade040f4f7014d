"""Options of environments, where processes run, and whose variables count."""

from __future__ import annotations

import sys

import pytest
from pants.testutil.rule_runner import RuleRunner
from rules.engine_runner import configure, error_of, new_runner

from ko_pants.golang.toolchain import LINKED, WORKER, Toolchain
from ko_pants.products import (
    EnvironmentOptions,
    EnvironmentOptionsRequest,
    GoTools,
    HostTools,
    HostToolsRequest,
    WorkerPython,
)

PYTHON = f"python{sys.version_info[0]}.{sys.version_info[1]}"


@pytest.fixture(scope="module")
def engine() -> RuleRunner:
    return new_runner(
        [
            (EnvironmentOptions, [EnvironmentOptionsRequest]),
            (HostTools, [HostToolsRequest]),
        ]
    )


@pytest.fixture
def runner(engine: RuleRunner) -> RuleRunner:
    configure(engine)
    return engine


def options_of(runner: RuleRunner) -> EnvironmentOptions:
    return runner.request(EnvironmentOptions, [EnvironmentOptionsRequest()])


def test_defaults(runner: RuleRunner) -> None:
    found = options_of(runner)
    assert (found.toolchain, found.go_version, found.module_downloads) == (LINKED, "", "local")
    assert found.search_path == ("/usr/local/go/bin", "/usr/local/bin", "/usr/bin", "/bin")
    assert found.python == PYTHON
    assert found.is_local


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--ko-toolchain=local"], "[ko].toolchain is 'local'; expected one of linked, worker"),
        (["--ko-toolchain=worker"], "[ko].go_version is '', and [ko].toolchain is `worker`"),
        (["--ko-toolchain=worker", "--ko-go-version=new"], "[ko].go_version is 'new'"),
        (["--ko-module-downloads=far"], "[ko].module_downloads is 'far'; expected local or worker"),
    ],
)
def test_mistakes(runner: RuleRunner, options: list[str], text: str) -> None:
    configure(runner, *options)
    assert text in error_of(runner, EnvironmentOptions, [EnvironmentOptionsRequest()])


def test_the_tools_of_a_worker(runner: RuleRunner) -> None:
    configure(
        runner,
        "--ko-toolchain=worker",
        "--ko-go-version=1.26.8",
        "--ko-worker-path=['/a', '/b']",
        "--ko-module-downloads=worker",
    )
    found = runner.request(HostTools, [HostToolsRequest()])
    assert found.go == GoTools(Toolchain("go1.26.8", WORKER, "", ("/a", "/b")))
    assert found.layer_python == WorkerPython(PYTHON, ("/a", "/b"))
    assert found.python == f"cp{sys.version_info[0]}{sys.version_info[1]}"


def test_a_missing_go_of_this_machine_matters_only_to_who_needs_it(runner: RuleRunner) -> None:
    configure(
        runner, "--ko-toolchain=worker", "--ko-go-version=1.26.8", "--ko-go-search-paths=['/no']"
    )
    found = runner.request(HostTools, [HostToolsRequest()])
    assert found.go is not None
    assert found.go.downloader == ""
    assert "no `go` tool of version 1.21 or newer" in found.go.problem
