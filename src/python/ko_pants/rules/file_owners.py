"""Which targets own which files.

The answer is that of `OwnersRequest` for files that exist; see `rules/owned_files.py`.
"""

from __future__ import annotations

import posixpath
from typing import Iterable

from pants.engine.addresses import Address

from ko_pants.engine import owned_files, owner_directories
from ko_pants.golang.repo_paths import is_within, parents
from ko_pants.products import OwnedFiles, OwnedFilesRequest, OwnerDirectoriesRequest
from ko_pants.rules.repo_files import existing_files


async def _owned_files_above(directories: Iterable[str]) -> list[OwnedFiles]:
    """What the targets of directories, and of those above them, own."""
    known = (await owner_directories(OwnerDirectoriesRequest())).by_directory
    above: set[str] = set()
    for directory in directories:
        for parent in parents(directory):
            if parent in above:
                break
            above.add(parent)
    return [
        await owned_files(OwnedFilesRequest(directory, known[directory]))
        for directory in sorted(known.keys() & above)
    ]


async def has_generated_owner(path: str) -> bool:
    """True if a generator has made a `go_source` for a file."""
    return any(
        path in owned.generated for owned in await _owned_files_above([posixpath.dirname(path)])
    )


async def owners_of_files(files: Iterable[str]) -> tuple[Address, ...]:
    """The targets that own files of the repo, each once. A file that does not exist has none.

    :param files: paths relative to the repo's root.
    """
    wanted = tuple(dict.fromkeys(files))
    found: dict[Address, None] = {}
    # `posixpath.dirname` takes five times as long, and there are dozens of files for each image.
    for owned in await _owned_files_above({path.rpartition("/")[0] for path in wanted}):
        generated = owned.generated
        found.update(dict.fromkeys(generated[path] for path in wanted if path in generated))
        if owned.named or owned.patterns:
            found.update(dict.fromkeys(await _other_owners(owned, wanted)))
    return tuple(found)


async def _other_owners(owned: OwnedFiles, wanted: tuple[str, ...]) -> list[Address]:
    """The owners that are no `go_source` of a generator, of those files that exist."""
    candidates = wanted if owned.patterns else tuple(p for p in wanted if p in owned.named)
    below = [path for path in candidates if is_within(path, owned.directory)]
    if not below:
        return []
    files = list(await existing_files(below))
    found = [address for path in files for address in owned.named.get(path, ())]
    found += [pattern.address for pattern in owned.patterns if pattern.matcher.matches(files)]
    return found
