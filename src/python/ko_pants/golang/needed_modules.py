"""The part of go.mod and go.sum that the build of one main package reads.

A go.mod is shared by all programs of a module, and changes when any dependency is updated. From
`go 1.17` on it names every module that provides a package, at the version in use, and Go loads no
more of the module graph than that (Go Modules Reference, "Lazy module loading"). So a go.mod with
only the needed requirements gives the same executable, byte for byte, and an update of another
module leaves it as it is. A part that is too small does not go unnoticed: Go finds no module that
provides a package, and fails.
"""

from __future__ import annotations

import re
from typing import Collection

from ko_pants.golang.go_mod import GoMod
from ko_pants.golang.modfile import language_version, parse_directives
from ko_pants.golang.replacements import COMPLETE_GO_MOD
from ko_pants.golang.workspace import Workspace

# What a build reads of every go.mod, what it reads about needed modules, and what it does not read:
# that is for those who maintain the module (`retract`, `tool`) or for patterns such as `./...`
# (`ignore`).
_KEPT = ("module", "go", "toolchain", "godebug")
_SELECTED = ("require", "replace", "exclude")
_DROPPED = ("retract", "tool", "ignore")

# Words of go.mod that need no quotes.
_PLAIN = re.compile(r"=>|[^\s\"'`(),\[\]]+")


def can_be_reduced(workspace: Workspace, go_mod: GoMod, mod: str) -> bool:
    """True if a part of go.mod can stand for all of it.

    It cannot with a go.work, which joins the requirements of its modules; with vendor/, whose
    modules.txt has to agree with go.mod; before `go 1.17`; and with a `-mod` that lets Go change
    go.mod.

    :param mod: the value of `-mod`; `""` if there is none.
    """
    return (
        not any(path.endswith("go.work") for path in workspace.files)
        and workspace.vendor is None
        and mod in ("", "readonly")
        and language_version(go_mod.go) >= COMPLETE_GO_MOD
    )


def reduce_go_mod(content: bytes, where: str, needed: Collection[str]) -> bytes | None:
    """go.mod with only what it says of `needed` modules.

    It has an order and a form of its own, so that comments and sorting of the content do not count.
    None if the content has a directive that this code does not know.

    :param where: path of the go.mod, for messages.
    :raises KoPantsError: malformed.
    """
    lines = []
    for directive in parse_directives(content, where):
        verb, arguments = directive.verb, directive.arguments
        if verb in _DROPPED:
            continue
        if verb in _SELECTED:
            if not arguments or arguments[0] not in needed:
                continue
        elif verb not in _KEPT:
            return None
        lines.append(" ".join((verb, *map(_quoted, arguments))))
    order = {verb: i for i, verb in enumerate((*_KEPT, *_SELECTED))}
    lines.sort(key=lambda line: (order[line.partition(" ")[0]], line))
    return "".join(f"{line}\n" for line in lines).encode()


def reduce_go_sum(content: bytes, needed: Collection[str]) -> bytes:
    """The lines of go.sum about `needed` modules, sorted, each once."""
    lines = {
        line
        for line in content.decode("utf-8", "replace").splitlines()
        if line.partition(" ")[0] in needed
    }
    return "".join(f"{line}\n" for line in sorted(lines)).encode()


def with_replacements(needed: Collection[str], go_mod: GoMod) -> frozenset[str]:
    """`needed` modules and the modules that replace them, which go.sum names in their place."""
    return frozenset(needed).union(r.new for r in go_mod.replaces if r.old in needed)


def _quoted(word: str) -> str:
    if _PLAIN.fullmatch(word) and "//" not in word:
        return word
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'
