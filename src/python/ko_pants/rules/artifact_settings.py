"""Which SBOMs and which provenance are wanted of an image: its fields, else the options."""

from __future__ import annotations

from dataclasses import dataclass

from ko_pants.artifacts.formats import REFERRERS, SPDX, TAGS
from ko_pants.errors import KoPantsError
from ko_pants.products import WantedArtifacts
from ko_pants.target_types import GoOciImageFieldSet


@dataclass(frozen=True)
class ArtifactSettings:
    """What the options say.

    :param wanted: of targets that say nothing.
    :param attach_as: one of `artifacts.formats.ATTACHMENTS`.
    :param verify: also of images that are there already, what is missing is attached.
    """

    wanted: WantedArtifacts
    attach_as: str
    verify: bool


def wanted_artifacts(field_set: GoOciImageFieldSet, settings: ArtifactSettings) -> WantedArtifacts:
    """What is made beside the image of a target.

    :param settings: `Settings.artifacts`.
    :raises KoPantsError: a format cannot be attached as the option says.
    """
    default = settings.wanted
    sbom, provenance = field_set.sbom.value, field_set.provenance.value
    formats = default.sbom if sbom is None else sbom
    if settings.attach_as == TAGS and any(name != SPDX for name in formats):
        named = "option [ko].sbom" if sbom is None else f"field `{field_set.sbom.alias}`"
        raise KoPantsError(
            f"{field_set.address}, {named}: found {', '.join(formats)}, and [ko].attach_sbom_as = "
            f"'{TAGS}' has room for one SBOM, which is {SPDX}; expected {SPDX} alone, or "
            f"[ko].attach_sbom_as = '{REFERRERS}'"
        )
    wants_provenance = default.provenance if provenance is None else provenance
    if (formats, wants_provenance) == (default.sbom, default.provenance):
        return default
    return WantedArtifacts(formats, wants_provenance, default.builder_id, default.invocation_id)
