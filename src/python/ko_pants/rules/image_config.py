"""From the fields of a target to the config of its image, and to its executable's capabilities."""

from __future__ import annotations

import logging

from ko_pants.config_fields import ImageConfigFieldSet, check_systems
from ko_pants.layers.capabilities import capabilities_xattr
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
    check_systems(
        field_set.address,
        [manifest.platform for manifest in base.manifests],
        field_set.workdir,
        field_set.volumes,
        field_set.image_env,
        field_set.linux_capabilities,
    )
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


def file_capabilities(field_set: ImageConfigFieldSet) -> bytes:
    """The attribute `security.capability` of the executable on Linux; empty for none."""
    value = field_set.linux_capabilities.value
    return capabilities_xattr(value) if value else b""
