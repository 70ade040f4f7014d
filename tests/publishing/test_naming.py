"""ko's four strategies for names: a table, and ko itself where it is installed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tarfile
from pathlib import Path
from typing import Dict

import pytest
from go_peers import find_go_peer
from kocache.test_with_ko import MANIFEST, registry_with_base
from oci.images import AMD64
from publishing.published_images import app

from ko_pants.errors import KoPantsError
from ko_pants.oci import media_types
from ko_pants.oci.archives import docker_archive_files
from ko_pants.oci.descriptor import Descriptor, sha256_digest
from ko_pants.oci.image import Image
from ko_pants.publishing.destinations import Destination, ImageNames, destinations
from ko_pants.publishing.image_refs import image_references
from ko_pants.publishing.naming import DEFAULT_REPOSITORY, STRATEGIES, default_repository
from ko_pants.publishing.placeholders import BuiltFacts, content_hash
from ko_pants.publishing.registries import ALL_DEFAULT_REGISTRIES, Registry

#: ko's flag for each strategy.
FLAGS = {
    "md5": [],
    "preserve-import-paths": ["--preserve-import-paths"],
    "base-import-paths": ["--base-import-paths"],
    "bare": ["--bare"],
}
IMAGE = ImageNames(
    target="cmd/App:image",
    name="image",
    path="cmd/App",
    repository="",
    registries=(ALL_DEFAULT_REGISTRIES,),
    tags=("latest",),
)


def name(
    naming: str, import_path: str, docker_repo: str = "registry.example.com/team", **names: object
) -> str:
    """The only reference of an image, without its tag."""
    (destination,) = destinations(
        ImageNames(**{**vars(IMAGE), **names}),
        (),
        default_repository=default_repository(naming, DEFAULT_REPOSITORY),
        docker_repo=docker_repo,
        layout="dist/oci",
        facts=BuiltFacts(import_path, "00"),
    )
    (reference,) = destination.names
    return reference[: -len(":latest")]


@pytest.mark.parametrize(
    ("naming", "import_path", "docker_repo", "expected"),
    [
        # The md5 is that of the import path in lower case.
        (
            "md5",
            "github.com/Google/go-containerregistry/cmd/crane",
            "registry.example.com/blah",
            "registry.example.com/blah/crane-5b4c7912e1f3680ea9ead8164184577f",
        ),
        ("md5", "example.com/hello", "h.io", "h.io/hello-124ec4359fcc3b362d8aa16b0f28dd36"),
        (
            "preserve-import-paths",
            "github.com/Google/go-containerregistry/cmd/crane",
            "registry.example.com/blah",
            "registry.example.com/blah/github.com/google/go-containerregistry/cmd/crane",
        ),
        ("preserve-import-paths", "example.com/hello", "h.io", "h.io/example.com/hello"),
        ("base-import-paths", "github.com/o/cmd/Crane", "h.io/a/b", "h.io/a/b/crane"),
        ("base-import-paths", "example.com/app/v2", "h.io/a", "h.io/a/v2"),
        ("bare", "github.com/o/cmd/crane", "h.io/a/b", "h.io/a/b"),
        ("bare", "github.com/o/cmd/crane", "team/app", "index.docker.io/team/app"),
        # As docker: one word on Docker Hub is an official image.
        ("bare", "github.com/o/cmd/crane", "app", "index.docker.io/library/app"),
    ],
)
def test_the_names_of_ko(naming: str, import_path: str, docker_repo: str, expected: str) -> None:
    assert name(naming, import_path, docker_repo) == expected


@pytest.mark.parametrize("naming", STRATEGIES)
def test_a_repository_of_the_target_wins(naming: str) -> None:
    assert name(naming, "example.com/x", repository="own") == "registry.example.com/team/own"


def test_placeholders_for_a_name_of_ones_own() -> None:
    assert name("", "example.com/cmd/X", repository="go/{base}") == "registry.example.com/team/go/x"


@pytest.mark.parametrize(
    ("naming", "option", "words"),
    [
        ("import-paths", DEFAULT_REPOSITORY, ["[ko].naming", "'import-paths'", *STRATEGIES]),
        ("md5", "shop/{name}", ["[ko].naming", "[ko].default_repository", "'shop/{name}'"]),
    ],
)
def test_a_mistake_in_the_options(naming: str, option: str, words: list[str]) -> None:
    with pytest.raises(KoPantsError) as e:
        default_repository(naming, option)
    for word in words:
        assert word in str(e.value)


def test_bare_needs_a_repository_from_somewhere() -> None:
    with pytest.raises(KoPantsError, match="a registry without a repository") as e:
        name("bare", "example.com/x", "registry.example.com")
    assert "KO_DOCKER_REPO" in str(e.value)
    with pytest.raises(KoPantsError, match=r"`bare`.*the OCI layout dist/oci"):
        name("bare", "example.com/x", "")
    named = Registry("r.example.com", alias="r", default=True)
    with pytest.raises(KoPantsError, match=r"cmd/App:image.*`bare`.*the registry r.example.com"):
        destinations(IMAGE, (named,), default_repository="", docker_repo="", layout="")


@pytest.mark.parametrize("naming", ["md5", "preserve-import-paths", "base-import-paths"])
def test_a_prebuilt_executable_has_no_import_path(naming: str) -> None:
    with pytest.raises(KoPantsError, match=r"cmd/App:image.*no.*`binary`") as e:
        name(naming, "")
    assert "`repository`" in str(e.value)


def test_a_hash_tells_contents_apart() -> None:
    assert content_hash(("sha256:a",)) != content_hash(("sha256:b",))
    assert len(content_hash(("sha256:a", "sha256:b"))) == 64


# With ko


@pytest.fixture(scope="module")
def ko_names(tmp_path_factory: pytest.TempPathFactory) -> Dict[str, str]:
    """What ko calls the image of one program, by strategy, below the host `registry`."""
    ko = find_go_peer("ko")
    directory = tmp_path_factory.mktemp("ko")
    program = directory / "cmd" / "App"
    program.mkdir(parents=True)
    (directory / "go.mod").write_text("module example.com/Team/tools\n\ngo 1.21\n")
    (program / "main.go").write_text("package main\n\nfunc main() {}\n")
    with registry_with_base(directory / "registry") as registry:
        return {
            naming: _ko(ko, directory, flags, registry.host).replace(
                registry.host, "registry.example.com"
            )
            for naming, flags in FLAGS.items()
        }


def _ko(ko: str, directory: Path, flags: list[str], host: str) -> str:
    return _run_ko(ko, directory, flags, host, "./cmd/App").partition("@")[0]


def _run_ko(ko: str, directory: Path, flags: list[str], host: str, package: str) -> str:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("KO", "GOFLAGS"))}
    return subprocess.run(
        [ko, "build", *flags, "--platform=linux/amd64", "--sbom=none", package],
        cwd=directory,
        env={
            **environment,
            "KO_DOCKER_REPO": f"{host}/team",
            "KO_DEFAULTBASEIMAGE": f"{host}/base@{sha256_digest(MANIFEST)}",
            "DOCKER_CONFIG": str(directory),
            "GOTOOLCHAIN": "local",
            "GOFLAGS": "-buildvcs=false",
        },
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout


@pytest.mark.parametrize("naming", STRATEGIES)
def test_ko_gives_the_same_name(naming: str, ko_names: Dict[str, str]) -> None:
    assert name(naming, "example.com/Team/tools/cmd/App") == ko_names[naming]


def test_ko_writes_the_same_references(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    ko = find_go_peer("ko")
    directory = tmp_path_factory.mktemp("refs")
    (directory / "go.mod").write_text("module example.com/app\n\ngo 1.21\n")
    (directory / "main.go").write_text("package main\n\nfunc main() {}\n")
    refs = tmp_path / "refs"
    with registry_with_base(directory / "registry") as registry:
        for tags in ("v1", "latest", "v1,v2"):
            flags = ["--bare", f"--image-refs={refs}", f"--tags={tags}"]
            printed = _run_ko(ko, directory, flags, registry.host, ".")
            digest = printed.strip().rpartition("@")[2]
            manifest = Descriptor(media_types.OCI_MANIFEST, digest, 1)
            destination = Destination("team", tuple(tags.split(",")), registry=registry.host)
            ours = image_references(Image((), b"", manifest), destination, tag_only=False)
            assert refs.read_text().splitlines() == list(ours)
        flags = ["--bare", "--tag-only", "--tags=v1"]
        printed = _run_ko(ko, directory, flags, registry.host, ".")
        destination = Destination("team", ("v1",), registry=registry.host)
        ours = image_references(Image((), b"", manifest), destination, tag_only=True)
        assert printed.splitlines() == list(ours)


@pytest.mark.parametrize("tags", [("v1",), ("v1", "v2")])
def test_ko_writes_the_same_kind_of_tar(
    tags: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    ko = find_go_peer("ko")
    directory = tmp_path_factory.mktemp("tar")
    (directory / "go.mod").write_text("module example.com/app\n\ngo 1.21\n")
    (directory / "main.go").write_text("package main\n\nfunc main() {}\n")
    archive = tmp_path / "ko.tar"
    with registry_with_base(directory / "registry") as registry:
        flags = ["--bare", "--push=false", f"--tarball={archive}", f"--tags={','.join(tags)}"]
        _run_ko(ko, directory, flags, registry.host, ".")
    with tarfile.open(archive) as tar:
        names = tar.getnames()
        (theirs,) = json.load(tar.extractfile("manifest.json"))  # type: ignore[arg-type]
    (manifest,) = app(tmp_path, platforms=[AMD64]).image.manifests
    repository = f"{registry.host}/team"
    files = docker_archive_files(manifest, [f"{repository}:{tag}" for tag in tags])
    (ours,) = json.loads(files[-1].content)
    assert ours["RepoTags"] == sorted(theirs["RepoTags"])
    assert set(ours) == set(theirs)

    def kinds(paths: list[str]) -> list[str]:
        return [re.sub(r"[0-9a-f]{64}", "", path) for path in paths]

    assert kinds([ours["Config"], *ours["Layers"]]) == kinds([theirs["Config"], *theirs["Layers"]])
    assert kinds([f.path for f in files]) == kinds(names)
