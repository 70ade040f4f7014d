"""Option, else ko's environment variable, else default."""

from __future__ import annotations

import os
from typing import Any

import pytest
from pants.testutil.rule_runner import RuleRunner
from rules.engine_runner import configure, error_of, new_runner

from ko_pants.layers.encodings import LayerEncoding
from ko_pants.products import WantedArtifacts
from ko_pants.publishing.registries import Registry
from ko_pants.rules.settings import GoEnvironment, RegistryEnvironment, Settings


@pytest.fixture(scope="module")
def runner() -> RuleRunner:
    return new_runner([(Settings, []), (GoEnvironment, []), (RegistryEnvironment, [])])


def settings(runner: RuleRunner, *options: str, **env: str) -> Settings:
    configure(runner, *options, **env)
    return runner.request(Settings, [])


@pytest.mark.parametrize(
    ("name", "option", "variable", "default", "of_option", "of_variable"),
    [
        (
            "base_image",
            "--ko-default-base-image=option.example.com/base",
            ("KO_DEFAULTBASEIMAGE", "variable.example.com/base"),
            "cgr.dev/chainguard/static:latest",
            "option.example.com/base",
            "variable.example.com/base",
        ),
        (
            "platforms",
            "--ko-default-platforms=['linux/s390x']",
            ("KO_DEFAULTPLATFORMS", "linux/arm64, linux/arm/v7,"),
            ("linux/amd64",),
            ("linux/s390x",),
            ("linux/arm64", "linux/arm/v7"),
        ),
        (
            "docker_repo",
            "--ko-docker-repo=option.example.com/x",
            ("KO_DOCKER_REPO", "variable.example.com/x"),
            "",
            "option.example.com/x",
            "variable.example.com/x",
        ),
        (
            "kocache",
            "--ko-kocache=/option/kocache",
            ("KOCACHE", "/variable/kocache"),
            None,
            "/option/kocache",
            "/variable/kocache",
        ),
    ],
)
def test_option_over_variable_over_default(
    runner: RuleRunner,
    name: str,
    option: str,
    variable: tuple[str, str],
    default: Any,
    of_option: Any,
    of_variable: Any,
) -> None:
    env = dict([variable])
    assert getattr(settings(runner, option, **env), name) == of_option
    assert getattr(settings(runner, **env), name) == of_variable
    if default is None:
        found = settings(runner, KOCACHE="")
        default = os.path.join(found.named_caches, "ko_pants_kocache")
    # A variable that is set and empty says nothing.
    assert getattr(settings(runner, **{variable[0]: ""}), name) == default


@pytest.mark.parametrize(
    "options",
    [
        ("--ko-default-platforms=linux/amd64,linux/arm64",),
        ("--ko-default-platforms=linux/amd64, linux/arm64,",),
        ("--ko-default-platforms=['linux/amd64,linux/arm64']",),
        ("--ko-default-platforms=linux/amd64", "--ko-default-platforms=linux/arm64"),
    ],
)
def test_platforms_with_commas_are_several(runner: RuleRunner, options: tuple[str, ...]) -> None:
    assert settings(runner, *options).platforms == ("linux/amd64", "linux/arm64")


def test_the_variable_of_an_option_takes_commas(runner: RuleRunner) -> None:
    found = settings(
        runner,
        PANTS_KO_DEFAULT_PLATFORMS="linux/amd64,linux/arm64",
        PANTS_KO_GO_SEARCH_PATHS="/go/bin,<PATH>",
        PATH="/a:/b",
    )
    assert found.platforms == ("linux/amd64", "linux/arm64")
    # Pants adds what is no list in brackets to what was there.
    assert found.search_path == ("/a", "/b", "/go/bin", "/a", "/b")


def test_other_lists_take_commas_too(runner: RuleRunner) -> None:
    configure(
        runner,
        "--ko-insecure-registries=r:80,s:80",
        "--ko-registry-env-vars=['A,B']",
        # A value with commas is one value.
        "--ko-go-env-vars=['GOFLAGS,GOWORK', 'GOPROXY=http://p,direct']",
        A="1",
        B="2",
        GOFLAGS="-tags=a,b",
        GOWORK="off",
    )
    found = runner.request(RegistryEnvironment, [])
    assert found.insecure == ("r:80", "s:80")
    assert (found.variables["A"], found.variables["B"]) == ("1", "2")
    variables = dict(runner.request(GoEnvironment, []).variables)
    assert {name: variables.get(name) for name in ("GOFLAGS", "GOWORK", "GOPROXY")} == {
        "GOFLAGS": "-tags=a,b",
        "GOWORK": "off",
        "GOPROXY": "http://p,direct",
    }


def test_times_come_from_the_environment(runner: RuleRunner) -> None:
    found = settings(runner)
    assert (found.created, found.kodata_created) == (None, None)
    found = settings(runner, SOURCE_DATE_EPOCH="1700000000", KO_DATA_DATE_EPOCH="0")
    assert (found.created, found.kodata_created) == (1700000000, 0)


@pytest.mark.parametrize("name", ["SOURCE_DATE_EPOCH", "KO_DATA_DATE_EPOCH"])
@pytest.mark.parametrize("value", ["yesterday", "-1", "1.5", "²"])
def test_a_time_that_is_no_number_names_the_variable(
    runner: RuleRunner, name: str, value: str
) -> None:
    configure(runner, **{name: value})
    text = error_of(runner, Settings, [])
    assert name in text
    assert repr(value) in text


def test_layers_are_gzip_1_unless_an_option_says_so(runner: RuleRunner) -> None:
    found = settings(runner)
    assert found.layer_encoding == LayerEncoding("gzip", 1)
    assert not found.trust_foreign_layers
    found = settings(runner, "--ko-layer-compression=zstd", "--ko-trust-foreign-layers")
    assert found.layer_encoding == LayerEncoding("zstd", 3)
    assert found.trust_foreign_layers
    assert settings(runner, "--ko-layer-compression-level=6").layer_encoding.level == 6


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--ko-layer-compression=lzma", ["[ko].layer_compression:", "lzma", "gzip", "zstd"]),
        ("--ko-layer-compression-level=99", ["[ko].layer_compression_level:", "99"]),
        ("--ko-registries={'x': {}}", ["[ko].registries", "'x'", "`address`"]),
        ("--ko-sbom=syft", ["[ko].sbom: there is no SBOM format 'syft'; expected", "spdx"]),
        ("--ko-attach-sbom-as=tag", ["[ko].attach_sbom_as: found 'tag'", "referrers or tags"]),
        ("--ko-provenance-builder-id=us", ["[ko].provenance_builder_id: found 'us'", "URI"]),
        ("--ko-provenance-builder-id=https:a b", ["[ko].provenance_builder_id", "'https:a b'"]),
        ("--ko-provenance-invocation-id=a\nb", ["[ko].provenance_invocation_id", r"'a\nb'"]),
    ],
)
def test_a_mistake_names_the_option(runner: RuleRunner, option: str, words: list[str]) -> None:
    configure(runner, option)
    text = error_of(runner, Settings, [])
    for word in words:
        assert word in text


def test_no_artifacts_unless_an_option_says_so(runner: RuleRunner) -> None:
    found = settings(runner).artifacts
    assert not found.wanted
    assert (found.attach_as, found.verify) == ("referrers", False)
    found = settings(
        runner,
        "--ko-sbom=spdx,cyclonedx",
        "--ko-provenance",
        "--ko-provenance-builder-id=https://ci.example.com/runner",
        "--ko-provenance-invocation-id=run 7",
        "--ko-attach-sbom-as=tags",
        "--ko-verify-artifacts",
    ).artifacts
    assert found.wanted == WantedArtifacts(
        ("cyclonedx", "spdx"), True, "https://ci.example.com/runner", "run 7"
    )
    assert (found.attach_as, found.verify) == ("tags", True)


@pytest.mark.parametrize(
    ("options", "formats"),
    [
        (("--ko-sbom=none",), ()),
        # Pants adds the second to the first.
        (("--ko-sbom=['spdx']", "--ko-sbom=none"), ()),
        (("--ko-sbom=['none']", "--ko-sbom=cyclonedx"), ("cyclonedx",)),
    ],
)
def test_none_takes_back_what_stands_before_it(
    runner: RuleRunner, options: tuple[str, ...], formats: tuple[str, ...]
) -> None:
    assert settings(runner, *options).artifacts.wanted.sbom == formats


def test_registries_and_layout(runner: RuleRunner) -> None:
    found = settings(
        runner, "--ko-registries={'prod': {'address': 'r.example.com', 'default': True}}"
    )
    assert found.registries == (Registry("r.example.com", "prod", default=True),)
    assert found.layout_path == "dist/oci"
    assert settings(runner, "--ko-layout-path=out/images").layout_path == "out/images"
    assert settings(runner, "--pants-distdir=out").layout_path == "out/oci"


def test_the_search_path_of_go(runner: RuleRunner) -> None:
    assert settings(runner, PATH="/a:/b::").search_path == ("/a", "/b")
    found = settings(runner, "--ko-go-search-paths=['/go/bin', '<PATH>', '/c']", PATH="/a:/b")
    assert found.search_path == ("/go/bin", "/a", "/b", "/c")


def test_what_go_gets_of_the_environment(runner: RuleRunner) -> None:
    configure(runner, GOPROXY="https://proxy.example.com", AWS_SECRET_ACCESS_KEY="no")
    found = runner.request(GoEnvironment, [])
    assert found.variables["GOPROXY"] == "https://proxy.example.com"
    assert "AWS_SECRET_ACCESS_KEY" not in found.variables
    configure(runner, "--ko-go-env-vars=['GOA', 'GOB=2', 'C']", GOA="1", GOPROXY="x", C="s3cret")
    found = runner.request(GoEnvironment, [])
    public = {"GOA": "1", "GOB": "2", "KO_PANTS_PRIVATE_ENVIRONMENT": found.private_file}
    assert dict(found.variables) == public
    assert b"s3cret" in found.private_content
    assert "s3cret" not in repr(found)


def test_what_a_registry_client_gets_shows_in_no_log(runner: RuleRunner) -> None:
    configure(
        runner, "--ko-insecure-registries=['r:80']", HTTPS_PROXY="http://u:s3cret@p", HOME="/h"
    )
    found = runner.request(RegistryEnvironment, [])
    assert found.insecure == ("r:80",)
    assert found.variables["HTTPS_PROXY"] == "http://u:s3cret@p"
    assert "s3cret" not in repr(found)
    # Nothing of it reaches a build.
    assert "HOME" not in runner.request(GoEnvironment, []).variables


def test_equal_settings_are_one_product(runner: RuleRunner) -> None:
    assert settings(runner) == settings(runner)
    assert settings(runner) != settings(runner, KO_DOCKER_REPO="r.example.com")
