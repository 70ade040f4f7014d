"""From a target to its image: base, executables and layers, composed by pure functions."""

from __future__ import annotations

from dataclasses import replace
from typing import Sequence

from pants.base.build_root import BuildRoot
from pants.engine.addresses import Address
from pants.engine.rules import rule
from pants.util.logging import LogLevel

from ko_pants.comma_lists import split_commas
from ko_pants.errors import KoPantsError
from ko_pants.layer_fields import layer_encoding
from ko_pants.oci.descriptor import sorted_pairs
from ko_pants.oci.image import AppLayer, BaseImage, Image, compose_image
from ko_pants.oci.image_config import ImageConfig
from ko_pants.oci.platform import Platform, parse_wanted
from ko_pants.products import (
    BuiltImage,
    PlatformImage,
)
from ko_pants.rules.image_base import image_base
from ko_pants.rules.image_config import image_config
from ko_pants.rules.image_defaults import capabilities_of_image
from ko_pants.rules.image_layers import (
    added_contents,
    added_layers,
    check_places,
    files_of_image,
    kodata_digest,
)
from ko_pants.rules.image_programs import programs_of_image
from ko_pants.rules.settings import GoEnvironment, Settings, layer_settings
from ko_pants.rules.template_values import filled_labels
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
        "field `platforms`"
        if field.value
        else "option [ko].default_platforms (or $KO_DEFAULTPLATFORMS, or .ko.yaml)"
    )
    try:
        return parse_wanted(values)
    except KoPantsError as e:
        raise KoPantsError(f"{where}: {e}") from None


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
    base = await image_base(field_set, settings, wanted, outside)
    config = image_config(field_set, base, settings.created)
    capabilities = await capabilities_of_image(field_set, base)
    programs = await programs_of_image(field_set, base, outside, settings)
    kodata = await kodata_digest(owner, field_set.kodata, programs.build, build_root.path)
    files = await files_of_image(owner, field_set.files)
    await check_places(owner, files, kodata, programs.executables)
    added = await added_layers(
        [
            (
                platform,
                added_contents(of, files, kodata, settings, capabilities, programs.debugger),
            )
            for platform, of in zip(programs.platforms, programs.executables)
        ],
        encoding,
        layer_settings(settings, programs.tools),
    )
    parts = tuple(map(PlatformImage, programs.platforms, programs.executables, added))
    environment = field_set.environment.value or ""
    labels = await filled_labels(
        owner, field_set.labels, programs.platforms, outside, settings, environment
    )
    config = replace(
        config,
        app_name=parts[0].executables[0].app_name,
        labels=sorted_pairs(labels),
        kodata=kodata is not None,
        debugger=programs.debugger,
    )
    requests = tuple(executable.request for part in parts for executable in part.executables)
    return BuiltImage(owner, base, config, parts, compose(base, parts, config), requests)
