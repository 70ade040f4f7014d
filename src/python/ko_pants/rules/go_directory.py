"""From a directory of the repo to its analysis, without running Go.

After an edit of a function body the analysis is equal, and the engine stops there.
"""

from __future__ import annotations

import fnmatch
import posixpath
from typing import Iterable

from pants.base.build_root import BuildRoot
from pants.engine.rules import rule

from ko_pants.disk.disk import Disk
from ko_pants.golang.directory import CONTENT_GLOBS, NAME_GLOBS, analyze_directory
from ko_pants.golang.input_views import PackageDirectory
from ko_pants.products import AnalyzedDirectory, GoDirectoryRequest
from ko_pants.rules.hidden_digest import check_unchanged
from ko_pants.rules.repo_files import contents_of_matches, matching_files

# Pants compares each glob with each entry of each directory on the way, so that a pattern for each
# kind of file costs what the siblings of all directories come to.
_GO_FILES = ("*.go",)
_OTHER_CONTENT = tuple(glob for glob in CONTENT_GLOBS if glob not in _GO_FILES)


def _may_match(entries: Iterable[str], globs: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, glob) for name in entries for glob in globs)


@rule
async def analyze_go_directory(
    request: GoDirectoryRequest, build_root: BuildRoot
) -> AnalyzedDirectory:
    """Read the heads of one directory's Go files. A directory that does not exist has none.

    :raises KoPantsError: it has a Go file that cannot be read, such as a link out of the repo.
    """
    disk = Disk(build_root.path)
    # First, for Pants has no good message for a link that it cannot follow.
    PackageDirectory(request.path).files(disk, disk.entries)
    found = list(await contents_of_matches({request.path: _GO_FILES}))
    # Behind the first look of Pants: it begins anew if the directory changes after that.
    others = [name for name in disk.entries(request.path) if not name.endswith(".go")]
    if _may_match(others, _OTHER_CONTENT):
        found += await contents_of_matches({request.path: _OTHER_CONTENT})
    names: tuple[str, ...] = ()
    if _may_match(others, NAME_GLOBS):
        names = await matching_files({request.path: NAME_GLOBS})
    files = {posixpath.basename(file.path): file.content for file in found}
    for hidden in request.hidden:
        content = disk.read(hidden.path)
        check_unchanged(hidden, content)
        files[posixpath.basename(hidden.path)] = content
    return AnalyzedDirectory(
        analyze_directory(request.path, files, [*map(posixpath.basename, names), *sorted(files)])
    )
