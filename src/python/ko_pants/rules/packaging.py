"""What packages are made for: to be written as files, or to be published."""

from __future__ import annotations

from pants.engine.goal import CurrentExecutingGoals
from pants.engine.rules import rule

from ko_pants.products import Packaging, PackagingRequest


@rule
async def find_packaging(request: PackagingRequest, goals: CurrentExecutingGoals) -> Packaging:
    """Pants makes the same package for both. Nobody sees the files of one for `publish`.

    One step for all images, whose answer is the same in most runs: so only this one is looked at
    in each run.
    """
    return Packaging(writes_files=not goals.is_running("publish"))
