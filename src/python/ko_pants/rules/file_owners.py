"""Which targets own which files.

The answer is that of `OwnersRequest` for files that exist; see `rules/owned_files.py`.
"""

from __future__ import annotations

import posixpath
from typing import Iterable, Mapping, Tuple

from pants.engine.addresses import Address

from ko_pants.engine import owned_files
from ko_pants.golang.repo_paths import is_within, parents
from ko_pants.products import OwnedFiles, OwnedFilesRequest
from ko_pants.rules.repo_files import existing_files

#: Directories whose BUILD files have targets that may own files, each with these targets; see
#: `products.OwnerDirectories`.
Owners = Mapping[str, Tuple[Address, ...]]


async def _owned_files_above(directories: Iterable[str], owners: Owners) -> list[OwnedFiles]:
    """What the targets of directories, and of those above them, own."""
    above: set[str] = set()
    for directory in directories:
        for parent in parents(directory):
            if parent in above:
                break
            above.add(parent)
    return [
        await owned_files(OwnedFilesRequest(directory, owners[directory]))
        for directory in sorted(owners.keys() & above)
    ]


async def has_generated_owner(path: str, owners: Owners) -> bool:
    """True if a generator has made a `go_source` for a file."""
    return any(
        path in owned.generated
        for owned in await _owned_files_above([posixpath.dirname(path)], owners)
    )


async def owners_of_files(files: Iterable[str], owners: Owners) -> tuple[Address, ...]:
    """The targets that own files of the repo, each once. A file that does not exist has none.

    :param files: paths relative to the repo's root.
    """
    wanted = tuple(dict.fromkeys(files))
    found: dict[Address, None] = {}
    # `posixpath.dirname` takes five times as long, and there are dozens of files for each image.
    directories = {path.rpartition("/")[0] for path in wanted}
    for owned in await _owned_files_above(directories, owners):
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
