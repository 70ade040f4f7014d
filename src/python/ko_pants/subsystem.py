"""The options of the backend, scope `[ko]`. Each group of them is a class of `ko_pants.options`."""

from __future__ import annotations

from pants.option.subsystem import Subsystem

from ko_pants.options.artifacts import ArtifactOptions
from ko_pants.options.containers import ContainerOptions
from ko_pants.options.destinations import DestinationOptions
from ko_pants.options.environments import EnvironmentOptions
from ko_pants.options.go_tool import GoOptions
from ko_pants.options.images import ImageOptions
from ko_pants.options.kocache import KocacheOptions
from ko_pants.options.reports import ReportOptions
from ko_pants.options.signing import SigningOptions


class KoSubsystem(
    # Pants lists options from the last class to the first.
    GoOptions,
    KocacheOptions,
    ContainerOptions,
    ReportOptions,
    SigningOptions,
    ArtifactOptions,
    DestinationOptions,
    ImageOptions,
    Subsystem,
):
    options_scope = "ko"
    help = "OCI images of Go programs, without Docker (the `ko_pants` plugin)."

    class EnvironmentAware(EnvironmentOptions, Subsystem.EnvironmentAware):
        """Options that a target of one of Pants' environments can set: fields `ko_<option>`."""
