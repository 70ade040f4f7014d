"""The backend `ko_pants`."""

from __future__ import annotations

import functools

from pants.engine.target import Target

import ko_pants.engine  # noqa: F401  (first: it chooses the spelling of the rules)
from ko_pants import target_types as targets
from ko_pants.goals import kocache, package, publish
from ko_pants.rules import (
    base_image,
    dependencies,
    go_closure,
    go_directory,
    go_executable,
    go_modules,
    host_tools,
    image,
    layer,
    layer_blob,
    module_files,
    pause,
    publish_plan,
    publish_run,
    registry_access,
    settings,
)


@functools.cache
def rules() -> tuple[object, ...]:
    """Every rule of the backend. Pants asks twice in each run, also of a warm daemon."""
    return (
        *targets.rules(),
        *settings.rules(),
        *host_tools.rules(),
        *go_modules.rules(),
        *go_directory.rules(),
        *go_closure.rules(),
        *module_files.rules(),
        *go_executable.rules(),
        *layer_blob.rules(),
        *layer.rules(),
        *registry_access.rules(),
        *base_image.rules(),
        *image.rules(),
        *dependencies.rules(),
        *pause.rules(),
        *publish_plan.rules(),
        *publish_run.rules(),
        *package.rules(),
        *publish.rules(),
        *kocache.rules(),
    )


def target_types() -> list[type[Target]]:
    """Every target of the backend."""
    return targets.target_types()
