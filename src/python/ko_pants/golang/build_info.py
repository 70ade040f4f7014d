"""What Go writes into each executable about how it was built, as `go version -m` prints it.

Source: Go's package runtime/debug, `BuildInfo`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Module:
    """A module, as it was built in.

    :param version: `(devel)` or empty for a module of the repo; else `v1.2.3`.
    :param sum: `h1:<base64>`, the line of go.sum; empty if there is none.
    :param replaced_by: what `replace` puts in its place.
    """

    path: str
    version: str = ""
    sum: str = ""
    replaced_by: Module | None = None

    @property
    def built(self) -> Module:
        """The module whose source is in the executable."""
        return self.replaced_by or self


@dataclass(frozen=True)
class BuildInfo:
    """What an executable says of its build.

    :param go_version: such as `go1.26.8`.
    :param path: the import path of the main package.
    :param main: the main module; None if the executable names none.
    :param modules: the other modules, in the order of the executable.
    :param settings: such as `("GOOS", "linux")`, in the order of the executable.
    """

    go_version: str
    path: str = ""
    main: Module | None = None
    modules: tuple[Module, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()
