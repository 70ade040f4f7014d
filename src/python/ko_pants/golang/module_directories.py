"""The directories whose module files matter to one main package, without a look at all others."""

from __future__ import annotations

from typing import Iterable, Mapping

from ko_pants.errors import KoPantsError
from ko_pants.golang.go_mod import GoMod, parse_go_mod
from ko_pants.golang.go_work import GoWork, parse_go_work
from ko_pants.golang.replacements import local_replacements
from ko_pants.golang.repo_paths import join, parents, resolve_directory

#: The files of a directory that say what its module is.
MODULE_FILES = ("go.mod", "go.work", "vendor/modules.txt")


def module_file_paths(directories: Iterable[str]) -> list[str]:
    """The paths of the module files that directories may have."""
    return [join(directory, name) for directory in directories for name in MODULE_FILES]


def module_directories(
    directory: str, files: Mapping[str, bytes], *, use_go_work: bool = True
) -> frozenset[str]:
    """The directories whose module files matter, as far as the known files tell.

    These are the directory and those above it, those that the go.work there uses, and the
    directories that replace modules. Read their files, and ask again with these, until there are no
    more directories.

    What is malformed or outside of the repo names nothing here: `find_workspace` reports it.

    :param files: go.mod and go.work files by path, those that are known.
    """
    found = set(parents(directory))
    work = _find_go_work(directory, files) if use_go_work else None
    mains: dict[str, GoMod] = {}
    if work is None:
        root = next((p for p in parents(directory) if join(p, "go.mod") in files), None)
        uses = [] if root is None else [root]
    else:
        uses = [d for d in (_resolved(work.directory, use) for use in work.uses) if d is not None]
        found.update(uses)
    for used in uses:
        go_mod = _parsed(used, files)
        if go_mod is not None:
            mains[used] = go_mod
    for replacement in local_replacements(work, mains):
        target = _resolved(replacement.base, replacement.target)
        if target is not None:
            found.add(target)
    return frozenset(found)


class ModuleFilesSearch:
    """Finds the module files that matter: read those of `wanted`, `add` them, until none is wanted.

    :param directory: see `module_directories`, as for `use_go_work`.
    """

    def __init__(self, directory: str, *, use_go_work: bool) -> None:
        self._directory = directory
        self._use_go_work = use_go_work
        #: The files by path, and the directories that were read for them.
        self.files: dict[str, bytes] = {}
        self.read: frozenset[str] = frozenset()

    def wanted(self) -> list[str]:
        """The directories whose module files are read next, sorted; none at the end."""
        matter = module_directories(self._directory, self.files, use_go_work=self._use_go_work)
        return sorted(matter - self.read)

    def add(self, directories: Iterable[str], files: Mapping[str, bytes]) -> None:
        """These directories were read, and have these files."""
        self.read |= frozenset(directories)
        self.files.update(files)


def _find_go_work(directory: str, files: Mapping[str, bytes]) -> GoWork | None:
    paths = (join(parent, "go.work") for parent in parents(directory))
    path = next((path for path in paths if path in files), None)
    try:
        return None if path is None else parse_go_work(files[path], path)
    except KoPantsError:
        return None


def _parsed(directory: str, files: Mapping[str, bytes]) -> GoMod | None:
    path = join(directory, "go.mod")
    try:
        return parse_go_mod(files[path], path) if path in files else None
    except KoPantsError:
        return None


def _resolved(base: str, target: str) -> str | None:
    try:
        return resolve_directory(base, target, where="", what="")
    except KoPantsError:
        return None
