"""From the fields of a target to the config of its image, and to its executable's capabilities."""

from __future__ import annotations

import logging

from ko_pants.config_fields import ImageConfigFieldSet
from ko_pants.errors import KoPantsError
from ko_pants.layers.capabilities import capabilities_xattr
from ko_pants.oci.config_values import check_names_of_system, check_paths_of_system
from ko_pants.oci.descriptor import sorted_pairs
from ko_pants.oci.image import BaseImage
from ko_pants.oci.image_config import ImageConfig

logger = logging.getLogger(__name__)


def image_config(
    field_set: ImageConfigFieldSet, base: BaseImage, created: int | None
) -> ImageConfig:
    """What the target says of its image, but its labels and the name of its executable.

    :param created: seconds since the epoch; None where not set.
    :raises KoPantsError: a value does not fit a platform of the base.
    """
    _check_systems(field_set, base)
    if field_set.annotations.value and base.docker and len(base.manifests) > 1:
        logger.warning(
            f"{field_set.address}, field `{field_set.annotations.alias}`: the manifests of the "
            f"image have these annotations, its index has not. The base image {base.name} is an "
            "index of Docker's media type, which has no annotations; an OCI index has."
        )
    return ImageConfig(
        app_name="",
        annotations=sorted_pairs(field_set.annotations.value or {}),
        created=created,
        user=field_set.user.value or "",
        entrypoint_args=field_set.entrypoint_args.value or (),
        cmd=field_set.cmd.value or (),
        env=field_set.image_env.value or (),
        workdir=field_set.workdir.value or "",
        ports=field_set.ports.value or (),
        volumes=field_set.volumes.value or (),
        stop_signal=field_set.stop_signal.value or "",
    )


def file_capabilities(field_set: ImageConfigFieldSet, base: BaseImage) -> bytes:
    """The attribute `security.capability` of the executable on Linux; empty for none.

    :raises KoPantsError: the image has no platform with Linux.
    """
    field = field_set.linux_capabilities
    if not field.value:
        return b""
    if all(manifest.platform.os != "linux" for manifest in base.manifests):
        raise KoPantsError(
            f"{field_set.address}, field `{field.alias}`: found {list(field.value)!r} for "
            f"{', '.join(str(m.platform) for m in base.manifests)}; only executables for Linux "
            "have capabilities. Leave the field out"
        )
    return capabilities_xattr(field.value)


def _check_systems(field_set: ImageConfigFieldSet, base: BaseImage) -> None:
    platforms = [manifest.platform for manifest in base.manifests]
    workdir, volumes, env = field_set.workdir, field_set.volumes, field_set.image_env
    for alias, check, values in (
        (workdir.alias, check_paths_of_system, (workdir.value,) if workdir.value else ()),
        (volumes.alias, check_paths_of_system, volumes.value or ()),
        (env.alias, check_names_of_system, env.value or ()),
    ):
        try:
            check(values, platforms)
        except KoPantsError as e:
            raise KoPantsError(f"{field_set.address}, field `{alias}`: {e}") from None
