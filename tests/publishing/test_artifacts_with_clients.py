"""What other programs see of artifacts, on real registries and in a layout."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator

import pytest
from go_peers import find_go_peer
from oci.images import AMD64
from publishing.publish_runs import Run, artifacts_of, silent
from publishing.published_images import App, app
from real_registry import docker_registry
from referrers_registry import build_registry, referrers_registry

from ko_pants.artifacts.formats import REFERRERS, TAGS
from ko_pants.daemon_memory import BoundedMemory
from ko_pants.oci.descriptor import Descriptor
from ko_pants.oci.reference import Reference
from ko_pants.publishing.attaching import Attaching
from ko_pants.publishing.destinations import Destination
from ko_pants.publishing.run import PublishRun
from ko_pants.publishing.tagging import confirmed
from ko_pants.registry.client import RegistryClient, RegistryConfig

REGISTRIES = ["distribution 2", "distribution 3", "with the referrers API"]
KINDS = ("spdx", "cyclonedx", "provenance")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_registry(tmp_path_factory.mktemp("registry"))


@contextmanager
def _started(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    if kind.startswith("distribution"):
        with docker_registry(tmp_path, major=int(kind[-1])) as registry:
            yield registry.host
        return
    with referrers_registry(request.getfixturevalue("program"), tmp_path) as host:
        yield host


def _publish(
    root: Path,
    host: str,
    image: App,
    *kinds: str,
    attach_as: str = REFERRERS,
    tag: str = "v1",
) -> Attaching | None:
    """One run with a client that waits in earnest; without kinds, SBOMs are off."""
    run = PublishRun(
        RegistryClient(RegistryConfig({})),
        layout_root=str(root),
        memory=BoundedMemory(name="test", bound=9, holds="nothing"),
    )
    destination = Destination("app", (tag,), registry=host)
    publication = run.publication("//:app", image.image, image.base, destination)
    found = run.checks.finish(run.checks.begin(publication))
    attaching = None
    if kinds:
        store = publication.store.artifacts
        assert store is not None
        artifacts = artifacts_of(image.image, *kinds)
        attaching = Attaching(publication, artifacts, attach_as, store)
        if found.present:
            attaching.look()
    files = {digest: image.files[digest] for digest in found.missing_layers}
    upload = run.uploads.begin(found, files, attaching)
    assert list(run.move_tags([upload], silent)) == [""]
    assert confirmed(upload) == ""
    return attaching


def _subjects(image: App) -> list[Descriptor]:
    return [image.image.descriptor, *(child.descriptor for child in image.image.children)]


def _discover(*arguments: str) -> dict[str, str]:
    """The artifacts that oras finds: type by digest."""
    done = subprocess.run(
        [find_go_peer("oras"), "discover", "--format", "json", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    return {entry["digest"]: entry["artifactType"] for entry in found.get("referrers") or ()}


def _expected(image: App, subject: Descriptor) -> dict[str, str]:
    return {
        artifact.descriptor.digest: artifact.artifact_type
        for artifact in artifacts_of(image.image, *KINDS)
        if artifact.subject.digest == subject.digest
    }


def _skopeo(*arguments: str) -> Any:
    if shutil.which("skopeo") is None:
        pytest.skip("skopeo is not installed")
    done = subprocess.run(["skopeo", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("kind", REGISTRIES)
def test_oras_and_skopeo_see_them(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    image = app(tmp_path)
    with _started(kind, tmp_path, request) as host:
        _publish(tmp_path, host, image, *KINDS)
        for subject in _subjects(image):
            found = _discover("--plain-http", f"{host}/app@{subject.digest}")
            expected = _expected(image, subject)
            if kind.startswith("with"):
                # It tells the type of the config, and not that of the artifact.
                expected = dict.fromkeys(expected, "application/vnd.oci.empty.v1+json")
            assert found == expected
        artifact = artifacts_of(image.image, "spdx")[0]
        place = f"docker://{host}/app@{artifact.descriptor.digest}"
        manifest = _skopeo("inspect", "--raw", "--tls-verify=false", place)
        assert manifest == json.loads(artifact.manifest)
        tags = _skopeo("list-tags", "--tls-verify=false", f"docker://{host}/app")["Tags"]
        fallbacks = sorted(subject.digest.replace(":", "-") for subject in _subjects(image))
        # A registry with the API has no tags for them.
        assert sorted(tags) == ([*fallbacks, "v1"] if kind.startswith("d") else ["v1"])


@pytest.mark.parametrize("kind", REGISTRIES)
def test_nothing_is_sent_again(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    image = app(tmp_path)
    with _started(kind, tmp_path, request) as host:
        _publish(tmp_path, host, image)
        for kinds, lacking in ((KINDS[:1], 3), (KINDS, 6), (KINDS, 0)):
            attaching = _publish(tmp_path, host, image, *kinds)
            assert attaching is not None
            assert len(attaching.lacking or ()) == lacking
            assert len(attaching.done()) == 3 * len(kinds)


def test_what_oras_attaches_and_what_this_attaches_live_together(tmp_path: Path) -> None:
    image = app(tmp_path, platforms=(AMD64,))
    (tmp_path / "note").write_text("by oras")
    with docker_registry(tmp_path) as registry:
        _publish(tmp_path, registry.host, image)
        place = f"{registry.host}/app@{image.digest}"
        for n in range(2):
            subprocess.run(
                [
                    *(find_go_peer("oras"), "attach", "--plain-http", "--artifact-type"),
                    *(f"application/x.{n}", place, "note:text/plain"),
                ],
                cwd=tmp_path,
                check=True,
                capture_output=True,
            )
            _publish(tmp_path, registry.host, image, *KINDS[: n + 1])
        kinds = ("x.0", "x.1", "spdx+json", "cyclonedx+json")
        found = _discover("--plain-http", place).values()
        assert sorted(found) == sorted(f"application/{name}" for name in kinds)


def test_kos_tags_are_tags(tmp_path: Path) -> None:
    image = app(tmp_path)
    with docker_registry(tmp_path) as registry:
        _publish(tmp_path, registry.host, image, "spdx", attach_as=TAGS)
        tags = _skopeo("list-tags", "--tls-verify=false", f"docker://{registry.host}/app")["Tags"]
        names = [subject.digest.replace(":", "-") + ".sbom" for subject in _subjects(image)]
        assert sorted(tags) == sorted([*names, "v1"])
        manifest = _skopeo(
            *("inspect", "--raw", "--tls-verify=false", f"docker://{registry.host}/app:{names[0]}")
        )
        assert [layer["mediaType"] for layer in manifest["layers"]] == ["text/spdx+json"]
        for subject in _subjects(image):
            done = subprocess.run(
                [
                    *(find_go_peer("cosign"), "download", "sbom", "--allow-http-registry"),
                    f"{registry.host}/app@{subject.digest}",
                ],
                capture_output=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            assert json.loads(done.stdout) == {"spdx": subject.digest}


def test_oras_and_skopeo_read_the_layout(tmp_path: Path) -> None:
    image, other = app(tmp_path), app(tmp_path, "other")
    run = Run(tmp_path)
    assert run.commit(run.attach(image), run.attach(other, repository="other")) == {}
    path = str(tmp_path / "dist/oci")
    # oras takes what follows the last colon for the name, and names here have one of their own.
    name = f"{path}@{image.digest}"
    assert _discover("--oci-layout", name) == _expected(image, image.image.descriptor)
    for child in image.image.children:
        # oras finds no child of an index by its digest, as the layout has no entry for it.
        named = ("--platform", str(child.platform), name)
        assert _discover("--oci-layout", *named) == _expected(image, child.descriptor)
    index = _skopeo("inspect", "--raw", f"oci:{path}:app:v1")
    assert [entry["digest"] for entry in index["manifests"]] == [
        child.descriptor.digest for child in image.image.children
    ]


def _attach_in_child(root: Path, host: str, image: App, kind: str) -> None:
    _publish(root, host, image, kind)


def test_two_publishers_of_one_image_lose_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    with docker_registry(tmp_path) as registry:
        client = RegistryClient(RegistryConfig({}))
        place = Reference(registry.host, "app")
        for round_number in range(6):
            image = app(tmp_path, f"app{round_number}")
            _publish(tmp_path, registry.host, image, tag=f"v{round_number}")
            children = [
                context.Process(
                    target=_attach_in_child, args=(tmp_path, registry.host, image, kind)
                )
                for kind in ("spdx", "cyclonedx", "provenance")
            ]
            for child in children:
                child.start()
            for child in children:
                child.join(60)
                assert child.exitcode == 0
            for subject in _subjects(image):
                found = client.session().referrers(place.with_digest(subject.digest))
                assert len(found) == 3


_KILLED = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = {path!r}
from publishing import test_artifacts_with_clients as test
from publishing.published_images import app
from ko_pants.publishing import artifact_stores

stop = artifact_stores.RegistryArtifacts.{method}

def die(self, *arguments):
    if {after}:
        stop(self, *arguments)
    os.kill(os.getpid(), signal.SIGKILL)

artifact_stores.RegistryArtifacts.{method} = die
root = Path({root!r})
test._publish(root, {host!r}, app(root), *test.KINDS)
"""


@pytest.mark.parametrize(
    ("method", "after"), [("put_blob", True), ("put", True), ("enlist", False), ("enlist", True)]
)
def test_a_kill_between_image_and_artifacts(tmp_path: Path, method: str, after: bool) -> None:
    """The image has no tag then, and the next run brings what is missing."""
    image = app(tmp_path)
    with docker_registry(tmp_path) as registry:
        code = _KILLED.format(
            path=sys.path,
            root=str(tmp_path),
            host=registry.host,
            method=method,
            after=after,
        )
        done = subprocess.run([sys.executable, "-c", code], check=False, env=dict(os.environ))
        assert done.returncode == -signal.SIGKILL
        place = Reference(registry.host, "app")
        session = RegistryClient(RegistryConfig({})).session()
        assert session.head_manifest(place.with_tag("v1")) is None
        _publish(tmp_path, registry.host, image, *KINDS)
        assert session.head_manifest(place.with_tag("v1")) is not None
        for subject in _subjects(image):
            assert len(session.referrers(place.with_digest(subject.digest))) == 3
