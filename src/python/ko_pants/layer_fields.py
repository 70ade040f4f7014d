"""The fields of `go_oci_image` that say what its layers hold, and how they are encoded."""

from __future__ import annotations

import posixpath
from typing import ClassVar, Optional, Union

from pants.engine.addresses import Address
from pants.engine.target import (
    AsyncFieldMixin,
    IntField,
    InvalidFieldException,
    InvalidTargetException,
    StringField,
)

from ko_pants.errors import KoPantsError
from ko_pants.layers.encodings import ENCODINGS, LayerEncoding, encoding_of


class GoOciImageKodataField(AsyncFieldMixin):
    """A directory of the repo, False for no layer, or None for the one beside the main package."""

    alias = "kodata"
    default: ClassVar[None] = None
    value: Optional[Union[str, bool]]
    help = (
        "The directory whose files are at `$KO_DATA_PATH` in the image, relative to the BUILD "
        "file. `False` means no kodata: the image has no layer for it, and `KO_DATA_PATH` is not "
        "set.\n\n"
        "Default: the directory `kodata` beside the main package, as in ko; the layer is empty if "
        "there is none. Example: `kodata='assets'`."
    )

    @classmethod
    def compute_value(
        cls, raw_value: Optional[Union[str, bool]], address: Address
    ) -> Optional[Union[str, bool]]:
        value = super().compute_value(raw_value, address)
        if value is None or value is False:
            return value
        if isinstance(value, str) and value and not value.startswith("/"):
            directory = _directory(address, value)
            if directory != "." and not f"{directory}/".startswith("../"):
                return value
        raise InvalidFieldException(
            f"{address}, field `{cls.alias}`: expected a directory relative to the BUILD file, "
            f"below the build root, such as 'assets', or False for no kodata; found {value!r}"
        )

    @property
    def is_off(self) -> bool:
        """The image has no layer for kodata."""
        return self.value is False

    @property
    def directory(self) -> Optional[str]:
        """The directory that the field names, relative to the build root."""
        return _directory(self.address, self.value) if isinstance(self.value, str) else None


def _directory(address: Address, path: str) -> str:
    return posixpath.normpath(posixpath.join(address.spec_path, path))


class GoOciImageCompressionField(StringField):
    alias = "compression"
    valid_choices = tuple(ENCODINGS)
    help = (
        "How the layers that this image adds are compressed: `gzip` (libdeflate), `zstd`, `none`, "
        "or `estargz` (gzip that containerd can run before it has all of it). Layers of the base "
        "image stay as they are.\n\n"
        "Default: `[ko].layer_compression`. Example: `compression='zstd'`."
    )


class GoOciImageCompressionLevelField(IntField):
    alias = "compression_level"
    help = (
        "The level of the compression: 1 to 12 for gzip and estargz, 1 to 22 for zstd.\n\n"
        "Default: that of the encoding (1 for gzip and estargz, 3 for zstd) if `compression` is "
        "given, else `[ko].layer_compression_level`. Example: `compression_level=9`."
    )

    @classmethod
    def compute_value(cls, raw_value: Optional[int], address: Address) -> Optional[int]:
        value = super().compute_value(raw_value, address)
        highest = max(level for encoding in ENCODINGS.values() for level in encoding.levels)
        if value is not None and not 0 <= value <= highest:
            raise InvalidFieldException(
                f"{address}, field `{cls.alias}`: found {value}; expected 0 to {highest}, as the "
                "encoding of the layers takes it"
            )
        return value


def check_compression(
    address: Address,
    compression: GoOciImageCompressionField,
    level: GoOciImageCompressionLevelField,
) -> None:
    """Refuse a level that the encoding of the same target does not have.

    :raises InvalidTargetException: it does not; Pants puts file and line before the text.
    """
    if compression.value is None or level.value is None:
        return
    try:
        LayerEncoding(compression.value, level.value)
    except KoPantsError as e:
        raise InvalidTargetException(f"{address}, field `{level.alias}`: {e}") from None


def layer_encoding(
    address: Address,
    compression: GoOciImageCompressionField,
    level: GoOciImageCompressionLevelField,
    default: LayerEncoding,
) -> LayerEncoding:
    """How the layers of a target are encoded.

    :param default: what the options say.
    :raises KoPantsError: the encoding of the options does not have the level of the target.
    """
    if compression.value is None and level.value is None:
        return default
    if compression.value is not None:
        encoding = encoding_of(compression.value)
        chosen = encoding.default_level if level.value is None else level.value
        return LayerEncoding(encoding.name, chosen)
    try:
        return LayerEncoding(default.name, level.value or 0)
    except KoPantsError as e:
        raise KoPantsError(
            f"{address}, field `{level.alias}`: {e} The encoding is that of [ko].layer_compression"
        ) from None
