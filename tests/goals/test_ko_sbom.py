"""`ko-sbom`: which document it prints, and what a mistake says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pants.engine.addresses import Address
from pants.engine.internals.scheduler import ExecutionError
from pants.testutil.rule_runner import RuleRunner
from rules.engine_runner import ENVIRONMENT, configure, elf, new_runner

from ko_pants.errors import KoPantsError
from ko_pants.goals.ko_sbom import KoSbomGoal
from ko_pants.products import BuiltImage, ImageArtifacts, ImageArtifactsRequest, WantedArtifacts
from ko_pants.target_types import GoOciImageFieldSet

LEVELS = ["linux/amd64", "linux/amd64/v2", "linux/amd64/v3"]
BUILD = f"""
file(name='server', source='server.bin')
go_oci_image(name='one', binary=':server', base_image='scratch', sbom=[])
go_oci_image(name='several', binary=':server', base_image='scratch', platforms={LEVELS!r})
"""


@pytest.fixture(scope="module")
def engine() -> RuleRunner:
    runner = new_runner(
        [
            (BuiltImage, [GoOciImageFieldSet]),
            (ImageArtifacts, [ImageArtifactsRequest]),
        ]
    )
    runner.write_files({"app/BUILD": BUILD, "app/server.bin": elf(62)})
    return runner


def ko_sbom(runner: RuleRunner, *args: str, options: tuple[str, ...] = ()) -> str:
    configure(runner)
    done = runner.run_goal_rule(KoSbomGoal, global_args=options, args=args, env=ENVIRONMENT)
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.endswith("}\n")
    return done.stdout[:-1]


def mistake(runner: RuleRunner, *args: str) -> str:
    with pytest.raises(ExecutionError) as e:
        ko_sbom(runner, *args)
    causes: Any = e.value.wrapped_exceptions
    (cause,) = causes
    assert isinstance(cause, KoPantsError), repr(cause)
    return str(cause)


def attached(runner: RuleRunner, name: str, wanted: WantedArtifacts) -> dict[tuple[str, str], str]:
    """What `publish` would attach, by kind and platform."""
    configure(runner)
    target = runner.get_target(Address("app", target_name=name))
    built = runner.request(BuiltImage, [GoOciImageFieldSet.create(target)])
    found = runner.request(ImageArtifacts, [ImageArtifactsRequest(built, wanted)])
    return {(a.kind, a.platform): a.content.decode() for a in found.artifacts}


@pytest.mark.parametrize("kind", ["spdx", "cyclonedx", "provenance"])
def test_it_prints_what_publish_attaches(engine: RuleRunner, kind: str) -> None:
    documents = attached(engine, "one", WantedArtifacts(("cyclonedx", "spdx"), provenance=True))
    printed = ko_sbom(engine, f"--format={kind}", "app:one")
    assert printed == documents[kind, "linux/amd64"]
    assert isinstance(json.loads(printed), dict)


def test_spdx_is_the_default_and_options_do_not_count(engine: RuleRunner) -> None:
    plain = ko_sbom(engine, "app:one")
    assert json.loads(plain)["spdxVersion"] == "SPDX-2.3"
    assert ko_sbom(engine, "app:one", options=("--ko-sbom=none",)) == plain
    assert ko_sbom(engine, "app:one", options=("--ko-sbom=cyclonedx",)) == plain


def test_who_builds_is_in_the_provenance(engine: RuleRunner) -> None:
    options = (
        "--ko-provenance-builder-id=https://ci.example.com",
        "--ko-provenance-invocation-id=run 7",
    )
    printed = ko_sbom(engine, "--format=provenance", "app:one", options=options)
    run = json.loads(printed)["predicate"]["runDetails"]
    assert run["builder"]["id"] == "https://ci.example.com"
    assert run["metadata"]["invocationId"] == "run 7"


@pytest.mark.parametrize(
    ("platform", "of"),
    [
        ("linux/amd64", "linux/amd64"),
        ("linux/amd64/v3", "linux/amd64/v3"),
        ("index", ""),
    ],
)
def test_one_of_several_platforms(engine: RuleRunner, platform: str, of: str) -> None:
    documents = attached(engine, "several", WantedArtifacts(("spdx",)))
    assert ko_sbom(engine, f"--platform={platform}", "app:several") == documents["spdx", of]


def test_the_image_among_other_targets(engine: RuleRunner) -> None:
    assert ko_sbom(engine, "app:one", "app:server") == ko_sbom(engine, "app:one")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ((), ["ko-sbom: found no target; expected one `go_oci_image`"]),
        (("app:server",), ["ko-sbom: found app:server (a `file`); expected one `go_oci_image`"]),
        (
            ("app:",),
            [
                "ko-sbom: found app:one (a `go_oci_image`), app:several (a `go_oci_image`); "
                "expected one"
            ],
        ),
        (
            ("--format=syft", "app:one"),
            ["[ko-sbom].format: there is no format 'syft'", "spdx, cyclonedx, provenance"],
        ),
        (
            ("app:several",),
            [
                "app:several has linux/amd64, linux/amd64/v2, linux/amd64/v3, index; expected one "
                "of them, for example --platform=linux/amd64"
            ],
        ),
        (
            ("--platform=linux/arm64", "app:several"),
            ["[ko-sbom].platform: app:several has linux/amd64, ", "none of them is 'linux/arm64'"],
        ),
        (
            ("--platform=linux/amd46", "app:one"),
            ["[ko-sbom].platform: unknown platform 'linux/amd46'", "app:one has linux/amd64"],
        ),
        (
            ("--platform=index", "app:one"),
            ["[ko-sbom].platform: app:one has linux/amd64, and so it has no index"],
        ),
    ],
)
def test_a_mistake_says_what_is_there(
    engine: RuleRunner, args: tuple[str, ...], words: list[str]
) -> None:
    text = mistake(engine, *args)
    for word in words:
        assert word in text
