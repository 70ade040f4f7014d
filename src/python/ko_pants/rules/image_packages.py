"""Which images have which main package: all `go_oci_image` targets of the repo.

It is asked for only where a manifest has `ko://` in it.
"""

from __future__ import annotations

from pants.engine.rules import rule
from pants.engine.target import AllTargets

from ko_pants.engine import program_packages
from ko_pants.products import ImagePackages, ImagePackagesRequest, ProgramPackageRequest
from ko_pants.target_types import GoOciImageFieldSet


@rule(desc="Find the programs of all images")
async def find_image_packages(request: ImagePackagesRequest, targets: AllTargets) -> ImagePackages:
    """Ask each image for its import path; one that is broken has none."""
    images = sorted(
        target.address for target in targets if GoOciImageFieldSet.is_applicable(target)
    )
    return ImagePackages(
        await program_packages(ProgramPackageRequest(image, request.variables) for image in images)
    )
