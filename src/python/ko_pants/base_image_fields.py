"""The fields of `oci_base_image`, and how a base image is named."""

from __future__ import annotations

from typing import Optional

from pants.engine.addresses import Address
from pants.engine.target import (
    Dependencies,
    InvalidFieldException,
    OptionalSingleSourceField,
    StringField,
)

from ko_pants.errors import KoPantsError
from ko_pants.oci.layout import parse_layout_reference
from ko_pants.oci.reference import Reference, hide_credentials


def names_target(value: str) -> bool:
    """True if a base image is named by the address of a target.

    An address begins with `//` or `:`, with which no reference begins. So `images:static` is the
    tag `static` of the repository `images`, and `//images:static` is a target.
    """
    return value.startswith(("//", ":"))


def check_base_image(value: str) -> None:
    """Make sure that a value can name a base image.

    :raises KoPantsError: it is neither a reference, an address, `oci:<directory>` nor `scratch`.
    """
    if value.startswith("oci:"):
        if not parse_layout_reference(value)[0]:
            raise KoPantsError(
                f"found {value!r}; expected a directory after `oci:`, relative to the build root, "
                "such as 'oci:images/static'"
            )
    elif not value:
        raise KoPantsError(
            "found an empty text; expected a reference such as registry.example.com/static:latest, "
            "an address, `oci:<directory>` or `scratch`; or leave the field out"
        )
    elif not names_target(value):
        Reference.parse(value)


class OciBaseImageReferenceField(StringField):
    alias = "image"
    required = True
    value: str
    help = (
        "The base image, by tag. Its lock file says which digest the images are built on; `./pants "
        "ko-lock` asks the registry and writes it.\n\n"
        "Required. Example: `image='registry.example.com/static:latest'`."
    )

    @classmethod
    def compute_value(cls, raw_value: Optional[str], address: Address) -> Optional[str]:
        """The reference in full.

        :raises InvalidFieldException: it is none, or one that cannot be locked.
        """
        value = super().compute_value(raw_value, address)
        if value is None:
            return None
        where = f"The `image` field in target {address}"
        reason = _not_to_be_locked(value)
        if reason:
            raise InvalidFieldException(
                f"{where}: expected a reference by tag, such as "
                f"registry.example.com/static:latest; found {hide_credentials(value)!r}, {reason}"
            )
        try:
            return str(Reference.parse(value))
        except KoPantsError as e:
            raise InvalidFieldException(f"{where}: {e}") from None


def _not_to_be_locked(value: str) -> str:
    """Why a base image cannot be locked; empty for a reference by tag."""
    if value == "scratch":
        return "which has nothing to lock: use it as `base_image` itself"
    if value.startswith("oci:"):
        return "a layout on disk, which no registry changes: use it as `base_image` itself"
    if names_target(value):
        return "the address of a target"
    if "@sha256:" in value:
        return "which its digest pins already: use it as `base_image` itself"
    return ""


class OciBaseImageLockfileField(OptionalSingleSourceField):
    """A file that does not exist before the first `ko-lock`."""

    alias = "lockfile"
    uses_source_roots = False
    help = (
        "The lock file, relative to the BUILD file. `./pants ko-lock` writes it; commit it.\n\n"
        "Default: `<name>.lock.json`. Example: `lockfile='locks/static.json'`."
    )

    @classmethod
    def compute_value(cls, raw_value: Optional[str], address: Address) -> Optional[str]:
        """The path; by default it is named after the target."""
        value = super().compute_value(raw_value, address)
        return f"{address.target_name}.lock.json" if value is None else value

    @property
    def file_path(self) -> str:
        """The path relative to the build root."""
        path = super().file_path
        assert path is not None
        return path


class OciBaseImageDependenciesField(Dependencies):
    pass
