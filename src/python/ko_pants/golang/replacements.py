"""Which `replace` directives put a directory of the repo in a module's place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Collection, Iterator, Mapping

from ko_pants.golang.go_mod import GoMod
from ko_pants.golang.go_work import GoWork
from ko_pants.golang.modfile import Replace, language_version

# From this language version on, go.mod lists every module that provides a package, at the version
# in use (Go Modules Reference, "Lazy module loading").
COMPLETE_GO_MOD = (1, 17)


@dataclass(frozen=True)
class LocalReplacement:
    """A `replace` with a directory.

    :param path: of the module that is replaced.
    :param base: the directory of the file that has the directive.
    :param target: the directory as written, relative to `base`.
    :param where: path and line of the directive.
    """

    path: str
    base: str
    target: str
    where: str


def local_replacements(
    work: GoWork | None, mains: Mapping[str, GoMod]
) -> Iterator[LocalReplacement]:
    """The replacements by directories that may apply to a build, each once.

    Where the versions in use are known, one that does not apply is left out.

    :param mains: the go.mod of each main module, by its directory.
    """
    required: dict[str, set[str]] = {}
    for go_mod in mains.values():
        for require in go_mod.requires:
            required.setdefault(require.path, set()).add(require.version)
    # In a workspace the highest version wins, which may be one that none of its go.mod files names.
    versions_are_known = work is None and all(
        language_version(go_mod.go) >= COMPLETE_GO_MOD for go_mod in mains.values()
    )
    seen: set[tuple[str, str]] = set()
    for base, where, replaces in _directives(work, mains):
        for replace in replaces:
            if versions_are_known and not _applies(
                replace, replaces, required.get(replace.old, ())
            ):
                continue
            if not replace.is_local or (replace.old, replace.new) in seen:
                continue
            seen.add((replace.old, replace.new))
            yield LocalReplacement(replace.old, base, replace.new, f"{where}:{replace.line}")


def _directives(
    work: GoWork | None, mains: Mapping[str, GoMod]
) -> Iterator[tuple[str, str, tuple[Replace, ...]]]:
    """(directory, path, directives that count) of each file. Those of go.work win over go.mod."""
    overridden: set[tuple[str, str]] = set()
    if work is not None:
        overridden = {(replace.old, replace.old_version) for replace in work.replaces}
        yield work.directory, work.where, work.replaces
    for directory, go_mod in mains.items():
        kept = tuple(
            replace
            for replace in go_mod.replaces
            if (replace.old, "") not in overridden
            and (replace.old, replace.old_version) not in overridden
        )
        yield directory, go_mod.where, kept


def _applies(replace: Replace, replaces: Collection[Replace], versions: Collection[str]) -> bool:
    """True if a directive is the one for a version in use; `versions` is empty if none is."""
    if replace.old_version:
        return replace.old_version in versions
    # A directive for all versions gives way to one for the version in use.
    return bool(versions) and not any(
        other.old == replace.old and other.old_version in versions for other in replaces
    )
