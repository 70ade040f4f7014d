"""A script signs images in whole runs: order, side by side, failures, and what costs nothing."""

from __future__ import annotations

import json
import os
import signal
import sys
import urllib.request
from typing import Any, Callable, Iterator

import pytest
from integration.published import has_tag, published_on
from integration.traffic import Traffic
from integration.workspace import SMALL, Run, Workspace, go_mod, wait_until
from real_registry import RealRegistry, docker_registry

# Notes what it read and whether the tag names the image yet, in a file for each repository. MODE is
# `meet` (it waits for the signer of the other image) or `fail` (that of the image `a` fails).
SIGNER = f"""#!{sys.executable}
import json, os, pathlib, sys, urllib.error, urllib.request
request = json.load(sys.stdin)
name = request["repository"].rpartition("/")[2]
mode = os.environ.get("MODE", "")

def digest(reference):
    url = "http://" + request["registry"] + "/v2/" + request["repository"] + "/manifests/"
    accept = {{"Accept": request["image"]["media_type"]}}
    try:
        with urllib.request.urlopen(urllib.request.Request(url + reference, headers=accept)) as r:
            return r.headers["Docker-Content-Digest"]
    except urllib.error.HTTPError as e:
        return str(e.code)

noted = {{"request": request, "environment": dict(os.environ)}}
if request["registry"]:
    noted.update(tag=digest("latest"), image=digest(request["image"]["digest"]))
pathlib.Path("signed", name + ".json").write_text(json.dumps(noted))
if mode == "meet":
    open("signed/meet", "w" if name == "a" else "r").close()
if mode == "fail" and name == "a":
    sys.exit("no key for a, password " + os.environ["MY_PASSWORD"])
signature = pathlib.Path(os.environ["TMPDIR"], "signature")
signature.write_text("signature of " + request["reference"])
json.dump({{"artifacts": [{{
    "subject": request["image"]["digest"],
    "artifact_type": "application/vnd.example.signature",
    "annotations": {{"by": "tests"}},
    "layers": [{{"media_type": "text/plain", "path": str(signature)}}],
}}]}}, sys.stdout)
"""
OPTIONS = """
signer = ["./scripts/sign"]
signer_env_vars = ["MODE", "MY_PASSWORD"]
signer_artifact_types = ["application/vnd.example.signature"]
"""
PASSWORD = "canary-s3cr3t"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealRegistry]:
    with docker_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


def new_repo(make_workspace: Callable[..., Workspace], **options: Any) -> Workspace:
    repo = make_workspace(options=OPTIONS, **options)
    repo.write(
        {
            "go.mod": go_mod("example.com/small"),
            "main.go": SMALL,
            "scripts/sign": SIGNER,
            "signed/.gitignore": "*\n",
            "BUILD": "go_executable(name='bin')\n"
            "go_oci_image(name='a', binary=':bin', repository='a')\n"
            "go_oci_image(name='b', binary=':bin', repository='b')\n",
        }
    )
    (repo.root / "scripts/sign").chmod(0o755)
    os.mkfifo(repo.root / "signed" / "meet")
    return repo


@pytest.fixture(scope="module")
def repo(make_workspace: Callable[..., Workspace], registry: RealRegistry) -> Workspace:
    env = {"KO_DOCKER_REPO": f"{registry.host}/team", "MY_PASSWORD": PASSWORD, "OTHER": "other"}
    return new_repo(make_workspace, env=env)


@pytest.fixture(scope="module")
def first(repo: Workspace) -> Run:
    return repo.publish(env={"MODE": "meet"}).ok()


def edit(repo: Workspace, text: str) -> None:
    repo.write({"main.go": SMALL.replace('"small"', f'"{text}"')})


def noted(repo: Workspace, name: str) -> dict[str, Any]:
    """What the signer of an image has noted, once."""
    path = repo.root / "signed" / f"{name}.json"
    found: dict[str, Any] = json.loads(path.read_text())
    path.unlink()
    return found


def signatures(registry: RealRegistry, name: str, digest: str) -> list[dict[str, Any]]:
    """The entries of the fallback tag of an image; distribution has no referrers API."""
    tag = digest.replace(":", "-")
    if not has_tag(registry.host, f"team/{name}", tag):
        return []
    url = f"{registry.url}/v2/team/{name}/manifests/{tag}"
    accept = {"Accept": "application/vnd.oci.image.index.v1+json"}
    with urllib.request.urlopen(urllib.request.Request(url, headers=accept)) as reply:
        entries: list[dict[str, Any]] = json.load(reply)["manifests"]
    return entries


def test_two_are_signed_side_by_side_before_their_tags(
    first: Run, repo: Workspace, registry: RealRegistry
) -> None:
    # They have met, or the run would have failed.
    for name in "ab":
        note, digest = noted(repo, name), first.images[f"//:{name}"]["digest"]
        assert (note["tag"], note["image"]) == ("404", digest)
        request = note["request"]
        assert request["version"] == 1
        assert request["target"] == f"//:{name}"
        assert request["reference"] == f"{registry.host}/team/{name}@{digest}"
        assert request["tags"] == ["latest"]
        assert request["plain_http"] is True
        assert published_on(registry.host, f"team/{name}").digest == digest
        (entry,) = signatures(registry, name, digest)
        assert entry["artifactType"] == "application/vnd.example.signature"


def test_the_output_lists_the_signature(first: Run, registry: RealRegistry) -> None:
    for name in "ab":
        image = first.images[f"//:{name}"]
        (entry,) = signatures(registry, name, image["digest"])
        (artifact,) = image["artifacts"]
        assert artifact["kind"] == "signature"
        assert artifact["digest"] == entry["digest"]
        assert artifact["subject"] == image["digest"]
        assert artifact["outcome"] == "uploaded"


def test_the_signer_gets_no_other_variable(first: Run, repo: Workspace) -> None:
    edit(repo, "variables")
    repo.publish("//:b").ok()
    variables = noted(repo, "b")["environment"]
    assert variables["MY_PASSWORD"] == PASSWORD
    assert "HOME" in variables
    assert not {"OTHER", "KOCACHE", "KO_DOCKER_REPO"} & set(variables)


def test_what_is_up_to_date_starts_no_signer(
    first: Run, repo: Workspace, registry: RealRegistry
) -> None:
    edit(repo, "up to date")
    repo.publish().ok()
    noted(repo, "a"), noted(repo, "b")
    traffic = Traffic(registry)
    run = repo.publish().ok()
    assert not list((repo.root / "signed").glob("*.json"))
    assert [image["requests"] for image in run.images.values()] == [1, 1]
    assert traffic.of("team/a", 1) == ["HEAD manifests 200"]


def test_no_tag_moves_if_one_image_is_not_signed(
    first: Run, repo: Workspace, registry: RealRegistry
) -> None:
    before = {name: published_on(registry.host, f"team/{name}").digest for name in "ab"}
    edit(repo, "fails")
    run = repo.publish(env={"MODE": "fail"})
    assert run.exit_code == 1
    for word in [
        "not tagged, because it is not signed: the signer `./scripts/sign` (option [ko].signer)",
        "exit code 1. It wrote: no key for a, password ***",
        "not tagged, because this is not signed: //:a",
    ]:
        assert word in run.output
    assert PASSWORD not in run.output
    assert "Traceback" not in run.output
    for name in "ab":
        assert published_on(registry.host, f"team/{name}").digest == before[name]
    again = repo.publish().ok()
    for name in "ab":
        image = again.images[f"//:{name}"]
        assert {layer["outcome"] for layer in image["layers"]} == {"reused"}
        assert published_on(registry.host, f"team/{name}").digest == image["digest"]
        assert noted(repo, name)["tag"] == before[name]


def test_the_signer_is_told_of_sboms(first: Run, repo: Workspace, registry: RealRegistry) -> None:
    edit(repo, "with SBOM")
    run = repo.publish("//:b", flags=("--ko-sbom=spdx",)).ok()
    image, (told,) = run.images["//:b"], noted(repo, "b")["request"]["artifacts"]
    sbom, signature = image["artifacts"]
    assert (sbom["kind"], signature["kind"]) == ("spdx", "signature")
    assert (told["kind"], told["subject"]) == ("spdx", image["digest"])
    assert told["digest"] == sbom["digest"]
    # Both are in the list of what refers to the image.
    listed = {entry["digest"] for entry in signatures(registry, "b", image["digest"])}
    assert listed == {sbom["digest"], signature["digest"]}


def test_after_the_tags_and_what_verify_repairs(
    first: Run, repo: Workspace, registry: RealRegistry
) -> None:
    edit(repo, "after")
    flags = ("--ko-sign=after_tags",)
    run = repo.publish(flags=flags, env={"MODE": "fail"})
    assert run.exit_code == 1
    assert "tagged, but not signed: the signer `./scripts/sign`" in run.output
    digests = {name: published_on(registry.host, f"team/{name}").digest for name in "ab"}
    assert noted(repo, "a")["tag"] == digests["a"]
    assert noted(repo, "b")["tag"] == digests["b"]
    assert signatures(registry, "a", digests["a"]) == []
    assert len(signatures(registry, "b", digests["b"])) == 1
    # The tags are right, so the next run has nothing to do.
    repo.publish(flags=flags).ok()
    assert not list((repo.root / "signed").glob("*.json"))
    verify = (*flags, "--ko-verify-artifacts")
    repo.publish(flags=verify).ok()
    assert noted(repo, "a")["tag"] == digests["a"]
    assert len(signatures(registry, "a", digests["a"])) == 1
    repo.publish(flags=verify).ok()
    assert not list((repo.root / "signed").glob("*.json"))


def test_a_signer_that_is_not_there_is_told_before_anything_is_uploaded(
    first: Run, repo: Workspace, registry: RealRegistry
) -> None:
    edit(repo, "not there")
    traffic = Traffic(registry)
    run = repo.publish(flags=("--ko-signer=['./scripts/absent']",))
    assert run.exit_code == 1
    assert "option [ko].signer:" in run.output
    assert "scripts/absent is no file that can be executed" in run.output
    assert "Traceback" not in run.output
    assert traffic.paths("/v2/team", "PUT") == []


def test_no_tag_moves_after_an_interrupt(
    first: Run, repo: Workspace, registry: RealRegistry
) -> None:
    before = published_on(registry.host, "team/a").digest
    edit(repo, "interrupted")
    client = repo.start("publish", "//:a", env={"MODE": "meet"})
    wait_until((repo.root / "signed" / "a.json").exists, "the signer")
    os.killpg(client.pid, signal.SIGINT)
    assert b"Interrupted by user" in client.communicate(timeout=60)[0]
    # The other end of the pipe: the signer goes on, and comes to a good end.
    open(repo.root / "signed" / "meet").close()
    wait_until(lambda: not list(repo.temporary.glob("ko_pants_publish_*")), "the end of the run")
    noted(repo, "a")
    assert published_on(registry.host, "team/a").digest == before


def test_into_a_layout(make_workspace: Callable[..., Workspace]) -> None:
    repo = new_repo(make_workspace, env={"MY_PASSWORD": PASSWORD})
    run = repo.publish(env={"MODE": "meet"}).ok()
    layout = repo.root / "dist" / "oci"
    entries = json.loads((layout / "index.json").read_text())["manifests"]
    found = [e for e in entries if e.get("artifactType") == "application/vnd.example.signature"]
    # Both repositories have the same image, and their signers answered the same.
    assert len(found) == 1
    request = noted(repo, "a")["request"]
    assert (request["registry"], request["layout"]) == ("", str(layout))
    assert request["reference"] == f"{layout}@{run.images['//:a']['digest']}"
    blob = layout / "blobs" / found[0]["digest"].replace(":", "/")
    manifest = json.loads(blob.read_text())
    assert manifest["subject"]["digest"] == run.images["//:a"]["digest"]
    content = (layout / "blobs" / manifest["layers"][0]["digest"].replace(":", "/")).read_text()
    assert content == "signature of " + request["reference"]
