"""Files that Pants does not see, read into its store."""

from __future__ import annotations

import hashlib

from pants.base.build_root import BuildRoot
from pants.engine.fs import CreateDigest, FileContent
from pants.engine.rules import rule

from ko_pants.disk.disk import Disk, HiddenFile
from ko_pants.engine import create_digest
from ko_pants.errors import KoPantsError
from ko_pants.products import HiddenDigest, HiddenDigestRequest


@rule
async def make_hidden_digest(request: HiddenDigestRequest, build_root: BuildRoot) -> HiddenDigest:
    """Read hidden files into the store of Pants.

    :raises KoPantsError: one has changed since it was looked at.
    """
    disk = Disk(build_root.path)
    contents = []
    for file in request.files:
        content = disk.read(file.path)
        check_unchanged(file, content)
        contents.append(FileContent(file.path, content))
    return HiddenDigest(await create_digest(CreateDigest(contents)))


def check_unchanged(file: HiddenFile, content: bytes) -> None:
    """Make sure that a content is that of a hidden file.

    :raises KoPantsError: it is not.
    """
    if hashlib.sha256(content).hexdigest() != file.fingerprint:
        raise KoPantsError(f"{file.path} was changed while it was read; run again")
