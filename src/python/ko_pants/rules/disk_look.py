"""Once in each run: has something changed of what the disk was asked in this run and before?"""

from __future__ import annotations

from pants.base.build_root import BuildRoot
from pants.engine.rules import _uncacheable_rule

from ko_pants.disk.answers import look_again
from ko_pants.products import DiskLook, DiskLookRequest


@_uncacheable_rule
async def look_at_disk(request: DiskLookRequest, build_root: BuildRoot) -> DiskLook:
    """Look again. A rule that asks the disk asks for this first, so that it runs again."""
    return DiskLook(look_again(build_root.path))
