"""The options of the signer, and its variables."""

from __future__ import annotations

import pytest
from pants.testutil.rule_runner import RuleRunner
from rules.engine_runner import configure, error_of, new_runner

from ko_pants.publishing.signer_settings import SignerSettings
from ko_pants.rules.signer_settings import WantedSigner


@pytest.fixture(scope="module")
def runner() -> RuleRunner:
    return new_runner([(WantedSigner, [])])


def signer(runner: RuleRunner, *options: str, **env: str) -> SignerSettings:
    configure(runner, "--ko-signer=['cosign', 'sign', '{reference}']", *options, **env)
    found = runner.request(WantedSigner, []).settings
    assert found is not None
    return found


def test_images_are_not_signed_unless_an_option_says_so(runner: RuleRunner) -> None:
    configure(runner)
    assert runner.request(WantedSigner, []) == WantedSigner(None)
    configure(runner, "--ko-signer=['cosign']", "--ko-signer=[]")
    assert runner.request(WantedSigner, []) == WantedSigner(None)


def test_defaults(runner: RuleRunner) -> None:
    found = signer(runner)
    assert found.argv == ("cosign", "sign", "{reference}")
    assert found.before_tags
    assert (found.at_once, found.timeout_seconds) == (8, 120)
    assert "application/vnd.cncf.notary.signature" in found.artifact_types
    assert found.build_root == runner.build_root


def test_options(runner: RuleRunner) -> None:
    found = signer(
        runner,
        "--ko-sign=after_tags",
        "--ko-signer-concurrency=2",
        "--ko-signer-timeout=7",
        "--ko-signer-artifact-types=+['text/a,text/b']",
    )
    assert not found.before_tags
    assert (found.at_once, found.timeout_seconds) == (2, 7)
    assert found.artifact_types[-2:] == ("text/a", "text/b")


def test_the_signer_gets_what_is_named_and_what_credential_helpers_get(runner: RuleRunner) -> None:
    found = signer(
        runner,
        "--ko-signer-env-vars=+['MY_KEY', 'MODE=fast']",
        HOME="/home/me",
        DOCKER_CONFIG="/config",
        AWS_PROFILE="mine",
        COSIGN_PASSWORD="hunter22",
        MY_KEY="key",
        OTHER="other",
    )
    variables = dict(found.environment)
    variables.pop("PATH")
    assert variables == {
        "HOME": "/home/me",
        "DOCKER_CONFIG": "/config",
        "AWS_PROFILE": "mine",
        "COSIGN_PASSWORD": "hunter22",
        "MY_KEY": "key",
        "MODE": "fast",
    }
    assert "hunter22" not in repr(found)


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--ko-signer=['']", ["[ko].signer", "is empty", "./scripts/sign"]),
        ("--ko-sign=first", ["[ko].sign: found 'first'; expected before_tags or after_tags"]),
        ("--ko-signer-concurrency=0", ["[ko].signer_concurrency: found 0; expected 1 or more"]),
        ("--ko-signer-timeout=-1", ["[ko].signer_timeout: found -1"]),
        ("--ko-signer-artifact-types=sig", ["[ko].signer_artifact_types", "'sig'", "media type"]),
    ],
)
def test_a_mistake_names_the_option(runner: RuleRunner, option: str, words: list[str]) -> None:
    configure(runner, *(() if "signer=" in option else ("--ko-signer=['cosign']",)), option)
    text = error_of(runner, WantedSigner, [])
    for word in words:
        assert word.replace("'sig'", '"sig"') in text
