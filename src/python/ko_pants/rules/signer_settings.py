"""How images are signed: the options of the signer, and the variables that it gets."""

from __future__ import annotations

from dataclasses import dataclass

from pants.base.build_root import BuildRoot
from pants.engine.env_vars import EnvironmentVarsRequest
from pants.engine.rules import rule
from pants.util.frozendict import FrozenDict

from ko_pants.artifacts.signing import check_media_type
from ko_pants.comma_lists import split_commas
from ko_pants.engine import environment_vars
from ko_pants.errors import KoPantsError
from ko_pants.publishing.signer_settings import SignerSettings
from ko_pants.rules.settings import RegistryEnvironment
from ko_pants.subsystem import KoSubsystem

BEFORE_TAGS = "before_tags"
AFTER_TAGS = "after_tags"


@dataclass(frozen=True)
class WantedSigner:
    """The signer of a run; None if images are not signed."""

    settings: SignerSettings | None


@rule
async def wanted_signer(
    ko: KoSubsystem, environment: RegistryEnvironment, build_root: BuildRoot
) -> WantedSigner:
    """What the options say; no variable is asked for if there is no signer."""
    argv = tuple(ko.signer)
    if not argv:
        return WantedSigner(None)
    if not argv[0]:
        raise KoPantsError(
            "option [ko].signer: the command, which is its first element, is empty; expected a "
            "command on PATH, or a path such as ./scripts/sign"
        )
    if ko.sign not in (BEFORE_TAGS, AFTER_TAGS):
        raise KoPantsError(
            f"option [ko].sign: found {ko.sign!r}; expected {BEFORE_TAGS} or {AFTER_TAGS}"
        )
    artifact_types = split_commas(ko.signer_artifact_types)
    for artifact_type in artifact_types:
        check_media_type(artifact_type, "option [ko].signer_artifact_types")
    variables = await environment_vars(EnvironmentVarsRequest(split_commas(ko.signer_env_vars)))
    return WantedSigner(
        SignerSettings(
            argv,
            ko.sign == BEFORE_TAGS,
            FrozenDict({**environment.variables, **variables}),
            build_root.path,
            _positive("signer_concurrency", ko.signer_concurrency),
            _positive("signer_timeout", ko.signer_timeout),
            artifact_types,
        )
    )


def _positive(option: str, value: int) -> int:
    if value < 1:
        raise KoPantsError(f"option [ko].{option}: found {value}; expected 1 or more")
    return value
