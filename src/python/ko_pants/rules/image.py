"""From a target to its image: base, executables and layers, composed by pure functions."""

from __future__ import annotations

from dataclasses import replace
from typing import Sequence

from pants.base.build_root import BuildRoot
from pants.engine.addresses import Address
from pants.engine.rules import rule
from pants.util.logging import LogLevel

from ko_pants.engine import go_executables, hidden_files, host_tools
from ko_pants.errors import KoPantsError
from ko_pants.golang.executable import executable_problem
from ko_pants.layer_fields import layer_encoding
from ko_pants.oci.descriptor import sorted_pairs
from ko_pants.oci.image import AppLayer, BaseImage, Image, compose_image
from ko_pants.oci.image_config import ImageConfig
from ko_pants.oci.platform import Platform
from ko_pants.products import (
    BuiltImage,
    GoBuild,
    GoExecutable,
    GoExecutableRequest,
    HiddenFilesRequest,
    HostToolsRequest,
    PlatformImage,
)
from ko_pants.rules.binary import resolve_binary
from ko_pants.rules.image_base import image_base
from ko_pants.rules.image_config import file_capabilities, image_config
from ko_pants.rules.image_layers import (
    added_contents,
    added_layers,
    check_places,
    files_of_image,
    kodata_digest,
)
from ko_pants.rules.settings import GoEnvironment, Settings, layer_settings, split_commas
from ko_pants.rules.template_values import filled_builds, filled_labels
from ko_pants.target_types import GoOciImageFieldSet, GoOciImagePlatformsField


def wanted_platforms(
    address: Address, field: GoOciImagePlatformsField, settings: Settings
) -> tuple[Platform, ...]:
    """The platforms of a target, each once; empty for `all`.

    :raises KoPantsError: a platform is unknown or malformed; the text names target and field, or
        the option.
    """
    values = split_commas(field.value or ()) or settings.platforms
    where = f"{address}, " + (
        "field `platforms`" if field.value else "option [ko].default_platforms"
    )
    if tuple(values) == ("all",):
        return ()
    if "all" in values:
        raise KoPantsError(
            f"{where}: `all` means every platform of the base image, so nothing can stand beside "
            f"it; found {', '.join(values)}. Leave out `all`, or the others"
        )
    try:
        return tuple(dict.fromkeys(Platform.parse(value) for value in values))
    except KoPantsError as e:
        raise KoPantsError(f"{where}: {e}") from None


def check_executables(
    owner: str, field: str, base: BaseImage, executables: tuple[GoExecutable, ...]
) -> None:
    """Make sure that each executable runs on its platform of the base.

    :raises KoPantsError: one does not; the text says what was found and what was wanted.
    """
    for executable in executables:
        problem = executable_problem(
            executable.header, executable.platform, needs_static=not base.name
        )
        if problem:
            raise KoPantsError(f"{owner}, field `{field}`: {executable.path}: {problem}")


def compose(base: BaseImage, platforms: Sequence[PlatformImage], config: ImageConfig) -> Image:
    """The image of these parts."""
    return compose_image(
        base,
        {
            part.platform: [
                AppLayer(
                    added.layer.request.content.kind,
                    added.layer.diff_id,
                    added.layer.descriptor,
                    added.history,
                )
                for added in part.layers
            ]
            for part in platforms
        },
        config,
    )


@rule(desc="Build image", level=LogLevel.DEBUG)
async def build_image(
    field_set: GoOciImageFieldSet,
    settings: Settings,
    outside: GoEnvironment,
    build_root: BuildRoot,
) -> BuiltImage:
    """Everything of an image but the bytes of its layers.

    :raises KoPantsError: whatever is wrong with the target, its program or its base; the text names
        target and field.
    """
    owner = str(field_set.address)
    wanted = wanted_platforms(field_set.address, field_set.platforms, settings)
    encoding = layer_encoding(
        field_set.address,
        field_set.compression,
        field_set.compression_level,
        settings.layer_encoding,
    )
    base = await image_base(field_set, settings, wanted)
    config = image_config(field_set, base, settings.created)
    capabilities = file_capabilities(field_set, base)
    build, prebuilt = await resolve_binary(field_set.binary, build_root.path)
    platforms = tuple(m.platform for m in base.manifests)
    tools = await host_tools(HostToolsRequest(python_only=build is None))
    hidden = await hidden_files(HiddenFilesRequest())
    builds: Sequence[GoBuild | None] = [None] * len(platforms)
    if build is not None:
        builds = await filled_builds(build, platforms, outside, settings)
    executables = await go_executables(
        GoExecutableRequest(
            platform, platforms, of_platform, prebuilt, tools.go, outside.variables, hidden
        )
        for platform, of_platform in zip(platforms, builds)
    )
    check_executables(owner, field_set.binary.alias, base, executables)
    kodata = await kodata_digest(owner, field_set.kodata, build, build_root.path)
    files = await files_of_image(owner, field_set.files)
    await check_places(owner, files, kodata, executables)
    added = await added_layers(
        [
            (e.platform, added_contents((e,), files, kodata, settings, capabilities))
            for e in executables
        ],
        encoding,
        layer_settings(settings, tools),
    )
    parts = tuple(
        PlatformImage(executable.platform, (executable,), of_platform)
        for executable, of_platform in zip(executables, added)
    )
    labels = await filled_labels(owner, field_set.labels.value or {}, platforms, outside, settings)
    config = replace(
        config,
        app_name=executables[0].app_name,
        labels=sorted_pairs(labels),
        kodata=kodata is not None,
    )
    return BuiltImage(owner, base, config, parts, compose(base, parts, config))
