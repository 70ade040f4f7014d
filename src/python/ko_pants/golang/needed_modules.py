"""The part of go.mod and go.sum that the build of one main package reads.

A go.mod is shared by all programs of a module, and changes with every bump of any dependency. From
`go 1.17` on it names every module that provides a package, at the version in use, and Go loads no
more of the module graph than that (Go Modules Reference, "Lazy module loading"). So a build from a
go.mod with the needed requirements alone yields the same executable, byte for byte, and is not
touched by a bump of another one. Where that does not hold, Go finds no provider for a package and
fails, so a part that is too small cannot go unnoticed.
"""

from __future__ import annotations

import re
from typing import Collection

from ko_pants.golang.modules import GoMod, Workspace, go_version, module_directives

# What a build reads of a go.mod. The others say something to those who maintain the module
# (`retract`, `tool`) or to patterns such as `./...` (`ignore`).
_KEPT = ("module", "go", "toolchain", "godebug")
_SELECTED = ("require", "replace", "exclude")
_DROPPED = ("retract", "tool", "ignore")

_PLAIN = re.compile(r"=>|[^\s\"'`(),\[\]]+")


def can_be_reduced(workspace: Workspace, go_mod: GoMod, mod: str) -> bool:
    """True if a part of go.mod stands for all of it.

    Not with a go.work, which joins the requirements of its modules; not with vendor/, whose
    modules.txt has to agree with go.mod; not before `go 1.17`; and not where `-mod` lets Go change
    go.mod.

    :param mod: the value of `-mod`, if any.
    """
    single = workspace.files.count(go_mod.where) == 1 and not any(
        path.endswith("go.work") for path in workspace.files
    )
    return (
        single
        and workspace.vendor is None
        and mod in ("", "readonly")
        and go_version(go_mod.go) >= (1, 17)
    )


def reduce_go_mod(content: bytes, where: str, needed: Collection[str]) -> bytes | None:
    """go.mod with the requirements, replacements and exclusions of `needed` modules alone.

    In an order and a form of its own, so that comments and sorting do not count. None if there is a
    directive in it that this code does not know.

    :raises KoPantsError: malformed.
    """
    lines = []
    for _, verb, arguments in module_directives(content, where):
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
    """The lines of go.sum about `needed` modules, sorted."""
    lines = {
        line
        for line in content.decode("utf-8", "replace").splitlines()
        if line.partition(" ")[0] in needed
    }
    return "".join(f"{line}\n" for line in sorted(lines)).encode()


def with_replacements(needed: Collection[str], go_mod: GoMod) -> frozenset[str]:
    """`needed` and what stands for them: go.sum names the replacement, go.mod the replaced."""
    return frozenset(needed).union(r.new for r in go_mod.replaces if r.old in needed)


def _quoted(word: str) -> str:
    if _PLAIN.fullmatch(word) and "//" not in word:
        return word
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'
