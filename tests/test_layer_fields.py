"""What the fields of layers accept, and what a bad value says when the target is made."""

from __future__ import annotations

from typing import Any

import pytest
from pants.engine.addresses import Address
from pants.engine.target import InvalidTargetException

import ko_pants.rules  # noqa: F401  (chooses the engine's spelling)
from ko_pants.errors import KoPantsError
from ko_pants.layer_fields import (
    GoOciImageCompressionField,
    GoOciImageCompressionLevelField,
    GoOciImageKodataField,
    layer_encoding,
)
from ko_pants.layers.encodings import LayerEncoding
from ko_pants.target_types import GoOciImageTarget

APP = Address("cmd/app", target_name="image")


def image(**fields: Any) -> GoOciImageTarget:
    return GoOciImageTarget(fields, APP)


@pytest.mark.parametrize(
    ("value", "directory"),
    [("assets", "cmd/app/assets"), ("../web/dist/", "cmd/web/dist"), (".", "cmd/app")],
)
def test_kodata_is_relative_to_the_build_file(value: str, directory: str) -> None:
    field = image(kodata=value)[GoOciImageKodataField]
    assert (field.directory, field.is_off) == (directory, False)


def test_kodata_by_default_and_off() -> None:
    default, off = image()[GoOciImageKodataField], image(kodata=False)[GoOciImageKodataField]
    assert (default.directory, default.is_off) == (None, False)
    assert (off.directory, off.is_off) == (None, True)


@pytest.mark.parametrize("value", [True, "", "/assets", "../..", "../../../assets", 1, ["assets"]])
def test_other_values_of_kodata_are_refused(value: object) -> None:
    with pytest.raises(InvalidTargetException) as error:
        image(kodata=value)
    text = str(error.value)
    assert "cmd/app:image, field `kodata`: expected a directory relative to the BUILD file" in text
    assert "or False for no kodata" in text
    assert repr(value) in text


def encoding(**fields: Any) -> LayerEncoding:
    """The encoding of a target, where the options say gzip at level 6."""
    target = image(**fields)
    return layer_encoding(
        APP,
        target[GoOciImageCompressionField],
        target[GoOciImageCompressionLevelField],
        LayerEncoding("gzip", 6),
    )


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, LayerEncoding("gzip", 6)),
        ({"compression": "zstd"}, LayerEncoding("zstd", 3)),
        ({"compression": "gzip"}, LayerEncoding("gzip", 1)),
        ({"compression": "none"}, LayerEncoding("none", 0)),
        ({"compression": "zstd", "compression_level": 19}, LayerEncoding("zstd", 19)),
        ({"compression_level": 12}, LayerEncoding("gzip", 12)),
    ],
)
def test_a_target_overrides_the_options(fields: dict[str, Any], expected: LayerEncoding) -> None:
    assert encoding(**fields) == expected


def test_an_unknown_compression_names_those_there_are() -> None:
    with pytest.raises(InvalidTargetException, match=r"'gzip', 'none', 'zstd'") as error:
        image(compression="lzma")
    assert "cmd/app:image" in str(error.value)
    assert "'compression'" in str(error.value)


@pytest.mark.parametrize(
    ("fields", "allowed"),
    [
        ({"compression": "gzip", "compression_level": 13}, "expected 1 to 12"),
        ({"compression": "zstd", "compression_level": 0}, "expected 1 to 22"),
        ({"compression": "none", "compression_level": 1}, "expected 0 to 0"),
    ],
)
def test_a_level_of_another_encoding_is_refused(fields: dict[str, Any], allowed: str) -> None:
    with pytest.raises(InvalidTargetException, match=allowed) as error:
        image(**fields)
    assert "cmd/app:image, field `compression_level`" in str(error.value)


def test_a_level_that_the_options_encoding_lacks_names_field_and_option() -> None:
    with pytest.raises(KoPantsError, match=r"expected 1 to 12.*\[ko\].layer_compression") as error:
        encoding(compression_level=22)
    assert str(error.value).startswith("cmd/app:image, field `compression_level`")
