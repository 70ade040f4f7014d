"""`ko-sbom`: print the SBOM of an image, or its provenance, as `publish` would attach it."""

from __future__ import annotations

from dataclasses import replace
from typing import Sequence

from pants.engine.console import Console
from pants.engine.goal import Goal, GoalSubsystem
from pants.engine.rules import goal_rule
from pants.engine.target import FilteredTargets, Target
from pants.option.option_types import StrOption

from ko_pants.artifacts.artifact import Artifact
from ko_pants.artifacts.formats import PROVENANCE, SBOM_FORMATS, SPDX
from ko_pants.engine import built_image, image_artifacts
from ko_pants.errors import KoPantsError
from ko_pants.oci.platform import Platform
from ko_pants.products import ImageArtifactsRequest, WantedArtifacts
from ko_pants.rules.settings import Settings
from ko_pants.target_types import GoOciImageFieldSet

_FORMATS = (*SBOM_FORMATS, PROVENANCE)
_INDEX = "index"


class KoSbomSubsystem(GoalSubsystem):
    name = "ko-sbom"
    help = (
        "Print the SBOM of one `go_oci_image`, or its provenance, as `publish` would attach it.\n\n"
        "The image is built as far as its digest needs, and nothing is pushed. The options "
        "`[ko].sbom` and `[ko].provenance` and the fields do not count. Example: `./pants ko-sbom "
        "cmd/app:app`."
    )

    format = StrOption(
        default=SPDX,
        help=(
            "What to print: `spdx` (SPDX 2.3), `cyclonedx` (CycloneDX 1.6) or `provenance` (SLSA "
            "v1, in-toto)."
        ),
    )
    platform = StrOption(
        default=None,
        help=(
            "Which document of an image with several platforms is printed: that of "
            "`os/arch[/variant]`, or `index` for that of the index.\n\n"
            "Default: that of the only platform. Example: `--platform=linux/arm64`."
        ),
    )


class KoSbomGoal(Goal):
    subsystem_cls = KoSbomSubsystem
    environment_behavior = Goal.EnvironmentBehavior.LOCAL_ONLY


def _only_image(targets: Sequence[Target]) -> Target:
    """The image among the given targets.

    :raises KoPantsError: there is none, or more than one.
    """
    images = [target for target in targets if GoOciImageFieldSet.is_applicable(target)]
    if len(images) == 1:
        return images[0]
    found = ", ".join(f"{t.address} (a `{t.alias}`)" for t in sorted(images or targets, key=str))
    raise KoPantsError(
        f"ko-sbom: found {found or 'no target'}; expected one `go_oci_image`, for example "
        "`./pants ko-sbom cmd/app:app`"
    )


def _wanted(options: KoSbomSubsystem, settings: Settings) -> WantedArtifacts:
    """What makes the document that the options name.

    :raises KoPantsError: there is no such format.
    """
    if options.format not in _FORMATS:
        raise KoPantsError(
            f"option [ko-sbom].format: there is no format {options.format!r}; expected one of "
            f"{', '.join(_FORMATS)}"
        )
    provenance = options.format == PROVENANCE
    return replace(
        settings.artifacts.wanted,
        sbom=() if provenance else (options.format,),
        provenance=provenance,
    )


def _chosen(artifacts: Sequence[Artifact], platform: str, owner: str) -> Artifact:
    """The artifact of a platform, or of the index.

    :param platform: empty for the only one.
    :raises KoPantsError: there is no such platform, or it is not said which.
    """
    names = {artifact.platform or _INDEX: artifact for artifact in artifacts}
    if platform in names:
        return names[platform]
    if not platform and len(artifacts) == 1:
        return artifacts[0]
    there = f"{owner} has {', '.join(names)}"
    if not platform:
        raise KoPantsError(
            f"ko-sbom: {there}; expected one of them, for example --platform={next(iter(names))}"
        )
    if platform == _INDEX:
        raise KoPantsError(
            f"option [ko-sbom].platform: {there}, and so it has no index; leave out --platform"
        )
    try:
        wanted = Platform.parse(platform)
    except KoPantsError as e:
        raise KoPantsError(f"option [ko-sbom].platform: {e}. {there}") from None
    matching = [
        artifact
        for name, artifact in names.items()
        if name != _INDEX and Platform.parse(name).matches(wanted)
    ]
    if len(matching) == 1:
        return matching[0]
    what = "several of them match" if matching else "none of them is"
    raise KoPantsError(f"option [ko-sbom].platform: {there}; {what} {platform!r}")


@goal_rule
async def ko_sbom(
    console: Console, options: KoSbomSubsystem, settings: Settings, targets: FilteredTargets
) -> KoSbomGoal:
    """Build one image and print one document.

    :raises KoPantsError: it is not said which, or there is none such.
    """
    wanted = _wanted(options, settings)
    target = _only_image(list(targets))
    built = await built_image(GoOciImageFieldSet.create(target))
    found = await image_artifacts(ImageArtifactsRequest(built, wanted))
    artifact = _chosen(found.artifacts, options.platform or "", str(target.address))
    console.print_stdout(artifact.content.decode())
    return KoSbomGoal(0)
