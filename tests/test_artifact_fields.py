"""What the fields of SBOMs and provenance accept, and what a target wants with the options."""

from __future__ import annotations

from typing import Any

import pytest
from pants.engine.addresses import Address
from pants.engine.target import InvalidTargetException

import ko_pants.rules  # noqa: F401  (chooses the engine's spelling)
from ko_pants.artifact_fields import GoOciImageSbomField
from ko_pants.errors import KoPantsError
from ko_pants.products import WantedArtifacts
from ko_pants.rules.artifact_settings import ArtifactSettings, wanted_artifacts
from ko_pants.target_types import GoOciImageFieldSet, GoOciImageTarget

APP = Address("cmd/app", target_name="image")
OFF = ArtifactSettings(WantedArtifacts(), "referrers", verify=False)
ALL = ArtifactSettings(
    WantedArtifacts(("cyclonedx", "spdx"), True, "https://ci.example.com", "run 1"),
    "referrers",
    verify=False,
)
ON_TAGS = ArtifactSettings(WantedArtifacts(("spdx",), provenance=True), "tags", verify=False)


def image(**fields: Any) -> GoOciImageTarget:
    return GoOciImageTarget(fields, APP)


def wanted(settings: ArtifactSettings, **fields: Any) -> WantedArtifacts:
    return wanted_artifacts(GoOciImageFieldSet.create(image(**fields)), settings)


@pytest.mark.parametrize(
    ("value", "formats"),
    [
        (None, None),
        ([], ()),
        (["none"], ()),
        (["spdx"], ("spdx",)),
        (["spdx", "cyclonedx", "spdx"], ("cyclonedx", "spdx")),
    ],
)
def test_formats_are_sorted_and_each_is_once(value: object, formats: object) -> None:
    assert image(sbom=value)[GoOciImageSbomField].value == formats


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"sbom": ["syft"]}, ["`sbom`", "no SBOM format 'syft'", "spdx, cyclonedx, or none"]),
        ({"sbom": ["SPDX"]}, ["`sbom`", "'SPDX'"]),
        ({"sbom": ["spdx", "none"]}, ["`sbom`: `none` means no SBOM", "found spdx, none."]),
        ({"sbom": "spdx"}, ["'sbom'", "'spdx'"]),
        ({"provenance": "yes"}, ["'provenance'", "'yes'"]),
    ],
)
def test_a_mistake_names_target_and_field(fields: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(InvalidTargetException) as error:
        image(**fields)
    for word in ("cmd/app:image", *words):
        assert word in str(error.value)


def test_nothing_is_wanted_by_default() -> None:
    assert not wanted(OFF)
    assert wanted(OFF) is OFF.wanted


def test_fields_come_before_options() -> None:
    assert wanted(ALL) == ALL.wanted
    assert not wanted(ALL, sbom=[], provenance=False)
    assert wanted(ALL, sbom=["spdx"]) == WantedArtifacts(
        ("spdx",), True, "https://ci.example.com", "run 1"
    )
    assert wanted(OFF, provenance=True) == WantedArtifacts((), provenance=True)
    assert wanted(OFF, sbom=["cyclonedx"]).sbom == ("cyclonedx",)


def test_tags_have_room_for_spdx_alone() -> None:
    assert wanted(ON_TAGS) == ON_TAGS.wanted
    with pytest.raises(KoPantsError) as error:
        wanted(ON_TAGS, sbom=["spdx", "cyclonedx"])
    text = str(error.value)
    assert text.startswith("cmd/app:image, field `sbom`: found cyclonedx, spdx, and")
    assert "[ko].attach_sbom_as = 'tags'" in text
    assert "expected spdx alone, or [ko].attach_sbom_as = 'referrers'" in text
