"""The field of `go_oci_image` that says in what form `package` writes an image."""

from __future__ import annotations

from typing import Iterable, Optional, Tuple

from pants.engine.addresses import Address
from pants.engine.target import StringSequenceField

from ko_pants.errors import KoPantsError
from ko_pants.field_checks import checked

OCI_LAYOUT = "oci-layout"
OCI_ARCHIVE = "oci-archive"
DOCKER_ARCHIVE = "docker-archive"
FORMATS = (OCI_LAYOUT, OCI_ARCHIVE, DOCKER_ARCHIVE)


class GoOciImagePackageFormatsField(StringSequenceField):
    alias = "package_formats"
    help = (
        "What `package` writes beside the descriptors, with the bytes of all layers: `oci-layout` "
        "(the directory is an OCI layout), `oci-archive` (a tar of it, `oci.tar`), "
        "`docker-archive` (what `docker load` and `podman load` read: `docker.tar`, or a file for "
        "each platform). Those of `[ko].package_formats` are added.\n\n"
        "Default: none. Example: `package_formats=['oci-archive']`."
    )

    @classmethod
    def compute_value(
        cls, raw_value: Optional[Iterable[str]], address: Address
    ) -> Optional[Tuple[str, ...]]:
        value = super().compute_value(raw_value, address)
        checked(address, cls.alias, check_formats, value or ())
        return value


def check_formats(formats: Iterable[str]) -> None:
    """Refuse what is no format.

    :raises KoPantsError: one does not exist; the text lists those there are.
    """
    for name in formats:
        if name not in FORMATS:
            raise KoPantsError(
                f"there is no format {name!r}; expected some of {', '.join(FORMATS)}"
            )
