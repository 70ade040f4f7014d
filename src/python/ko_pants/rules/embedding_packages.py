"""Which packages embed files: so that these files have an owner.

The heads of Go files are read from the disk itself, and Pants stores none of them. The answer is
the same after most edits, and then no target is made again.
"""

from __future__ import annotations

from pants.base.build_root import BuildRoot
from pants.engine.rules import rule

from ko_pants.disk.answers import ask
from ko_pants.engine import disk_look
from ko_pants.golang.disk_questions import PackageHeads
from ko_pants.golang.source_groups import EmbeddingPackages
from ko_pants.products import DiskLookRequest, EmbeddingPackagesRequest


@rule
async def find_embedding_packages(
    request: EmbeddingPackagesRequest, build_root: BuildRoot
) -> EmbeddingPackages:
    """Read the heads of the Go files of these directories.

    :raises KoPantsError: there is a Go file that cannot be read, such as a link out of the repo.
    """
    await disk_look(DiskLookRequest())
    root = build_root.path
    return EmbeddingPackages.of([ask(root, PackageHeads(path)) for path in request.directories])
