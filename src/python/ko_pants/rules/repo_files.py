"""Files of the repo: those at known paths, those below a directory, those that match patterns.

The engine is asked by globs alone. This is the one place where a path becomes a glob.
"""

from __future__ import annotations

import posixpath
from typing import Iterable, Mapping

from pants.engine.fs import Digest, DigestContents, PathGlobs

from ko_pants.engine import contents_of_globs, digest_of_globs, paths_of_globs
from ko_pants.literal_globs import literal_glob


def _globs(files: Iterable[str], trees: Iterable[str]) -> PathGlobs:
    return PathGlobs(
        [
            *map(literal_glob, files),
            *(posixpath.join(literal_glob(tree), "**") for tree in trees),
        ]
    )


def _patterns(patterns: Mapping[str, Iterable[str]]) -> PathGlobs:
    return PathGlobs(
        sorted(
            {
                posixpath.join(literal_glob(directory), pattern)
                for directory, found in patterns.items()
                for pattern in found
            }
        )
    )


async def digest_of_files(files: Iterable[str], *, trees: Iterable[str] = ()) -> Digest:
    """The content of those files that exist, and of all files below the directories `trees`.

    All paths are relative to the repo's root.
    """
    return await digest_of_globs(_globs(files, trees))


async def existing_files(files: Iterable[str], *, trees: Iterable[str] = ()) -> tuple[str, ...]:
    """The paths of those files that exist, and of all files below the directories `trees`.

    All paths are relative to the repo's root.
    """
    paths = await paths_of_globs(_globs(files, trees))
    return paths.files


async def how_to_unignore(path: str) -> str:
    """The line of `[GLOBAL]` in pants.toml with which Pants sees a file that is there.

    Rules of gitignore take a file out of an ignored directory only if the directory is taken out
    before it, so each directory is named that Pants does not look into.
    """
    parents = [path[:i] for i, c in enumerate(path) if c == "/" and i]
    ignored = parents
    for parent in parents:
        if not await existing_files((), trees=(parent,)):
            break
        ignored = ignored[1:]
    patterns = [*(f"!/{directory}/" for directory in ignored), f"!/{path}"]
    return f"pants_ignore.add = {patterns}"


async def contents_of_matches(patterns: Mapping[str, Iterable[str]]) -> DigestContents:
    """The files that match patterns, with their bytes.

    :param patterns: by directory, Pants globs relative to it. The directory is a path, not a glob.
    """
    return await contents_of_globs(_patterns(patterns))


async def digest_of_sources(directory: str, globs: Iterable[str]) -> Digest:
    """The content of the files that globs of a BUILD file match, and that those with `!` do not.

    :param directory: that of the BUILD file. It is a path, not a glob.
    """
    place = literal_glob(directory)
    patterns = []
    for glob in globs:
        sign = "!" if glob.startswith("!") else ""
        patterns.append(sign + posixpath.join(place, glob[len(sign) :]))
    return await digest_of_globs(PathGlobs(patterns))


async def matching_files(patterns: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """The paths of the files that match patterns.

    :param patterns: by directory, Pants globs relative to it. The directory is a path, not a glob.
    """
    paths = await paths_of_globs(_patterns(patterns))
    return paths.files
