"""SBOMs and provenance go up with a new image, and cost an unchanged one nothing."""

from __future__ import annotations

from typing import Callable, Iterator

import pytest
from integration.published import has_tag
from integration.traffic import Traffic
from integration.workspace import HELLO, Run, Workspace, go_mod
from real_registry import RealRegistry, docker_registry

from ko_pants.oci.reference import Reference
from ko_pants.registry.client import RegistryClient, RegistryConfig

PLATFORMS = ["linux/amd64", "linux/arm64"]
ON = ("--ko-sbom=['spdx', 'cyclonedx']", "--ko-provenance")
VERIFY = (*ON, "--ko-verify-artifacts")
# Three for each platform, and three for the index.
ALL = 9


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealRegistry]:
    with docker_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture(scope="module")
def repo(make_workspace: Callable[..., Workspace], registry: RealRegistry) -> Workspace:
    workspace = make_workspace(env={"KO_DOCKER_REPO": f"{registry.host}/team"})
    workspace.write(
        {
            "hello/go.mod": go_mod("example.com/hello"),
            "hello/main.go": HELLO,
            "hello/BUILD": f"go_oci_image(platforms={PLATFORMS!r})\n",
        }
    )
    return workspace


@pytest.fixture(scope="module")
def plain(repo: Workspace) -> Run:
    return repo.publish("hello:").ok()


@pytest.fixture(scope="module")
def repaired(repo: Workspace, plain: Run) -> Run:
    return repo.publish("hello:", flags=VERIFY).ok()


def _found(registry: RealRegistry, digest: str) -> dict[str, str]:
    session = RegistryClient(RegistryConfig({})).session()
    found = session.referrers(Reference(registry.host, "team/hello").with_digest(digest))
    return {r.descriptor.digest: r.artifact_type for r in found}


def test_an_image_that_was_pushed_without_them_gets_them_when_asked(
    plain: Run, repaired: Run, registry: RealRegistry
) -> None:
    before, entry = plain.images["hello:hello"], repaired.images["hello:hello"]
    assert "artifacts" not in before
    # The image is the same.
    assert entry["digest"] == before["digest"]
    assert f"up to date; {ALL} of {ALL} artifacts were missing" in entry["status"]
    assert entry["published"] is True
    assert {layer["outcome"] for layer in entry["layers"]} == {"reused"}
    told = entry["artifacts"]
    assert [(a["kind"], a["platform"]) for a in told if a["platform"] == ""] == [
        (kind, "") for kind in [a["kind"] for a in told[:3]]
    ]
    assert {a["outcome"] for a in told} == {"uploaded"}
    assert all(a["bytes"] > a["size"] for a in told)
    for subject in {a["subject"] for a in told}:
        expected = {a["digest"]: a["artifact_type"] for a in told if a["subject"] == subject}
        assert _found(registry, subject) == expected
        assert len(expected) == 3
    assert entry["digest"] in {a["subject"] for a in told}


def test_unchanged_with_sboms_is_one_request(
    repaired: Run, repo: Workspace, registry: RealRegistry
) -> None:
    repo.publish("hello:", flags=ON).ok()
    traffic = Traffic(registry)
    run = repo.publish("hello:", flags=ON).ok()
    entry = run.images["hello:hello"]
    assert traffic.of("team/hello", 1) == ["HEAD manifests 200"]
    assert entry["requests"] == 1
    assert run.processes == []
    assert "artifact" not in entry["status"]
    assert "artifacts" not in entry


def test_a_second_look_finds_all_of_them(
    repaired: Run, repo: Workspace, registry: RealRegistry
) -> None:
    entry = repo.publish("hello:", flags=VERIFY).ok().images["hello:hello"]
    assert f"up to date: {entry['digest'][:19]}, " in entry["status"]
    assert f"its {ALL} artifacts are there" in entry["status"]
    assert {a["outcome"] for a in entry["artifacts"]} == {"reused"}
    assert entry["published"] is False


def test_a_new_image_has_them_before_its_tag(
    repaired: Run, repo: Workspace, registry: RealRegistry
) -> None:
    repo.write({"hello/main.go": HELLO.replace("hello", "bye")})
    traffic = Traffic(registry)
    entry = repo.publish("hello:", flags=ON).ok().images["hello:hello"]
    assert f"; with {ALL} artifacts" in entry["status"]
    assert len(entry["artifacts"]) == ALL
    requests = traffic.of("team/hello", entry["requests"])
    assert len(requests) == entry["requests"]
    for digest in {a["subject"] for a in entry["artifacts"]}:
        assert len(_found(registry, digest)) == 3
    assert has_tag(registry.host, "team/hello", "latest")
