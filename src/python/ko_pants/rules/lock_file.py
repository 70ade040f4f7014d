"""The lock file of a base image, read once for all images on it."""

from __future__ import annotations

from pants.engine.rules import rule

from ko_pants.engine import digest_contents
from ko_pants.errors import KoPantsError
from ko_pants.oci.base_lock import parse_lock
from ko_pants.products import LockFile, LockFileRequest
from ko_pants.rules.repo_files import digest_of_files


@rule
async def read_lock_file(request: LockFileRequest) -> LockFile:
    """Read and check a lock file; what is wrong with it is in the result."""
    way_out = f"Run `./pants ko-lock {request.address}` and commit the file"
    contents = await digest_contents(await digest_of_files([request.path]))
    if not contents:
        return LockFile(
            None,
            f"the lock file {request.path} of {request.address} is missing, or Pants ignores it "
            f"(.gitignore, [GLOBAL].pants_ignore). {way_out}",
        )
    try:
        where = f"the lock file {request.path} of {request.address}"
        return LockFile(parse_lock(contents[0].content, where=where))
    except KoPantsError as e:
        return LockFile(None, f"{e}. {way_out}")
