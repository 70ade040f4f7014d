"""Blobs of the engine's store as files, which an upload can open and seek in."""

from __future__ import annotations

import os
from typing import Mapping

from pants.engine.fs import CreateDigest, FileDigest, FileEntry
from pants.engine.process import Process, ProcessCacheScope
from pants.util.logging import LogLevel

from ko_pants.engine import create_digest, layer_blobs, losses_of_run, run_process_here
from ko_pants.errors import KoPantsError
from ko_pants.oci.descriptor import Descriptor
from ko_pants.products import LayerBlobRequest, LayerRequest, LossesRequest
from ko_pants.rules.lost_results import say_lost

# The arguments are pairs: a name in the sandbox, and the path where the file shall be. Another
# image may have the same layer, and bring it at the same time. The file may be a link. Linux's `ln`
# links to the link itself, and not every `ln` knows -L (that of macOS 11 does not).
_LINK_OR_COPY = """\
while [ $# -gt 0 ]; do
  file=$1
  if [ -L "$file" ]; then file=$(readlink "$file") || file=$1; fi
  [ -e "$2" ] || { ! [ -L "$file" ] && ln "$file" "$2" 2> /dev/null; } ||
    { cp "$1" "$2.$$" && mv -f "$2.$$" "$2"; } || exit 1
  shift 2
done
"""

# Where Pants keeps files of at least 512 KiB, below its store. It has been so since 2.17.
_LARGE_FILES = ("immutable", "files")


def link_from_store(store: str, files: Mapping[Descriptor, str]) -> dict[Descriptor, str]:
    """Link large blobs from Pants' store to paths; returns those that have to come another way.

    That costs no process: one is a fork of the daemon, and waits until those that were asked for
    before it have begun, which are the compiles and layers of all images of a cold run.

    :param store: `[GLOBAL].local_store_dir`.
    """
    others: dict[Descriptor, str] = {}
    for blob, path in files.items():
        fingerprint = blob.digest.partition(":")[2]
        kept = os.path.join(store, *_LARGE_FILES, fingerprint[:2], fingerprint)
        try:
            if os.lstat(kept).st_size == blob.size:
                os.link(kept, path)
                continue
        except FileExistsError:
            # Another image has the same layer, and has brought it.
            continue
        except OSError:
            # It is small, on a remote cache, or on another file system.
            pass
        others[blob] = path
    return others


async def _link_or_copy(owner: str, files: Mapping[Descriptor, str]) -> None:
    """Write blobs of the store to paths.

    :raises KoPantsError: they cannot be written; the text names `owner`.
    """
    fingerprints = {blob: blob.digest.partition(":")[2] for blob in files}
    digest = await create_digest(
        CreateDigest(FileEntry(f, FileDigest(f, blob.size)) for blob, f in fingerprints.items())
    )
    pairs = [word for blob, path in files.items() for word in (fingerprints[blob], path)]
    result = await run_process_here(
        Process(
            ("/bin/sh", "-c", _LINK_OR_COPY, "spool", *pairs),
            input_digest=digest,
            env={"PATH": "/usr/bin:/bin"},
            description=f"Fetch {len(files)} layers of {owner}",
            level=LogLevel.DEBUG,
            cache_scope=ProcessCacheScope.PER_SESSION,
        )
    )
    if result.exit_code:
        raise KoPantsError(
            f"{owner}: its layers cannot be copied for the upload: "
            + result.stderr.decode("utf-8", "replace").strip()
        )


async def write_blob_files(
    owner: str,
    files: Mapping[Descriptor, str],
    layers: Mapping[Descriptor, LayerRequest],
    store: str,
) -> None:
    """Write layers to the paths `files`: as hard links, or else as copies.

    If the store cannot hand them over, they are made again.

    :param layers: how each of `files` is made.
    :param store: `[GLOBAL].local_store_dir`.
    :raises KoPantsError: they cannot be written or made; the text names `owner`.
    """
    files = link_from_store(store, files)
    if not files:
        return
    try:
        await _link_or_copy(owner, files)
        return
    except KoPantsError:
        raise
    except Exception as e:
        say_lost(await losses_of_run(LossesRequest()), e)
    made = await layer_blobs(LayerBlobRequest(layers[blob], anew=True) for blob in files)
    for wanted, blob in zip(files, made):
        if blob.descriptor.digest != wanted.digest:
            raise KoPantsError(
                f"{owner}: the layer {wanted.digest} is lost on the remote cache, and was made "
                f"again as {blob.descriptor.digest}: its build is not reproducible. Nothing of "
                "this image is published; run again"
            )
    await _link_or_copy(owner, files)
