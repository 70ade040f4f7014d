"""Publishing to docker-registry on loopback: requests, outcomes, what other clients read."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest
from integration.podman import run_with_podman
from integration.published import has_tag, published_on
from integration.traffic import Traffic
from integration.workspace import HELLO, SMALL, Run, Workspace, go_mod, tool
from real_registry import RealRegistry, docker_registry

PLATFORMS = ["linux/amd64", "linux/arm64"]

# All keys of the contract, which the docs describe and programs read.
ENTRY_KEYS = {
    *("target", "names", "published", "status", "publisher", "digest", "media_type"),
    *("platforms", "requests", "layers", "build", "references"),
}
LAYER_KEYS = {"platform", "kind", "digest", "diff_id", "size", "outcome", "bytes"}


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
            "hello/kodata/note.txt": "a note\n",
            "hello/BUILD": "go_oci_image(\n"
            f"    platforms={PLATFORMS!r},\n    image_labels={{'team': 'tests'}},\n)\n",
        }
    )
    return workspace


@pytest.fixture(scope="module")
def first(repo: Workspace, registry: RealRegistry) -> Run:
    traffic = Traffic(registry)
    run = repo.publish("hello:").ok()
    requests = run.images["hello:hello"]["requests"]
    assert len(traffic.of("team/hello", requests)) == requests
    return run


def test_contract_of_the_output(first: Run, registry: RealRegistry) -> None:
    entry = first.images["hello:hello"]
    image = published_on(registry.host, "team/hello")

    assert set(entry) - {"exit_code"} == ENTRY_KEYS
    assert entry["names"] == [f"{registry.host}/team/hello:latest"]
    assert (entry["published"], entry["digest"]) == (True, image.digest)
    assert entry["media_type"] == image.media_type
    assert entry["platforms"] == PLATFORMS == image.platforms
    told: list[Any] = []
    for manifest in image.manifests:
        descriptors = manifest.manifest["layers"]
        diff_ids = manifest.config["rootfs"]["diff_ids"]
        for kind, descriptor, diff_id in zip(("kodata", "binary"), descriptors, diff_ids):
            told.append(
                {
                    "platform": manifest.platform,
                    "kind": kind,
                    "digest": descriptor["digest"],
                    "diff_id": diff_id,
                    "size": descriptor["size"],
                    "outcome": "uploaded",
                    "bytes": descriptor["size"],
                }
            )
    assert entry["layers"] == told
    assert set(entry["layers"][0]) == LAYER_KEYS
    assert entry["build"] == {p: {"executable": "ran", "layer": "ran"} for p in PLATFORMS}


def test_labels_and_kodata(first: Run, registry: RealRegistry) -> None:
    image = published_on(registry.host, "team/hello")

    for manifest in image.manifests:
        assert manifest.config["config"]["Labels"] == {"team": "tests"}
        assert b"a note\n" in manifest.tars[0]


def test_skopeo_reads_it(first: Run, registry: RealRegistry, tmp_path: Path) -> None:
    skopeo, source = tool("skopeo"), f"docker://{registry.host}/team/hello:latest"
    plain = ("--tls-verify=false",)

    info = json.loads(subprocess.check_output([skopeo, "inspect", *plain, source]))
    subprocess.run(
        [skopeo, "copy", "--all", "--src-tls-verify=false", source, f"oci:{tmp_path}/copy:x"],
        check=True,
        capture_output=True,
    )

    assert info["Digest"] == first.images["hello:hello"]["digest"]
    assert info["Labels"] == {"team": "tests"}
    (entry,) = json.loads((tmp_path / "copy" / "index.json").read_text())["manifests"]
    assert entry["digest"] == info["Digest"]


def test_umoci_unpacks_it(first: Run, registry: RealRegistry, tmp_path: Path) -> None:
    umoci, skopeo = tool("umoci"), tool("skopeo")
    source = f"docker://{registry.host}/team/hello:latest"
    subprocess.run(
        [skopeo, "copy", "--src-tls-verify=false", source, f"oci:{tmp_path}/copy:x"],
        check=True,
        capture_output=True,
    )

    subprocess.run(
        [umoci, "unpack", "--rootless", "--image", f"{tmp_path}/copy:x", str(tmp_path / "bundle")],
        check=True,
        capture_output=True,
    )

    program = tmp_path / "bundle" / "rootfs" / "ko-app" / "hello"
    assert subprocess.check_output([str(program)]) == b"hello\n"


def test_podman_pulls_and_runs_it(first: Run, registry: RealRegistry) -> None:
    output = run_with_podman(f"{registry.host}/team/hello:latest", "--tls-verify=false")

    assert output == "hello\n"


def test_unchanged_is_one_request(first: Run, repo: Workspace, registry: RealRegistry) -> None:
    traffic = Traffic(registry)

    run = repo.publish("hello:").ok()

    entry = run.images["hello:hello"]
    assert traffic.of("team/hello", 1) == ["HEAD manifests 200"]
    assert entry["requests"] == 1
    assert run.processes == []
    assert "up to date" in entry["status"]
    assert set(entry) - {"exit_code"} == ENTRY_KEYS
    assert {(layer["outcome"], layer["bytes"]) for layer in entry["layers"]} == {("reused", 0)}


def test_the_output_is_of_the_run_that_asks_for_it(
    first: Run, repo: Workspace, registry: RealRegistry
) -> None:
    # The daemon has seen these packages before, in a run without `--publish-output`.
    repo.end_daemon()
    repo.pants("publish", "::").ok()
    run = repo.publish()
    assert {t: e["digest"] for t, e in run.images.items()} == {
        t: e["digest"] for t, e in first.images.items()
    }
    assert {e["requests"] for e in run.images.values()} == {1}


def test_unchanged_is_one_request_for_a_new_daemon(
    first: Run, repo: Workspace, registry: RealRegistry
) -> None:
    repo.end_daemon()
    traffic = Traffic(registry)

    run = repo.publish("hello:").ok()

    entry = run.images["hello:hello"]
    assert traffic.of("team/hello", 1) == ["HEAD manifests 200"]
    assert run.processes == []
    assert entry["build"] == {
        p: {"executable": "local cache", "layer": "kocache"} for p in PLATFORMS
    }


def test_new_tag_is_one_more_name(first: Run, repo: Workspace, registry: RealRegistry) -> None:
    build = (repo.root / "hello" / "BUILD").read_text()
    repo.write(
        {"hello/BUILD": build.replace("    image", "    image_tags=['latest', 'v2'],\n    image")}
    )
    traffic = Traffic(registry)

    try:
        run = repo.publish("hello:").ok()
    finally:
        repo.write({"hello/BUILD": build})

    entry = run.images["hello:hello"]
    requests = traffic.of("team/hello", entry["requests"])
    # A HEAD of the digest, perhaps one of the tag, and the PUT.
    assert requests.count("PUT manifests 201") == 1
    assert "HEAD manifests 200" in requests
    assert entry["requests"] == len(requests) in (2, 3)
    assert entry["names"] == [f"{registry.host}/team/hello:{tag}" for tag in ("latest", "v2")]
    assert entry["published"]
    assert {layer["outcome"] for layer in entry["layers"]} == {"reused"}
    assert published_on(registry.host, "team/hello", "v2").digest == entry["digest"]


def test_another_tag_needs_no_blob(first: Run, repo: Workspace, registry: RealRegistry) -> None:
    build = (repo.root / "hello" / "BUILD").read_text()
    repo.write({"hello/BUILD": build.replace("    image", "    image_tags=['v3'],\n    image")})
    traffic = Traffic(registry)

    try:
        run = repo.publish("hello:").ok()
    finally:
        repo.write({"hello/BUILD": build})

    requests = traffic.of("team/hello", run.images["hello:hello"]["requests"])
    # A HEAD of the digest, perhaps one of the tag, and the PUT.
    assert requests[-2:] == ["HEAD manifests 200", "PUT manifests 201"]
    assert requests[:-2] in ([], ["HEAD manifests 404"])
    assert has_tag(registry.host, "team/hello", "v3")


def test_another_repository_mounts(first: Run, repo: Workspace, registry: RealRegistry) -> None:
    repo.write(
        {
            "hello/BUILD": (repo.root / "hello" / "BUILD").read_text()
            + (
                f"go_oci_image(name='twin', repository='twin', platforms={PLATFORMS!r})\n"
                f"go_oci_image(name='third', repository='third', platforms={PLATFORMS!r})\n"
            )
        }
    )
    traffic = Traffic(registry)

    run = repo.publish("hello:twin", "hello:third").ok()

    assert run.processes == []
    outcomes: dict[str, set[str]] = {}
    for address in ("hello:twin", "hello:third"):
        entry = run.images[address]
        repository = f"team/{address.partition(':')[2]}"
        assert len(traffic.of(repository, entry["requests"])) == entry["requests"]
        for layer in entry["layers"]:
            outcomes.setdefault(layer["digest"], set()).add(layer["outcome"])
            assert (layer["bytes"] == 0) == (layer["outcome"] == "mounted")
        assert published_on(registry.host, repository).digest == entry["digest"]
    # One of the two images uploads a blob, and the other mounts it from there.
    assert set(map(frozenset, outcomes.values())) == {frozenset({"uploaded", "mounted"})}


def test_only_what_changed_is_sent(first: Run, repo: Workspace, registry: RealRegistry) -> None:
    before = published_on(registry.host, "team/hello")
    traffic = Traffic(registry)
    repo.write({"hello/main.go": HELLO.replace('"hello"', '"hello again"')})

    try:
        run = repo.publish("hello:hello").ok()
    finally:
        repo.write({"hello/main.go": HELLO})

    entry = run.images["hello:hello"]
    assert len(traffic.of("team/hello", entry["requests"])) == entry["requests"]
    assert {(layer["kind"], layer["outcome"]) for layer in entry["layers"]} == {
        ("kodata", "reused"),
        ("binary", "uploaded"),
    }
    assert run.processes == sorted(
        f"{what} example.com/hello for {platform}"
        for what in ("Compile", "Make layer of")
        for platform in PLATFORMS
    )
    after = published_on(registry.host, "team/hello")
    assert after.digest == entry["digest"] != before.digest
    # The old image is still there, by its digest.
    assert published_on(registry.host, "team/hello", before.digest) == before


def test_edit_and_new_repository_with_a_warm_daemon(
    first: Run, repo: Workspace, registry: RealRegistry
) -> None:
    """The image of the last run, which the daemon remembers, must not be published in this one."""
    repo.write({"edits/go.mod": go_mod("example.com/edits"), "edits/BUILD": "go_oci_image()\n"})

    for number in range(4):
        repo.write({"edits/main.go": SMALL.replace("small", f"edit {number}")})
        traffic = Traffic(registry)
        env = {"KO_DOCKER_REPO": f"{registry.host}/edit{number}"}
        run = repo.publish("edits:", env=env).ok()

        entry = run.images["edits:edits"]
        repository = f"edit{number}/edits"
        assert published_on(registry.host, repository).digest == entry["digest"]
        requests = traffic.of(repository, entry["requests"])
        ours = [r for r in requests if not r.startswith("GET")]
        assert len(ours) == entry["requests"]


def test_no_tag_moves_beside_a_failure(first: Run, repo: Workspace, registry: RealRegistry) -> None:
    repo.write(
        {
            "pair/go.mod": go_mod("example.com/pair"),
            "pair/a/main.go": SMALL,
            "pair/a/BUILD": "go_oci_image()\n",
            "pair/b/main.go": SMALL,
            "pair/b/BUILD": "go_oci_image(registries=['127.0.0.1:1'])\n",
        }
    )

    run = repo.publish("pair/::")

    assert run.exit_code != 0
    assert "127.0.0.1:1" in run.output
    assert not has_tag(registry.host, "team/a", "latest")


def test_skip_push(first: Run, repo: Workspace, registry: RealRegistry) -> None:
    repo.write(
        {
            "skip/go.mod": go_mod("example.com/skip"),
            "skip/main.go": SMALL,
            "skip/BUILD": "go_oci_image(skip_push=True)\n",
        }
    )
    traffic = Traffic(registry)

    run = repo.publish("skip:").ok()

    entry = run.images["skip:skip"]
    assert not entry["published"]
    assert "skip_push" in entry["status"]
    assert entry["requests"] == 0 == len(traffic.of("team/skip", 0))


def test_registries_of_the_options(first: Run, repo: Workspace, registry: RealRegistry) -> None:
    # Each entry has an address of its own, so the one registry is named in two ways.
    local = registry.host.replace("127.0.0.1", "localhost")
    registries = {
        "prod": {
            "address": registry.host,
            "repository": "prod/{name}",
            "extra_image_tags": ["stable"],
        },
        "here": {"address": local, "default": True},
    }
    repo.write(
        {
            "aliases/go.mod": go_mod("example.com/a"),
            "aliases/main.go": SMALL,
            "aliases/BUILD": "go_oci_image(name='by-default')\n"
            "go_oci_image(name='named', registries=['@prod'])\n",
        }
    )

    run = repo.publish("aliases:", flags=[f"--ko-registries={registries!r}"]).ok()

    entry = run.images["aliases:named"]
    assert run.images["aliases:by-default"]["names"] == [f"{local}/by-default:latest"]
    assert entry["names"] == [f"{registry.host}/prod/named:{tag}" for tag in ("latest", "stable")]
    assert published_on(registry.host, "prod/named", "stable").digest == entry["digest"]
