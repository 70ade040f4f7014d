"""From a directory of the repo to its analysis, without running Go.

After an edit of a function body the analysis is equal, and the engine stops there.
"""

from __future__ import annotations

import posixpath

from pants.base.build_root import BuildRoot
from pants.engine.rules import rule

from ko_pants.disk.disk import Disk
from ko_pants.engine import digest_contents
from ko_pants.golang.directory import CONTENT_GLOBS, NAME_GLOBS, analyze_directory
from ko_pants.golang.input_views import PackageDirectory
from ko_pants.products import AnalyzedDirectory, GoDirectoryRequest
from ko_pants.rules.hidden_digest import check_unchanged
from ko_pants.rules.repo_files import digest_of_matches, matching_files


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
    contents = await digest_contents(await digest_of_matches({request.path: CONTENT_GLOBS}))
    names = await matching_files({request.path: NAME_GLOBS})
    files = {posixpath.basename(file.path): file.content for file in contents}
    for hidden in request.hidden:
        content = disk.read(hidden.path)
        check_unchanged(hidden, content)
        files[posixpath.basename(hidden.path)] = content
    return AnalyzedDirectory(
        analyze_directory(request.path, files, [*map(posixpath.basename, names), *sorted(files)])
    )
