"""The lock file of a base image, read once per run for all images on it."""

from __future__ import annotations

import os

from pants.base.build_root import BuildRoot
from pants.engine.rules import _uncacheable_rule

from ko_pants.errors import KoPantsError
from ko_pants.oci.base_lock import parse_lock
from ko_pants.products import LockFile, LockFileRequest


def lock_file_on_disk(request: LockFileRequest, root: str) -> LockFile:
    """Read and check a lock file; what is wrong with it is in the result.

    Not through the engine: that hears of a change a little later, and without a daemon not at all,
    and `ko-lock` and `publish` may be goals of one run.

    :param root: the build root.
    """
    where = f"the lock file {request.path} of {request.address}"
    way_out = f"Run `./pants ko-lock {request.address}` and commit the file"
    try:
        with open(os.path.join(root, request.path), "rb") as f:
            content = f.read()
        return LockFile(parse_lock(content, where=where))
    except FileNotFoundError:
        return LockFile(None, f"{where} is missing. {way_out}")
    except OSError as e:
        return LockFile(None, f"{where} cannot be read: {e.strerror}. {way_out}")
    except KoPantsError as e:
        return LockFile(None, f"{e}. {way_out}")


@_uncacheable_rule
async def read_lock_file(request: LockFileRequest, build_root: BuildRoot) -> LockFile:
    """The lock file as it is when the first image of a run asks."""
    return lock_file_on_disk(request, build_root.path)
