"""What the SBOMs of an image list, held against `go version -m` and against the image itself."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from golang.trees import find_go
from integration.go_proxy import GoProxy
from integration.workspace import SMALL, go_mod
from pants.engine.addresses import Address
from pants.testutil.rule_runner import RuleRunner
from rules.engine_runner import configure, elf, new_runner
from rules.test_image import write_base

from ko_pants.oci import media_types as mt
from ko_pants.oci.descriptor import sha256_digest
from ko_pants.oci.platform import Platform
from ko_pants.products import (
    BuiltImage,
    GoExecutable,
    ImageArtifacts,
    ImageArtifactsRequest,
    WantedArtifacts,
)
from ko_pants.target_types import GoOciImageFieldSet

AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")
BOTH = ["linux/amd64", "linux/arm64"]
ALL = WantedArtifacts(("cyclonedx", "spdx"), provenance=True)
TWO = """package main

import (
	"example.com/x"
	"example.com/y"
)

func main() {
	println(x.X, y.Y)
}
"""
FILES = {
    "go.mod": go_mod(
        "example.com/app",
        "",
        "require example.com/x v1.2.3",
        "require example.com/y v0.1.0",
        "",
        "replace example.com/y => ./y",
    ),
    "y/go.mod": go_mod("example.com/y"),
    "y/y.go": "package y\n\nconst Y = 1\n",
    "one/main.go": SMALL,
    "one/kodata/index.html": "<p>hello\n",
    "one/kodata/deep/a.txt": "a\n",
    "two/main.go": TWO,
    "one/BUILD": (
        "go_executable(name='two', main='../two')\n"
        "oci_files(name='conf', sources=['conf/*'], at='/etc/app', strip_prefix='conf')\n"
        f"go_oci_image(name='image', binaries=[':two'], files=[':conf'], platforms={BOTH!r}, "
        "base_image='oci:base')\n"
    ),
    "one/conf/app.conf": "answer = 42\n",
}


@pytest.fixture(scope="module")
def go() -> str:
    return find_go()


@pytest.fixture(scope="module")
def runner(go: str, tmp_path_factory: pytest.TempPathFactory) -> RuleRunner:
    """A build root with an image of two programs, files and a base, for two platforms."""
    runner = new_runner(
        [(BuiltImage, [GoOciImageFieldSet]), (ImageArtifacts, [ImageArtifactsRequest])]
    )
    proxy = GoProxy(tmp_path_factory.mktemp("proxy"))
    proxy.add("example.com/x", "v1.2.3", {"x.go": "package x\n\nconst X = 1\n"})
    runner.write_files(FILES)
    proxy.go("mod", "tidy", cwd=Path(runner.build_root), cache=tmp_path_factory.mktemp("go"))
    write_base(runner, AMD64, ARM64)
    configure(
        runner,
        f"--ko-go-search-paths={[os.path.dirname(go)]}",
        **proxy.env,
        SOURCE_DATE_EPOCH="1700000000",
    )
    return runner


@pytest.fixture(scope="module")
def built(runner: RuleRunner) -> BuiltImage:
    target = runner.get_target(Address("one", target_name="image"))
    return runner.request(BuiltImage, [GoOciImageFieldSet.create(target)])


@pytest.fixture(scope="module")
def documents(runner: RuleRunner, built: BuiltImage) -> dict[tuple[str, str], Any]:
    """The documents, by kind and platform."""
    found = runner.request(ImageArtifacts, [ImageArtifactsRequest(built, ALL)])
    return {(a.kind, a.platform): json.loads(a.content) for a in found.artifacts}


def version_m(go: str, runner: RuleRunner, executable: GoExecutable) -> set[tuple[str, str]]:
    """Path and version of each module, as `go version -m` prints them; replaced ones left out."""
    place = f"executables/{executable.platform}/{executable.app_name}"
    runner.scheduler.write_digest(executable.digest, path_prefix=place)
    path = Path(runner.build_root) / place / executable.path
    done = subprocess.run([go, "version", "-m", path], capture_output=True, text=True, check=True)
    found: list[tuple[str, str]] = []
    for line in done.stdout.splitlines():
        kind, *columns = line.split("\t")[1:] or [""]
        if kind == "=>":
            found.pop()
        if kind in ("mod", "dep", "=>"):
            found.append((columns[0], columns[1]))
    return set(found)


def packages(document: Any, purpose: str) -> list[Any]:
    """The packages of an SPDX document that are there for something."""
    return [p for p in document["packages"] if p.get("primaryPackagePurpose") == purpose]


def sums(found: list[Any]) -> dict[str, str]:
    """The digest of each package by its name."""
    return {p["name"]: f"sha256:{p['checksums'][0]['checksumValue']}" for p in found}


@pytest.mark.parametrize("number", [0, 1])
def test_modules_are_those_of_go_version(
    go: str,
    runner: RuleRunner,
    built: BuiltImage,
    documents: dict[tuple[str, str], Any],
    number: int,
) -> None:
    part = built.platforms[number]
    expected = {m for e in part.executables for m in version_m(go, runner, e)}
    assert {name for name, _ in expected} == {"example.com/app", "example.com/x", "./y"}
    spdx = packages(documents["spdx", str(part.platform)], "LIBRARY")
    assert {(p["name"], p.get("versionInfo", "")) for p in spdx if p["name"] != "stdlib"} == (
        expected
    )
    components = documents["cyclonedx", str(part.platform)]["components"]
    purls = {c["purl"] for c in components if c.get("purl", "").startswith("pkg:golang/")}
    assert "pkg:golang/example.com/x@v1.2.3" in purls


def test_programs_and_files_have_the_digests_of_what_is_in_the_image(
    built: BuiltImage, documents: dict[tuple[str, str], Any]
) -> None:
    for part in built.platforms:
        document = documents["spdx", str(part.platform)]
        assert sums(packages(document, "APPLICATION")) == {
            f"/ko-app/{e.app_name}": e.file_digest for e in part.executables
        }
        assert sums(packages(document, "FILE")) == {
            path: sha256_digest(FILES[source].encode())
            for path, source in (
                ("/etc/app/app.conf", "one/conf/app.conf"),
                ("/var/run/ko/index.html", "one/kodata/index.html"),
                ("/var/run/ko/deep/a.txt", "one/kodata/deep/a.txt"),
            )
        }


def test_layers_are_those_of_the_manifest(
    built: BuiltImage, documents: dict[tuple[str, str], Any]
) -> None:
    for manifest in built.image.manifests:
        layers = packages(documents["spdx", str(manifest.platform)], "ARCHIVE")
        assert [p["name"] for p in layers] == [x.descriptor.digest for x in manifest.layers]
        comments = [p["comment"] for p in layers]
        for comment, layer in zip(comments, manifest.layers):
            assert layer.diff_id in comment
            assert layer.kind in comment
        assert "ko build ko://example.com/app/one" in comments[-1]
        assert "ko build ko://example.com/app/two" in comments[-2]


def test_the_base_is_recorded(built: BuiltImage, documents: dict[tuple[str, str], Any]) -> None:
    for manifest, of_base in zip(built.image.manifests, built.base.manifests):
        (base,) = (
            p
            for p in packages(documents["spdx", str(manifest.platform)], "CONTAINER")
            if p["name"] == "oci:base"
        )
        assert sums([base]) == {"oci:base": of_base.digest}
        assert built.base.digest in base["comment"]


def test_each_platform_and_the_index_is_a_subject(runner: RuleRunner, built: BuiltImage) -> None:
    found = runner.request(ImageArtifacts, [ImageArtifactsRequest(built, ALL)]).artifacts
    kinds = ["cyclonedx", "spdx", "provenance"]
    image = built.image
    subjects = [*(m.descriptor for m in image.manifests), image.descriptor]
    assert [(a.kind, a.subject.digest) for a in found] == [
        (kind, subject.digest) for subject in subjects for kind in kinds
    ]
    assert [a.platform for a in found[::3]] == [*BOTH, ""]
    for artifact in found:
        manifest = json.loads(artifact.manifest)
        assert manifest["subject"]["digest"] == artifact.subject.digest
        assert manifest["artifactType"] == manifest["layers"][0]["mediaType"]
        assert "platform" not in manifest["subject"]


def test_the_time_is_source_date_epoch(documents: dict[tuple[str, str], Any]) -> None:
    for (kind, _), document in documents.items():
        if kind == "spdx":
            assert document["creationInfo"]["created"] == "2023-11-14T22:13:20Z"


def image_of(runner: RuleRunner, fields: str, base: str = "scratch") -> BuiltImage:
    """The image of a prebuilt file that is no Go program."""
    runner.write_files(
        {
            "prebuilt/BUILD": (
                "file(name='server', source='server.bin')\n"
                f"go_oci_image(name='image', binary=':server', base_image={base!r}, {fields})\n"
            ),
            "prebuilt/server.bin": elf(62),
        }
    )
    target = runner.get_target(Address("prebuilt", target_name="image"))
    return runner.request(BuiltImage, [GoOciImageFieldSet.create(target)])


def test_a_program_without_build_info_says_so(runner: RuleRunner) -> None:
    built = image_of(runner, "platforms=['linux/amd64'], kodata=False")
    (artifact,) = runner.request(
        ImageArtifacts, [ImageArtifactsRequest(built, WantedArtifacts(("spdx",)))]
    ).artifacts
    document = json.loads(artifact.content)
    (program,) = packages(document, "APPLICATION")
    assert program["name"] == "/ko-app/server.bin"
    assert sums([program]) == {"/ko-app/server.bin": sha256_digest(elf(62))}
    assert "has no Go build info" in program["comment"]
    assert packages(document, "LIBRARY") == []
    # A single image has no index, and scratch is no base.
    assert artifact.subject.digest == built.image.descriptor.digest
    assert len(packages(document, "CONTAINER")) == 1


def test_an_image_of_dockers_media_types(runner: RuleRunner) -> None:
    write_base(runner, AMD64, name="docker", docker=True)
    built = image_of(runner, "platforms=['linux/amd64']", base="oci:docker")
    (artifact,) = runner.request(
        ImageArtifacts, [ImageArtifactsRequest(built, WantedArtifacts(("spdx",)))]
    ).artifacts
    subject = json.loads(artifact.manifest)["subject"]
    assert subject["mediaType"] == mt.DOCKER_MANIFEST
    assert subject["digest"] == built.image.descriptor.digest
    layers = packages(json.loads(artifact.content), "ARCHIVE")
    assert len(layers) == len(built.image.manifests[0].layers) == 2


def test_delve_is_a_program_of_the_image(runner: RuleRunner) -> None:
    fields = "debug=True, delve=':server', linux_capabilities=['net_bind_service=ep']"
    built = image_of(runner, f"platforms=['linux/amd64'], {fields}")
    (artifact,) = runner.request(
        ImageArtifacts, [ImageArtifactsRequest(built, WantedArtifacts(("spdx",)))]
    ).artifacts
    document = json.loads(artifact.content)
    programs = packages(document, "APPLICATION")
    assert [p["name"] for p in programs] == ["/ko-app/server.bin", "/ko-app/dlv"]
    layers = [layer.descriptor.digest for layer in built.image.manifests[0].layers]
    assert [p["name"] for p in packages(document, "ARCHIVE")] == layers


def test_levels_of_a_cpu_are_platforms_of_their_own(runner: RuleRunner) -> None:
    levels = ["linux/amd64", "linux/amd64/v3"]
    built = image_of(runner, f"platforms={levels!r}")
    found = runner.request(
        ImageArtifacts, [ImageArtifactsRequest(built, WantedArtifacts(provenance=True))]
    ).artifacts
    assert [a.platform for a in found] == [*levels, ""]
    assert len({a.subject.digest for a in found}) == 3


def test_other_checkouts_have_the_same_bytes(
    go: str, runner: RuleRunner, built: BuiltImage
) -> None:
    """A prebuilt program, whose build info Go reads from a file of the sandbox."""
    here = runner.request(
        ImageArtifacts, [ImageArtifactsRequest(image_of(runner, "platforms=['linux/amd64']"), ALL)]
    )
    other = new_runner(
        [(BuiltImage, [GoOciImageFieldSet]), (ImageArtifacts, [ImageArtifactsRequest])]
    )
    configure(
        other, f"--ko-go-search-paths={[os.path.dirname(go)]}", SOURCE_DATE_EPOCH="1700000000"
    )
    there = other.request(
        ImageArtifacts, [ImageArtifactsRequest(image_of(other, "platforms=['linux/amd64']"), ALL)]
    )
    configure(runner)
    assert there == here
