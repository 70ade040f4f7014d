"""Options of SBOMs and provenance."""

from __future__ import annotations

from pants.option.option_types import BoolOption, StrListOption, StrOption


class ArtifactOptions:
    """See `ko_pants.subsystem.KoSubsystem`."""

    sbom = StrListOption(
        default=[],
        help=(
            "The formats of the SBOMs of targets without `sbom`: `spdx`, `cyclonedx` or both. "
            "`publish` attaches them to the image, and `package` writes them beside it. `none` is "
            "the empty list, as in ko. Example: `['spdx']`."
        ),
    )
    provenance = BoolOption(
        default=False,
        help=(
            "If true, images of targets without `provenance` have one: an in-toto statement with a "
            "SLSA v1 predicate, which `publish` attaches and `package` writes."
        ),
    )
    provenance_builder_id = StrOption(
        default=None,
        help=(
            "`builder.id` of provenance: a URI that names who builds.\n\n"
            "Default: `urn:ko-pants:builder:unnamed`. Example: "
            "`https://ci.example.com/builders/main`."
        ),
    )
    provenance_invocation_id = StrOption(
        default=None,
        help=(
            "`invocationId` of provenance: what names this run.\n\n"
            "Default: none, so that equal images have equal provenance. Example: "
            "`https://ci.example.com/runs/17`."
        ),
    )
    attach_sbom_as = StrOption(
        default="referrers",
        help=(
            "How SBOMs are attached to an image in a registry: `referrers` (OCI 1.1: manifests "
            "with a `subject`), or `tags` (the tags `sha256-<hex>.sbom` of ko and cosign, for SPDX "
            "only)."
        ),
    )
    verify_artifacts = BoolOption(
        default=False,
        help=(
            "If true, `publish` also asks for SBOMs and provenance of images that are up to date, "
            "and attaches what is missing. Without it, an unchanged image costs one request."
        ),
    )
