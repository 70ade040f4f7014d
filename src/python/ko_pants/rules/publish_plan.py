"""What a target publishes, and where to.

It is a step of its own, so that the engine skips it as long as nothing has changed.
"""

from __future__ import annotations

from pants.base.build_root import BuildRoot
from pants.engine.rules import rule
from pants.engine.target import WrappedTargetRequest

from ko_pants.engine import recorded_image, wrapped_target
from ko_pants.products import PublishPlan, PublishPlanRequest, RecordedImageRequest
from ko_pants.rules.image_names import destinations_of, image_names, names_need_built
from ko_pants.rules.record_keeping import image_place
from ko_pants.rules.settings import GoEnvironment, Settings
from ko_pants.target_types import GoOciImageFieldSet


@rule
async def plan_publication(
    request: PublishPlanRequest,
    settings: Settings,
    outside: GoEnvironment,
    build_root: BuildRoot,
) -> PublishPlan:
    """Read the target as it is now, and build its image.

    :raises KoPantsError: something is wrong with the target, its program, its base or its names.
    """
    wrapped = await wrapped_target(WrappedTargetRequest(request.address, __name__))
    field_set = GoOciImageFieldSet.create(wrapped.target)
    names = await image_names(field_set, outside, settings)
    where = destinations_of(names, settings)
    recorded = await recorded_image(RecordedImageRequest(field_set.without_names()))
    built = recorded.built
    if names_need_built(names, settings):
        where = destinations_of(names, settings, built)
    place = image_place(field_set.address, where, build_root.path)
    return PublishPlan(field_set, built, where, recorded.inputs, place)
