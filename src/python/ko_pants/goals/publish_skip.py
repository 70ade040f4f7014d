"""An image that goes nowhere is not built: Pants 2.32 and newer ask before they build.

Older versions build it all the same. On every version the publish rule looks again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pants.core.goals.publish import PublishOutputData, PublishPackages
from pants.engine.rules import collect_rules, rule
from pants.engine.unions import UnionRule

from ko_pants.engine import name_of_newer_pants
from ko_pants.goals.publish_output import skip_description
from ko_pants.publishing.destinations import Destination
from ko_pants.rules.image_names import (
    NamingFieldSet,
    destinations_of,
    image_names,
    names_need_built,
)
from ko_pants.rules.publish_run import report_of_newest_run
from ko_pants.rules.settings import GoEnvironment, Settings

CheckSkipRequest: Any = name_of_newer_pants("pants.core.goals.publish", "CheckSkipRequest")
CheckSkipResult: Any = name_of_newer_pants("pants.core.goals.publish", "CheckSkipResult")


@dataclass(frozen=True)
class SkippedPublishPackages(PublishPackages):
    """What is said of an image that goes nowhere and was not built."""

    def get_output_data(self, **extra_data: object) -> PublishOutputData:
        """As Pants does, and the image counts in the report of the run, if there is one."""
        report = report_of_newest_run()
        if report is not None:
            report.ended(str(self.data.get("target", "")), self.names)
        return super().get_output_data(**extra_data)


def skipped_packages(
    destinations: tuple[Destination, ...], data: dict[str, str]
) -> list[PublishPackages]:
    """What is said of an image that goes to none of its destinations; empty if it goes to one.

    :param data: what the entries of `--publish-output` have beside their names.
    """
    if not all(destination.skip for destination in destinations):
        return []
    return [
        SkippedPublishPackages(
            names=destination.names,
            description=skip_description(destination),
            data=PublishOutputData(data),
        )
        for destination in destinations
    ]


if TYPE_CHECKING or CheckSkipRequest is None:

    def skip_request(package_fs: Any, publish_fs: NamingFieldSet) -> Any:
        """Nothing: this Pants does not ask."""
        return None

    def rules() -> list[object]:
        """None."""
        return []

else:

    class GoOciImageSkipRequest(CheckSkipRequest):
        """Does one image go anywhere?"""

    def skip_request(package_fs: Any, publish_fs: NamingFieldSet) -> Any:
        """What Pants is to ask before it builds an image."""
        return GoOciImageSkipRequest(package_fs=package_fs, publish_fs=publish_fs)

    @rule
    async def skip_image(
        request: GoOciImageSkipRequest, settings: Settings, outside: GoEnvironment
    ) -> CheckSkipResult:
        """Look at the destinations alone. What is named by what is in it has to be built.

        :raises KoPantsError: a name is malformed.
        """
        names = await image_names(request.publish_fs, outside, settings)
        where = destinations_of(names, settings)
        if names_need_built(names, settings):
            return CheckSkipResult.no_skip()
        packages = skipped_packages(where, {"target": names.target})
        return CheckSkipResult(packages) if packages else CheckSkipResult.no_skip()

    def rules() -> list[object]:
        """The rule, and that it answers for our images."""
        return [*collect_rules(), UnionRule(CheckSkipRequest, GoOciImageSkipRequest)]
