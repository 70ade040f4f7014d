"""Options that a target of one of Pants' environments can set: fields `ko_<option>`."""

from __future__ import annotations

from pants.option.option_types import StrListOption, StrOption


class EnvironmentOptions:
    """See `ko_pants.subsystem.KoSubsystem.EnvironmentAware`."""

    toolchain = StrOption(
        default="linked",
        help=(
            "Where processes have Go and Python from. `linked`: those of this machine, for "
            "processes that run here. `worker`: those on the PATH of the worker or container, "
            "see `worker_path`. `input`: the Go of `goroot`, and the worker's Python; where no "
            "workers are, the Python that runs Pants."
        ),
    )
    go_version = StrOption(
        default=None,
        help=(
            "The version of Go on the workers, for the toolchain `worker`. A worker with "
            "another one is an error, and another version is another cache key.\n\n"
            "Default: none; the toolchain `worker` needs it. Example: `1.26.8`."
        ),
    )
    go_build_id = StrOption(
        default=None,
        advanced=True,
        help=(
            "The build id (`go tool buildid`) that the go command on the workers must have, "
            "for a Go that was patched and has the version of another.\n\n"
            "Default: it is not compared. Example: what `go tool buildid $(go env "
            "GOROOT)/bin/go` prints."
        ),
    )
    worker_path = StrListOption(
        default=["/usr/local/go/bin", "/usr/local/bin", "/usr/bin", "/bin"],
        help=(
            "The PATH of processes on workers, as a list of directories, for the toolchains "
            "`worker` and `input`."
        ),
    )
    worker_python = StrOption(
        default=None,
        help=(
            "The Python on workers that makes layers: a name on `worker_path`, or a path. It "
            "must have the minor version of the Python that runs Pants.\n\n"
            "Default: `python3.9` where Pants runs with CPython 3.9, and so on. Example: "
            "`/opt/python/bin/python3.9`."
        ),
    )
    module_downloads = StrOption(
        default="local",
        help=(
            "Where Go modules are downloaded for the toolchains `worker` and `input`: `local` "
            "(by the Go of this machine, with its credentials), or `worker`."
        ),
    )
    goroot = StrOption(
        default=None,
        help=(
            "The address of a target with a Go toolchain for the platform of the workers, for "
            "the toolchain `input`.\n\n"
            "Default: none; the toolchain `input` needs it. Example: `//toolchains:go`."
        ),
    )
