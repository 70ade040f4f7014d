"""The first-party closure of a main package: what `go build` of it can read in the repo."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ko_pants.golang.embed import EmbedFilter
from ko_pants.golang.import_path import candidate_directories
from ko_pants.golang.workspace import Workspace


@dataclass(frozen=True)
class Closure:
    """What one main package is built from; all paths relative to the repo's root and sorted.

    :param import_path: of the main package.
    :param directory: of the main package.
    :param directories: of all first-party (and vendored) packages.
    :param files: Go, assembly, header and object files, go.mod, go.work, vendor/modules.txt.
    :param optional_files: go.sum, go.work.sum, and files that assembly includes; they may not
        exist.
    :param embeds: one per package that embeds files.
    :param third_party: import paths that come from modules outside of the repo.
    """

    import_path: str
    directory: str
    directories: tuple[str, ...]
    files: tuple[str, ...]
    optional_files: tuple[str, ...]
    embeds: tuple[EmbedFilter, ...]
    third_party: tuple[str, ...]

    def is_embedded(self, path: str) -> bool:
        """True if a package embeds the file `path`."""
        return any(embed.matches(path) for embed in self.embeds)


_QUOTED_IMPORT = re.compile(r"[\w.~+-]+(?:/[\w.~+-]+)*")


def missing_imports(stderr: str, workspace: Workspace, closure: Closure) -> tuple[str, ...]:
    """The first-party import paths in an error of Go's that the closure does not have.

    A package of the repo that only third-party modules import is unknown until Go names it so.
    Search again with these as `extra_imports`. Empty if the error has another cause.
    """
    have = set(closure.directories)
    found = set()
    for word in _QUOTED_IMPORT.findall(stderr):
        path = word.rstrip(".")
        if any(d not in have for d in candidate_directories(path, workspace)):
            found.add(path)
    return tuple(sorted(found))
