"""go.work files. Source: the Go Modules Reference, "Workspaces"."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass

from ko_pants.golang.modfile import Replace, parse_directives, parse_replace, single_argument


@dataclass(frozen=True)
class GoWork:
    """What a go.work says about the inputs of a build.

    :param where: path of the file.
    :param go: the argument of the `go` directive; `""` without one.
    :param uses: the directories of modules as written, relative to the file's directory.
    """

    where: str
    go: str = ""
    uses: tuple[str, ...] = ()
    replaces: tuple[Replace, ...] = ()

    @property
    def directory(self) -> str:
        """The directory that holds the file."""
        return posixpath.dirname(self.where)


def parse_go_work(content: bytes, where: str) -> GoWork:
    """Read a go.work. A directive that is unknown, or no matter to a build's inputs, is skipped.

    :param where: path of the file, for messages.
    :raises KoPantsError: malformed. The text has file and line.
    """
    go = toolchain = ""
    uses: list[str] = []
    replaces: list[Replace] = []
    for directive in parse_directives(content, where):
        if directive.verb == "go":
            go = single_argument(directive, where, earlier=go)
        elif directive.verb == "toolchain":
            toolchain = single_argument(directive, where, earlier=toolchain)
        elif directive.verb == "use":
            uses.append(single_argument(directive, where))
        elif directive.verb == "replace":
            replaces.append(parse_replace(directive, where))
    return GoWork(where, go, tuple(uses), tuple(replaces))
