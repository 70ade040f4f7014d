"""From the repo's files to what the search for a closure reads, without running Go.

Two steps, each stopping the engine where its result is equal: a directory's analysis (equal after
an edit of function bodies), and the module files of the repo.
"""

from __future__ import annotations

import posixpath

from pants.engine.fs import PathGlobs
from pants.engine.rules import collect_rules, rule

from ko_pants.engine import digest_contents, digest_of_globs, paths_of_globs
from ko_pants.golang.directory import CONTENT_GLOBS, NAME_GLOBS, analyze_directory
from ko_pants.products import AnalysedDirectory, GoDirectoryRequest, GoModules, GoModulesRequest


@rule
async def analyse_go_directory(request: GoDirectoryRequest) -> AnalysedDirectory:
    """Read the heads of one directory's Go files. A missing directory has none."""
    contents = await digest_contents(
        await digest_of_globs(
            PathGlobs([posixpath.join(request.path, glob) for glob in CONTENT_GLOBS])
        )
    )
    names = await paths_of_globs(
        PathGlobs([posixpath.join(request.path, glob) for glob in NAME_GLOBS])
    )
    return AnalysedDirectory(
        analyze_directory(
            request.path,
            {posixpath.basename(file.path): file.content for file in contents},
            [posixpath.basename(path) for path in names.files],
        )
    )


@rule
async def find_go_modules(request: GoModulesRequest) -> GoModules:
    """Every go.mod, go.work and vendor/modules.txt of the repo."""
    contents = await digest_contents(
        await digest_of_globs(
            PathGlobs(["**/go.mod", "**/go.work", "**/vendor/modules.txt"]),
        )
    )
    return GoModules(tuple(sorted((file.path, file.content) for file in contents)))


def rules() -> list[object]:
    """The rules of this module."""
    return list(collect_rules())
