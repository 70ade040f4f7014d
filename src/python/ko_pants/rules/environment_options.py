"""The options of `[ko]` that one of Pants' environments can change, and where it runs processes."""

from __future__ import annotations

import sys

from pants.engine.internals.native_engine import ProcessExecutionEnvironment
from pants.engine.rules import rule

from ko_pants.errors import KoPantsError
from ko_pants.golang.toolchain import INPUT, LINKED, SOURCES, WORKER, parse_version
from ko_pants.products import EnvironmentOptions, EnvironmentOptionsRequest
from ko_pants.subsystem import KoSubsystem

DOWNLOADS = ("local", "worker")


@rule
async def find_environment_options(
    request: EnvironmentOptionsRequest,
    ko: KoSubsystem.EnvironmentAware,
    execution: ProcessExecutionEnvironment,
) -> EnvironmentOptions:
    """The options of the environment that this step is asked in.

    :raises KoPantsError: a value that is none, or values that do not go together.
    """
    options = EnvironmentOptions(
        toolchain=ko.toolchain,
        go_version=ko.go_version or "",
        go_build_id=ko.go_build_id or "",
        goroot=ko.goroot or "",
        search_path=tuple(ko.worker_path),
        python=ko.worker_python or f"python{sys.version_info[0]}.{sys.version_info[1]}",
        module_downloads=ko.module_downloads,
        execution=execution,
    )
    _check(options)
    return options


def _check(options: EnvironmentOptions) -> None:
    if options.toolchain not in SOURCES:
        raise _error("toolchain", options.toolchain, f"one of {', '.join(SOURCES)}")
    if options.module_downloads not in DOWNLOADS:
        raise _error("module_downloads", options.module_downloads, f"{' or '.join(DOWNLOADS)}")
    if options.toolchain == LINKED:
        _check_linked(options)
    if options.toolchain == WORKER and parse_version(f"go{options.go_version}") is None:
        raise KoPantsError(
            f"option [ko].go_version is {options.go_version!r}, and [ko].toolchain is `worker`; "
            "expected the version of the Go on the workers, such as 1.26.8. It is part of the "
            "cache key, so another Go is another result"
        )
    if options.toolchain == INPUT and not options.goroot:
        raise KoPantsError(
            "option [ko].toolchain is `input`, and [ko].goroot is not set; expected the address of "
            "a target with a Go toolchain, such as //third_party/go:linux_amd64"
        )


def _check_linked(options: EnvironmentOptions) -> None:
    """Linked toolchains are for processes of this machine."""
    if options.is_local:
        return
    where = "a container" if options.execution.docker_image else "remote workers"
    raise KoPantsError(
        f"processes run in {where}, and option [ko].toolchain is `linked`, which reaches Go and "
        "Python through links on this machine; expected `worker` or `input` (in pants.toml, or as "
        "the field `ko_toolchain` of the environment's target): see docs/remote-execution.md"
    )


def _error(option: str, found: str, expected: str) -> KoPantsError:
    return KoPantsError(f"option [ko].{option} is {found!r}; expected {expected}")
