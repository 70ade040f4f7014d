"""The main job: testprojects/hello, from sources to an OCI layout that others read and run."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Callable

import pytest
from integration.podman import run_with_podman
from integration.published import Published, published_in
from integration.workspace import PLAIN_PANTS, REPO, Run, Workspace, tool

PLATFORMS = ["linux/amd64", "linux/arm", "linux/arm64", "linux/ppc64le", "linux/s390x"]
QEMU = {
    "linux/arm": "qemu-arm-static",
    "linux/arm64": "qemu-aarch64-static",
    "linux/ppc64le": "qemu-ppc64le-static",
    "linux/s390x": "qemu-s390x-static",
}


@pytest.fixture(scope="module")
def repo(make_workspace: Callable[..., Workspace]) -> Workspace:
    workspace = make_workspace(env=PLAIN_PANTS)
    shutil.copytree(REPO / "testprojects" / "hello", workspace.root / "hello")
    return workspace


@pytest.fixture(scope="module")
def first(repo: Workspace) -> Run:
    return repo.publish("::").ok()


@pytest.fixture(scope="module")
def layout(repo: Workspace, first: Run) -> Path:
    return repo.root / "dist" / "oci"


@pytest.fixture(scope="module")
def image(layout: Path) -> Published:
    return published_in(layout, "hello:latest")


def test_one_line_an_image(first: Run, image: Published) -> None:
    lines = [line for line in first.stderr.splitlines() if line.startswith("✓")]

    assert len(lines) == 1, first.output
    assert "oci:dist/oci:hello:latest" in lines[0]
    assert f" as {image.digest[: len('sha256:') + 12]} published to dist/oci: " in lines[0]
    assert "5 platforms, " in lines[0]


def test_output_contract(first: Run, image: Published) -> None:
    entry = first.images["hello:hello"]

    assert entry["names"] == ["oci:dist/oci:hello:latest"]
    assert (entry["published"], entry["digest"]) == (True, image.digest)
    assert entry["media_type"] == "application/vnd.oci.image.index.v1+json"
    assert entry["platforms"] == PLATFORMS
    assert entry["requests"] == 0
    assert entry["build"] == {p: {"executable": "ran", "layer": "ran"} for p in PLATFORMS}
    for manifest in image.manifests:
        told = [layer for layer in entry["layers"] if layer["platform"] == manifest.platform]
        assert [layer["kind"] for layer in told] == ["kodata", "binary"]
        assert [layer["diff_id"] for layer in told] == manifest.config["rootfs"]["diff_ids"]
        assert [layer["digest"] for layer in told] == [
            d["digest"] for d in manifest.manifest["layers"]
        ]
        assert [layer["size"] for layer in told] == [len(blob) for blob in manifest.layers]
        assert {(layer["outcome"], layer["bytes"] == layer["size"]) for layer in told} == {
            ("written", True)
        }


def test_skopeo_sees_an_index_of_five_platforms(layout: Path, image: Published) -> None:
    raw = subprocess.check_output(
        [tool("skopeo"), "inspect", "--raw", f"oci:{layout}:hello:latest"]
    )
    index = json.loads(raw)

    assert index["mediaType"] == "application/vnd.oci.image.index.v1+json"
    assert [
        f"{m['platform']['os']}/{m['platform']['architecture']}" for m in index["manifests"]
    ] == PLATFORMS
    assert image.platforms == PLATFORMS


def test_podman_runs_it(layout: Path) -> None:
    assert run_with_podman(f"oci:{layout}:hello:latest").startswith("hello")


@pytest.mark.parametrize("platform", sorted(QEMU))
def test_other_cpus_run_it(platform: str, image: Published, tmp_path: Path) -> None:
    qemu = tool(QEMU[platform], "qemu-user-static")
    program = tmp_path / "hello"
    program.write_bytes(image.for_platform(platform).executable())
    program.chmod(0o755)

    assert subprocess.check_output([qemu, str(program)]).startswith(b"hello")


@pytest.mark.parametrize("platform", PLATFORMS)
def test_config_as_ko_writes_it(platform: str, image: Published) -> None:
    config = image.for_platform(platform).config

    assert config["config"]["Entrypoint"] == ["/ko-app/hello"]
    assert config["config"]["Env"] == ["PATH=/ko-app", "KO_DATA_PATH=/var/run/ko"]
    assert [h["comment"] for h in config["history"]] == [
        "kodata contents, at $KO_DATA_PATH",
        "go build output, at /ko-app/hello",
    ]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_build_id_is_the_key(
    platform: str, repo: Workspace, image: Published, tmp_path: Path
) -> None:
    program = tmp_path / "hello"
    program.write_bytes(image.for_platform(platform).executable())
    build_id = subprocess.check_output(["go", "tool", "buildid", str(program)], text=True).strip()
    directory = repo.kocache / "bin" / "example.com" / "hello" / platform
    manifest = image.for_platform(platform)

    diff_id = json.loads((directory / "buildid-to-diffid").read_text())[build_id]
    descriptor = json.loads((directory / "diffid-to-descriptor").read_text())[diff_id]
    assert diff_id == manifest.config["rootfs"]["diff_ids"][-1]
    assert {k: descriptor[k] for k in ("mediaType", "size", "digest")} == {
        k: manifest.manifest["layers"][-1][k] for k in ("mediaType", "size", "digest")
    }


def test_second_publish_is_up_to_date(repo: Workspace, first: Run, layout: Path) -> None:
    before = tree_state(layout)

    run = repo.publish("::").ok()

    assert run.processes == []
    assert "up to date" in run.images["hello:hello"]["status"]
    assert not run.images["hello:hello"]["published"]
    assert {layer["outcome"] for layer in run.images["hello:hello"]["layers"]} == {"reused"}
    assert {layer["bytes"] for layer in run.images["hello:hello"]["layers"]} == {0}
    assert run.images["hello:hello"]["digest"] == first.images["hello:hello"]["digest"]
    assert [line for line in run.stderr.splitlines() if line.startswith("✓")] == []
    assert tree_state(layout) == before


def test_deleted_blob_comes_back(repo: Workspace, layout: Path, image: Published) -> None:
    digest = image.manifests[0].manifest["layers"][-1]["digest"]
    (layout / "blobs" / digest.replace(":", "/")).unlink()

    run = repo.publish("::").ok()

    assert run.images["hello:hello"]["published"]
    assert published_in(layout, "hello:latest") == image


def test_package_writes_what_the_image_is_made_of(repo: Workspace, image: Published) -> None:
    repo.pants("package", "::").ok()

    directory = repo.root / "dist" / "hello" / "hello.image"
    summary = json.loads((directory / "image.json").read_text())
    assert summary["descriptor"]["digest"] == image.digest
    assert [p["platform"] for p in summary["platforms"]] == PLATFORMS
    blobs = {f"sha256:{p.name}": p.stat().st_size for p in (directory / "blobs/sha256").iterdir()}
    wanted = {image.digest, *(m["digest"] for m in image.index["manifests"])}
    wanted |= {m.manifest["config"]["digest"] for m in image.manifests}
    # No layers.
    assert set(blobs) == wanted


def tree_state(directory: Path) -> dict[str, tuple[int, int]]:
    """Every file with its size and time of modification."""
    return {
        str(path): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in directory.rglob("*")
        if path.is_file()
    }
