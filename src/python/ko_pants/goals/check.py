"""`check`: compiles and vets the programs of images, without making layers."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Iterable, Iterator

from pants.core.goals.check import CheckRequest, CheckResult, CheckResults
from pants.engine.rules import collect_rules, rule
from pants.engine.target import Target
from pants.engine.unions import UnionRule
from pants.util.logging import LogLevel

from ko_pants.check_fields import GoOciImageSkipCheckField
from ko_pants.engine import image_checks
from ko_pants.golang.build_flags import check_vet_arguments
from ko_pants.golang.go_findings import GoOutput, named_owners, report_of
from ko_pants.products import ImageCheck, ImageCheckRequest
from ko_pants.subsystem import KoSubsystem
from ko_pants.target_types import GoOciImageFieldSet

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class GoOciImageCheckFieldSet(GoOciImageFieldSet):
    """What checking an image needs of its target: all that compiling its programs needs."""

    @classmethod
    def opt_out(cls, tgt: Target) -> bool:
        return bool(tgt[GoOciImageSkipCheckField].value)


class CheckGoOciImageRequest(CheckRequest):  # type: ignore[type-arg]
    """Compile and vet the programs of these images."""

    field_set_type = GoOciImageCheckFieldSet
    tool_name = "ko"


def _outputs(check: ImageCheck) -> Iterator[GoOutput]:
    for platform, program in check.programs:
        for command, text in (
            ("go build", program.build_errors),
            ("go vet", program.findings),
        ):
            if text:
                yield GoOutput(command, check.owner, str(platform), text)


def _report(checks: Iterable[ImageCheck]) -> str:
    """What is wrong with the programs of images; empty if nothing is."""
    checks = tuple(checks)
    problems = [c.problem for c in checks] + [p.problem for c in checks for _, p in c.programs]
    found = report_of(output for check in checks for output in _outputs(check))
    return "\n\n".join(filter(None, (*dict.fromkeys(problems), found)))


def _warn(checks: Iterable[ImageCheck]) -> None:
    """Say once what many images have in common."""
    owners: dict[str, list[str]] = {}
    for check in checks:
        if check.warning:
            owners.setdefault(check.warning, []).append(check.owner)
    for text, of_text in owners.items():
        logger.warning(
            f"{named_owners(of_text)}: {text}\n"
            "`check` compiles for the platforms that targets or options name; `publish` may "
            "compile again, for the variants of them that the base image has."
        )


@rule(desc="Check Go programs of images", level=LogLevel.DEBUG)
async def check_images(request: CheckGoOciImageRequest, ko: KoSubsystem) -> CheckResults:
    """One result for all images, so that what they share is said once.

    :raises KoPantsError: an argument of `go vet` that is no flag of a check.
    """
    if ko.skip_check:
        return CheckResults([], checker_name=request.tool_name)
    vet = tuple(ko.go_vet_args) if ko.go_vet else None
    check_vet_arguments(vet or (), where="option [ko].go_vet_args")
    checks = await image_checks(ImageCheckRequest(f, vet) for f in request.field_sets)
    _warn(checks)
    report = _report(checks)
    return CheckResults(
        [CheckResult(1 if report else 0, "", report)], checker_name=request.tool_name
    )


def rules() -> list[object]:
    """The rule, and that it is a checker."""
    return [*collect_rules(), UnionRule(CheckRequest, CheckGoOciImageRequest)]
