"""go.mod files. Source: the Go Modules Reference, "go.mod files"."""

from __future__ import annotations

from dataclasses import dataclass

from ko_pants.errors import KoPantsError
from ko_pants.golang.modfile import (
    Directive,
    Replace,
    parse_directives,
    parse_replace,
    single_argument,
)


@dataclass(frozen=True)
class Require:
    """`require path version`."""

    path: str
    version: str


@dataclass(frozen=True)
class GoMod:
    """What a go.mod says about the inputs of a build; its other directives are left out.

    :param where: path of the file.
    :param module: path of the module.
    :param go: the argument of the `go` directive; `""` without one.
    """

    where: str
    module: str
    go: str = ""
    requires: tuple[Require, ...] = ()
    replaces: tuple[Replace, ...] = ()


def parse_go_mod(content: bytes, where: str) -> GoMod:
    """Read a go.mod. A directive that is unknown, or no matter to a build's inputs, is skipped.

    :param where: path of the file, for messages.
    :raises KoPantsError: malformed. The text has file and line.
    """
    module = go = toolchain = ""
    requires: list[Require] = []
    replaces: list[Replace] = []
    for directive in parse_directives(content, where):
        if directive.verb == "module":
            module = single_argument(directive, where, earlier=module)
        elif directive.verb == "go":
            go = single_argument(directive, where, earlier=go)
        elif directive.verb == "toolchain":
            toolchain = single_argument(directive, where, earlier=toolchain)
        elif directive.verb == "require":
            requires.append(_parse_require(directive, where))
        elif directive.verb == "replace":
            replaces.append(parse_replace(directive, where))
    if not module:
        raise KoPantsError(
            f"{where}:1: no `module` directive; expected a line `module example.com/name`"
        )
    return GoMod(where, module, go, tuple(requires), tuple(replaces))


def _parse_require(directive: Directive, where: str) -> Require:
    if len(directive.arguments) != 2:
        raise KoPantsError(
            f"{where}:{directive.line}: malformed `require` directive; expected a module path and "
            "a version"
        )
    return Require(*directive.arguments)
