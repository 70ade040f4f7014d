"""`package` in the forms that have the bytes of all layers, read by skopeo where there is one."""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
from pants.core.goals.package import BuiltPackage
from pants.engine.addresses import Address
from pants.engine.fs import Digest, Snapshot
from pants.engine.target import InvalidFieldException
from pants.testutil.rule_runner import RuleRunner
from rules.engine_runner import configure, elf, error_of, new_runner

from ko_pants.goals.package import BuiltImageArtifact
from ko_pants.oci.descriptor import sha256_digest
from ko_pants.package_fields import GoOciImagePackageFormatsField
from ko_pants.target_types import GoOciImageFieldSet

ONE, TWO = ["linux/amd64"], ["linux/amd64", "linux/amd64/v3"]
ALL = ["oci-layout", "oci-archive", "docker-archive"]


@pytest.fixture(scope="module")
def engine() -> RuleRunner:
    return new_runner([(BuiltPackage, [GoOciImageFieldSet]), (Snapshot, [Digest])])


def field_set(
    runner: RuleRunner, fields: str, base: str = "scratch", tail: bytes = b""
) -> GoOciImageFieldSet:
    """The image of a prebuilt file that ends with `tail`."""
    runner.write_files(
        {
            "app/BUILD": (
                "file(name='server', source='server.bin')\n"
                f"go_oci_image(name='image', binary=':server', base_image={base!r}, {fields})\n"
            ),
            "app/server.bin": elf(62) + tail,
        }
    )
    return GoOciImageFieldSet.create(runner.get_target(Address("app", target_name="image")))


class Packaged:
    """What `package` wrote, on disk until it writes something else."""

    def __init__(self, runner: RuleRunner, fields: str, *options: str, **kwargs: Any) -> None:
        configure(runner, *options)
        package = runner.request(BuiltPackage, [field_set(runner, fields, **kwargs)])
        self.digest = package.digest
        (artifact,) = package.artifacts
        assert isinstance(artifact, BuiltImageArtifact)
        self.image_digest = artifact.image_digest
        snapshot = runner.request(Snapshot, [package.digest])
        self.files = [path[len("app/image.image/") :] for path in snapshot.files]
        place = Path(runner.build_root) / "out"
        shutil.rmtree(place, ignore_errors=True)
        runner.scheduler.write_digest(package.digest, path_prefix="out")
        self.root = place / "app" / "image.image"
        #: `image.json`
        self.summary: Any = json.loads((self.root / "image.json").read_text())

    def blobs(self, directory: Path) -> None:
        """All blobs of a layout have the right content."""
        for path in (directory / "blobs" / "sha256").iterdir():
            assert sha256_digest(path.read_bytes()) == f"sha256:{path.name}"


def digests(summary: Any) -> set[str]:
    """Every layer."""
    return {x["descriptor"]["digest"] for p in summary["platforms"] for x in p["layers"]}


def archive(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        members = tar.getmembers()
        assert {(m.mtime, m.uid, m.gid, m.uname, m.mode) for m in members} == {(0, 0, 0, "", 0o644)}
        return {m.name: tar.extractfile(m).read() for m in members}  # type: ignore[union-attr]


def inspect(reference: str, *flags: str) -> Any:
    if shutil.which("skopeo") is None:
        pytest.skip("skopeo is not installed")
    done = subprocess.run(["skopeo", "inspect", *flags, reference], capture_output=True, check=True)
    return json.loads(done.stdout)


def test_descriptors_alone_unless_more_is_wanted(engine: RuleRunner) -> None:
    package = Packaged(engine, f"platforms={ONE}")
    documents = {package.image_digest, package.summary["platforms"][0]["config"]["digest"]}
    assert package.files == [
        *sorted(f"blobs/sha256/{d.partition(':')[2]}" for d in documents),
        "image.json",
    ]


@pytest.mark.parametrize("platforms", [ONE, TWO])
def test_a_whole_layout(engine: RuleRunner, platforms: list[str]) -> None:
    package = Packaged(engine, f"platforms={platforms}, package_formats=['oci-layout']")
    package.blobs(package.root)
    names = {path.name for path in (package.root / "blobs" / "sha256").iterdir()}
    assert {d.partition(":")[2] for d in digests(package.summary)} < names
    (entry,) = json.loads((package.root / "index.json").read_text())["manifests"]
    assert entry["digest"] == package.image_digest
    assert entry["annotations"] == {"org.opencontainers.image.ref.name": "image:latest"}
    assert inspect(f"oci:{package.root}", "--raw")["schemaVersion"] == 2
    assert inspect(f"oci:{package.root}:image:latest")["Digest"].startswith("sha256:")


def test_a_layout_as_an_archive(engine: RuleRunner) -> None:
    package = Packaged(engine, f"platforms={TWO}, package_formats=['oci-archive']")
    files = archive(package.root / "oci.tar")
    (entry,) = json.loads(files["index.json"])["manifests"]
    assert entry["digest"] == package.image_digest
    for name, content in files.items():
        if name.startswith("blobs/"):
            assert sha256_digest(content) == f"sha256:{name.rpartition('/')[2]}"
    assert inspect(f"oci-archive:{package.root / 'oci.tar'}")["Architecture"] == "amd64"


@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
def test_an_archive_for_docker(engine: RuleRunner, compression: str) -> None:
    fields = f"platforms={ONE}, package_formats=['docker-archive'], image_tags=['v1', 'v2']"
    option = f"--ko-layer-compression={compression}"
    package = Packaged(engine, fields, option, "--ko-docker-repo=registry.example.com/a")
    path = package.root / "docker.tar"
    files = archive(path)
    (image,) = json.loads(files["manifest.json"])
    assert image["RepoTags"] == [
        "registry.example.com/a/image:v1",
        "registry.example.com/a/image:v2",
    ]
    assert sha256_digest(files[image["Config"]]) == image["Config"]
    assert len(image["Layers"]) == 2
    ending = {"gzip": ".tar.gz", "zstd": ".tar.zst", "none": ".tar"}[compression]
    for name in image["Layers"]:
        assert sha256_digest(files[name]) == f"sha256:{name[: -len(ending)]}"
    found = inspect(f"docker-archive:{path}:registry.example.com/a/image:v2")
    config = json.loads(files[image["Config"]])
    assert found["Layers"] == config["rootfs"]["diff_ids"]


def test_an_archive_for_docker_has_one_platform(engine: RuleRunner) -> None:
    package = Packaged(engine, f"platforms={TWO}, package_formats=['docker-archive']")
    tars = ["docker-linux-amd64-v3.tar", "docker-linux-amd64.tar"]
    assert [name for name in package.files if name.endswith(".tar")] == tars
    configs = {p["config"]["digest"] for p in package.summary["platforms"]}
    found = {json.loads(archive(package.root / t)["manifest.json"])[0]["Config"] for t in tars}
    assert found == configs


def test_the_bytes_of_a_base_and_an_alias_for_its_registry(engine: RuleRunner) -> None:
    fields = f"platforms={ONE}, package_formats=['oci-layout']"
    base = Packaged(engine, fields, tail=b"of the base")
    layout = Path(engine.build_root) / "base"
    shutil.rmtree(layout, ignore_errors=True)
    shutil.copytree(base.root, layout)
    package = Packaged(
        engine,
        f"platforms={ONE}, package_formats={ALL}, registries=['@prod']",
        "--ko-registries={'prod': {'address': 'r.example.com', 'use_local_alias': True}}",
        base="oci:base",
    )
    package.blobs(package.root)
    assert digests(base.summary) < digests(package.summary)
    (image,) = json.loads(archive(package.root / "docker.tar")["manifest.json"])
    assert image["RepoTags"] == ["r.example.com/image:latest", "prod/image:latest"]
    # The base is an image of ours, so the empty kodata layer is there twice.
    assert len(image["Layers"]) == 4
    assert len(set(image["Layers"])) == 3
    assert len(inspect(f"docker-archive:{package.root / 'docker.tar'}")["Layers"]) == 4
    assert len(inspect(f"oci:{package.root}")["Layers"]) == 4


def test_the_same_image_is_the_same_bytes(engine: RuleRunner) -> None:
    one = new_runner([(BuiltPackage, [GoOciImageFieldSet]), (Snapshot, [Digest])])
    fields = f"platforms={TWO}, package_formats={ALL}"
    assert Packaged(engine, fields).digest == Packaged(one, fields).digest


def test_formats_of_the_option_are_added(engine: RuleRunner) -> None:
    fields = f"platforms={ONE}, package_formats=['oci-layout']"
    package = Packaged(engine, fields, "--ko-package-formats=docker-archive,oci-archive")
    assert {"docker.tar", "oci.tar", "oci-layout"} < set(package.files)


def test_a_format_that_does_not_exist(engine: RuleRunner) -> None:
    address = Address("app", target_name="image")
    with pytest.raises(InvalidFieldException) as e:
        GoOciImagePackageFormatsField(["tarball"], address)
    for word in ("app:image", "`package_formats`", "'tarball'", *ALL):
        assert word in str(e.value)
    configure(engine, "--ko-package-formats=tarball")
    text = error_of(engine, BuiltPackage, [field_set(engine, f"platforms={ONE}")])
    assert text.startswith("option [ko].package_formats: there is no format 'tarball'")
