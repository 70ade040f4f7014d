"""The file of a digest that has just one."""

from __future__ import annotations

from pants.engine.fs import Digest, FileEntry

from ko_pants.engine import digest_entries


async def single_file(digest: Digest) -> FileEntry:
    """The one file of a digest: its path, its own digest and its size. Its bytes are not read."""
    entries = await digest_entries(digest)
    (entry,) = (e for e in entries if isinstance(e, FileEntry))
    return entry
