"""Publishing with a KOCACHE that is forged, damaged or shared, or without a Pants store."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest
from integration.published import Published, digest_of, published_on
from integration.workspace import SMALL, Workspace, go_mod
from real_registry import RealRegistry, docker_registry

from ko_pants.kocache.cache import KoCache
from ko_pants.kocache.keys import LayerKey
from ko_pants.kocache.maps import CachedLayer
from ko_pants.oci import media_types
from ko_pants.oci.descriptor import Descriptor
from ko_pants.oci.platform import Platform

PLATFORMS = ["linux/amd64", "linux/arm64"]
NAMES = ("one", "two")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealRegistry]:
    with docker_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture(scope="module")
def repo(make_workspace: Callable[..., Workspace]) -> Workspace:
    workspace = make_workspace()
    workspace.write(services())
    return workspace


@pytest.fixture(scope="module")
def original(repo: Workspace, registry: RealRegistry) -> Published:
    """Image `one`, published before anything was tampered with."""
    repo.publish("::", env={"KO_DOCKER_REPO": f"{registry.host}/original"}).ok()
    return published_on(registry.host, "original/one")


@pytest.fixture(scope="module")
def other(repo: Workspace, make_workspace: Callable[..., Workspace]) -> Workspace:
    """The same sources in another checkout, with a store of its own."""
    workspace = make_workspace("other", env={"KOCACHE": str(repo.kocache)})
    workspace.write(services())
    return workspace


@pytest.fixture
def copy(repo: Workspace, original: Published, tmp_path: Path) -> Path:
    """A copy of the filled KOCACHE: another directory, so that the daemon knows nothing of it."""
    return Path(shutil.copytree(repo.kocache, tmp_path / "kocache"))


def services() -> dict[str, str]:
    """Two programs for two platforms."""
    files = {"go.mod": go_mod("example.com/services")}
    for name in NAMES:
        files[f"{name}/main.go"] = SMALL.replace("small", name)
        files[f"{name}/BUILD"] = f"go_oci_image(platforms={PLATFORMS!r})\n"
    return files


def map_files(kocache: Path, name: str = "one", platform: str = "linux/amd64") -> tuple[Path, Path]:
    """`buildid-to-diffid` and `diffid-to-descriptor` of a program."""
    directory = kocache / "bin" / "example.com" / "services" / name / platform
    return directory / "buildid-to-diffid", directory / "diffid-to-descriptor"


def edit_json(path: Path, change: Callable[[Any], Any]) -> None:
    """Rewrite a map as `change` returns it."""
    path.write_text(json.dumps(change(json.loads(path.read_text())), indent=2))


def forge_digest(kocache: Path) -> None:
    def change(entries: Any) -> Any:
        (entry,) = entries.values()
        entry["digest"] = digest_of(b"other bytes")
        return entries

    edit_json(map_files(kocache)[1], change)


def forge_size(kocache: Path) -> None:
    def change(entries: Any) -> Any:
        (entry,) = entries.values()
        entry["size"] += 1
        return entries

    edit_json(map_files(kocache)[1], change)


def forge_diff_id(kocache: Path) -> None:
    build_ids, descriptors = map_files(kocache)
    other = digest_of(b"another tar")
    edit_json(build_ids, lambda entries: dict.fromkeys(entries, other))
    edit_json(descriptors, lambda entries: {other: next(iter(entries.values()))})


def take_the_entry_of_another_program(kocache: Path) -> None:
    """The blob of the entry exists, so only the check of the entry finds the fault."""
    _, descriptors = map_files(kocache)
    _, others = map_files(kocache, "two")
    (diff_id,) = json.loads(descriptors.read_text())
    (foreign,) = json.loads(others.read_text()).values()
    edit_json(descriptors, lambda _: {diff_id: foreign})


def take_the_entry_of_another_platform(kocache: Path) -> None:
    """Both maps, whole and unchanged, in the wrong place, under this platform's build id."""
    build_ids, descriptors = map_files(kocache)
    other_ids, others = map_files(kocache, platform="linux/arm64")
    (build_id,) = json.loads(build_ids.read_text())
    (diff_id,) = json.loads(other_ids.read_text()).values()
    edit_json(build_ids, lambda _: {build_id: diff_id})
    shutil.copy(others, descriptors)


def record(kocache: Path, diff_id: str, blob: bytes) -> None:
    """Write the entry that a producer with our name but another compressor or tar would write."""
    build_ids, descriptors = map_files(kocache)
    (build_id,) = json.loads(build_ids.read_text())
    (entry,) = json.loads(descriptors.read_text()).values()
    KoCache(str(kocache)).record(
        LayerKey("example.com/services/one", Platform.parse("linux/amd64"), build_id),
        CachedLayer(
            diff_id,
            Descriptor(media_types.OCI_LAYER_GZIP, digest_of(blob), len(blob)),
            entry["annotations"]["dev.ko-pants.compressor"],
        ),
    )


def drift(kocache: Path) -> None:
    (diff_id,) = json.loads(map_files(kocache)[1].read_text())
    record(kocache, diff_id, b"as an older compressor wrote it")


def stale(kocache: Path) -> None:
    record(kocache, digest_of(b"another tar"), b"another blob")


@pytest.mark.parametrize(
    ("tamper", "said"),
    [
        (forge_digest, False),
        (forge_size, False),
        (forge_diff_id, False),
        (take_the_entry_of_another_program, False),
        (take_the_entry_of_another_platform, False),
        (drift, True),
        (stale, True),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_wrong_entry_is_healed(
    tamper: Callable[[Path], None],
    said: bool,
    repo: Workspace,
    registry: RealRegistry,
    original: Published,
    copy: Path,
) -> None:
    tamper(copy)
    place = tamper.__name__
    env = {"KOCACHE": str(copy), "KO_DOCKER_REPO": f"{registry.host}/{place}"}

    run = repo.publish("one:", env=env).ok()

    # Reading it back checks every layer against its diffID. The digest has not changed.
    assert published_on(registry.host, f"{place}/one") == original
    assert run.images["one:one"]["digest"] == original.digest
    lines = [line for line in run.stderr.splitlines() if "KOCACHE said" in line]
    assert len(lines) == int(said), run.output
    assert all("one:one" in line and "corrected" in line for line in lines)
    # A later run that reads this directory anew finds corrected maps.
    for name in ("buildid-to-diffid", "diffid-to-descriptor"):
        path = f"bin/example.com/services/one/linux/amd64/{name}"
        assert (copy / path).read_text() == (repo.kocache / path).read_text()


@pytest.mark.parametrize("name", ["buildid-to-diffid", "diffid-to-descriptor"])
@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[1]", b"null"])
def test_a_damaged_map_is_a_miss_and_repaired(
    name: str,
    content: bytes,
    repo: Workspace,
    registry: RealRegistry,
    original: Published,
    copy: Path,
) -> None:
    path = copy / "bin/example.com/services/one/linux/amd64" / name
    good = path.read_bytes()
    path.write_bytes(content)
    env = {"KOCACHE": str(copy), "KO_DOCKER_REPO": f"{registry.host}/original"}

    run = repo.publish("one:", env=env).ok()

    assert run.images["one:one"]["digest"] == original.digest
    assert "up to date" in run.images["one:one"]["status"]
    warnings = [line for line in run.stderr.splitlines() if "[WARN]" in line]
    assert len(warnings) == 1, run.output
    assert str(path) in warnings[0]
    assert json.loads(path.read_bytes()) == json.loads(good)


def test_a_failed_build_leaves_the_maps_alone(repo: Workspace, original: Published) -> None:
    before = repo.maps()
    # amd64 compiles, arm64 does not.
    repo.write({"one/broken_arm64.go": "package main\n\nfunc init() { missing() }\n"})

    try:
        run = repo.publish("one:")
    finally:
        repo.remove("one/broken_arm64.go")

    assert run.exit_code != 0
    assert "one/broken_arm64.go:3:" in run.output
    assert repo.maps() == before


def test_without_a_store_nothing_is_tarred_or_compressed(
    other: Workspace, registry: RealRegistry, original: Published
) -> None:
    # This is the first run of this checkout.
    assert not other.store.exists()

    run = other.publish("one:", env={"KO_DOCKER_REPO": f"{registry.host}/original"}).ok()

    entry = run.images["one:one"]
    assert run.processes == [f"Compile example.com/services/one for {p}" for p in PLATFORMS]
    assert entry["build"] == {p: {"executable": "ran", "layer": "kocache"} for p in PLATFORMS}
    assert "up to date" in entry["status"]
    assert (entry["requests"], entry["digest"]) == (1, original.digest)

    # A registry lacks the blobs, so they are made again, with the same bytes.
    env = {"KO_DOCKER_REPO": f"{registry.host}/elsewhere"}
    run = other.publish("one:", env=env).ok()
    assert [p for p in run.processes if p.startswith("Compile")] == []
    assert published_on(registry.host, "elsewhere/one") == original


def test_two_runs_share_a_kocache(
    repo: Workspace, other: Workspace, registry: RealRegistry, tmp_path: Path
) -> None:
    names = [f"p{n}" for n in range(6)]
    files = {"shared/go.mod": go_mod("example.com/shared")}
    for name in names:
        files[f"shared/{name}/main.go"] = SMALL.replace("small", name)
        files[f"shared/{name}/BUILD"] = "go_oci_image()\n"
    for workspace in (repo, other):
        workspace.write(files)

    runs = [
        workspace.start(
            "publish",
            "shared::",
            env={"KOCACHE": str(tmp_path), "KO_DOCKER_REPO": f"{registry.host}/run{number}"},
        )
        for number, workspace in enumerate((repo, other))
    ]
    outputs = [run.communicate(timeout=200)[0].decode() for run in runs]

    assert [run.returncode for run in runs] == [0, 0], outputs
    for name in names:
        images = [published_on(registry.host, f"run{number}/{name}") for number in range(2)]
        assert images[0] == images[1]
        # No entry was lost: for each layer, maps and image agree.
        path = tmp_path / f"bin/example.com/shared/{name}/linux/amd64/diffid-to-descriptor"
        (diff_id,) = json.loads(path.read_text())
        assert diff_id == images[0].manifests[0].config["rootfs"]["diff_ids"][-1]
