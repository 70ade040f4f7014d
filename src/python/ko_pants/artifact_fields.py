"""Fields of `go_oci_image` that say which SBOMs and which provenance are made of an image."""

from __future__ import annotations

from typing import Iterable, Optional, Tuple

from pants.engine.addresses import Address
from pants.engine.target import StringSequenceField, TriBoolField

from ko_pants.artifacts.formats import parse_sbom_formats
from ko_pants.field_checks import checked


class GoOciImageSbomField(StringSequenceField):
    alias = "sbom"
    help = (
        "The formats of the SBOMs (software bills of materials) that `publish` attaches to the "
        "image, and that `package` writes beside it: `spdx` (SPDX 2.3), `cyclonedx` (CycloneDX "
        "1.6). There is one SBOM for each platform, and one for the index. `[]` means none.\n\n"
        "Default: `[ko].sbom`. Example: `sbom=['spdx']`."
    )

    @classmethod
    def compute_value(
        cls, raw_value: Optional[Iterable[str]], address: Address
    ) -> Optional[Tuple[str, ...]]:
        value = super().compute_value(raw_value, address)
        return None if value is None else checked(address, cls.alias, parse_sbom_formats, value)


class GoOciImageProvenanceField(TriBoolField):
    alias = "provenance"
    help = (
        "If true, `publish` attaches a provenance to the image, and `package` writes it: an "
        "in-toto statement with a SLSA v1 predicate, for each platform and for the index.\n\n"
        "Default: `[ko].provenance`. Example: `provenance=True`."
    )
