"""Artifacts go up beside the image and before its tags, and only where they are missing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Iterator

import pytest
from fault_registry import FaultRegistry, Seen, fault_registry
from oci.images import AMD64
from publishing.publish_runs import Run, artifacts_of
from publishing.published_images import TWO, App, app
from registry_support import client_for

from ko_pants.artifacts.artifact import EMPTY_DESCRIPTOR
from ko_pants.artifacts.formats import TAGS
from ko_pants.oci.descriptor import Descriptor
from ko_pants.oci.layout import Layout, find_in_layout
from ko_pants.oci.platform import Platform
from ko_pants.oci.reference import Reference
from ko_pants.publishing.uploading import PendingUpload

KINDS = ("spdx", "cyclonedx", "provenance")
# Of two platforms and the index.
ALL = 9


@pytest.fixture
def registry() -> Iterator[FaultRegistry]:
    with fault_registry() as registry:
        yield registry


def _outcomes(upload: PendingUpload) -> list[str]:
    assert upload.attaching is not None
    return [done.outcome for done in upload.attaching.done().values()]


def _subjects(image: App) -> list[Descriptor]:
    return [image.image.descriptor, *(child.descriptor for child in image.image.children)]


def _listed(run: Run, image: App, repository: str = "app") -> list[int]:
    """How many referrers a client finds for each subject."""
    assert run.registry is not None
    session, place = client_for({}).session(), Reference(run.registry.host, repository)
    return [len(session.referrers(place.with_digest(s.digest))) for s in _subjects(image)]


@pytest.mark.parametrize("oci_subject", [True, False])
@pytest.mark.parametrize("api", [True, False])
@pytest.mark.parametrize("platforms", [(AMD64,), TWO])
def test_each_subject_has_its_artifacts(
    registry: FaultRegistry,
    tmp_path: Path,
    platforms: tuple[Platform, ...],
    api: bool,
    oci_subject: bool,
) -> None:
    registry.referrers_api, registry.oci_subject = api, oci_subject
    image = app(tmp_path, platforms=platforms)
    run = Run(tmp_path, registry)
    upload = run.attach(image)
    assert run.commit(upload) == {}
    # It counts its requests.
    assert upload.publication.store.requests == len(registry.seen)
    subjects = len(image.image.children) + 1
    assert _listed(run, image) == [3] * subjects
    assert _outcomes(upload) == ["uploaded"] * 3 * subjects


def test_artifacts_are_there_before_the_tags_and_after_the_blobs_of_the_image(
    registry: FaultRegistry, tmp_path: Path
) -> None:
    run, image = Run(tmp_path, registry), app(tmp_path)
    artifacts = {a.descriptor.digest for a in artifacts_of(image.image, *KINDS)}
    early: list[str] = []

    def look(seen: Seen) -> None:
        blobs = image.image.blobs()
        if seen.endpoint == "PUT manifest" and seen.path.rpartition("/")[2] in artifacts:
            early.extend(d for d in blobs if ("app", d) not in registry.blobs)

    registry.on_request = look
    assert run.commit(run.attach(image)) == {}
    puts = [s.path.rpartition("/")[2] for s in registry.seen if s.endpoint.startswith("PUT m")]
    children = {child.descriptor.digest for child in image.image.children}
    assert set(puts) == children | artifacts
    assert early == []
    assert registry.seen[-1].endpoint == "PUT tag"


def test_no_artifact_of_an_image_that_cannot_be_uploaded(
    registry: FaultRegistry, tmp_path: Path
) -> None:
    run, image = Run(tmp_path, registry), app(tmp_path)
    found = run.check(image)
    upload = run.attach(image)
    assert found.missing
    run.commit(upload)
    registry.manifests.clear()
    registry.tags.clear()
    for digest in image.image.blobs():
        del registry.blobs["app", digest]
    run = Run(tmp_path, registry)
    registry.fail("PUT upload", "403", None, "DENIED")
    assert run.commit(run.attach(image))[0].startswith("not tagged: ")
    assert registry.manifests == {}


def test_artifacts_of_a_platform_that_did_not_change_are_asked_for(
    registry: FaultRegistry, tmp_path: Path
) -> None:
    image = app(tmp_path)
    run = Run(tmp_path, registry)
    assert run.commit(run.attach(image)) == {}
    # Another index over the same platforms would find them too.
    del registry.tags["app", "v1"]
    del registry.manifests["app", image.digest]
    upload = Run(tmp_path, registry).attach(image)
    assert run.commit(upload) == {}
    # Those of the index are taken for missing.
    assert sorted(_outcomes(upload)) == ["reused"] * 6 + ["uploaded"] * 3


def test_the_requests_of_a_first_publish(registry: FaultRegistry, tmp_path: Path) -> None:
    plain, image = Run(tmp_path, registry), app(tmp_path)
    before = plain.publish(image, "plain").requests
    run = Run(tmp_path, registry)
    upload = run.attach(image, repository="app")
    assert run.commit(upload) == {}
    # For each: two for its content, one for its manifest. The empty blob: HEAD, POST, PUT.
    assert upload.publication.store.requests <= before + 3 * ALL + 3
    assert registry.commits[EMPTY_DESCRIPTOR.digest] == 1


def test_the_requests_of_a_first_publish_without_the_api(
    registry: FaultRegistry, tmp_path: Path
) -> None:
    run, image = Run(tmp_path, registry), app(tmp_path)
    upload = run.attach(image, repository="with-api")
    assert run.commit(upload) == {}
    before = upload.publication.store.requests
    registry.referrers_api = False
    run = Run(tmp_path, registry)
    upload = run.attach(image)
    assert run.commit(upload) == {}
    # The question for the API, and three for each subject: list, update, look.
    assert upload.publication.store.requests <= before + 1 + 3 * 3
    assert registry.count("referrers") == 1


def test_an_up_to_date_image_with_artifacts_costs_one_request(
    registry: FaultRegistry, tmp_path: Path
) -> None:
    run, image = Run(tmp_path, registry), app(tmp_path)
    assert run.commit(run.attach(image)) == {}
    assert Run(tmp_path, registry).publish(image).requests == 1


@pytest.mark.parametrize("api", [True, False])
def test_a_look_at_an_image_that_is_there(
    registry: FaultRegistry, tmp_path: Path, api: bool
) -> None:
    registry.referrers_api = api
    image = app(tmp_path)
    first = Run(tmp_path, registry)
    assert first.commit(first.attach(image)) == {}
    upload = Run(tmp_path, registry).attach(image)
    assert upload.attaching is not None
    assert upload.attaching.lacking == frozenset()
    assert set(_outcomes(upload)) == {"reused"}
    # The tag, each artifact, the API; without it the list of each subject, and once the root.
    assert upload.publication.store.requests <= 1 + ALL + 1 + (0 if api else 3 + 1)


@pytest.mark.parametrize("api", [True, False])
def test_what_is_missing_of_an_image_that_is_there_is_attached(
    registry: FaultRegistry, tmp_path: Path, api: bool
) -> None:
    registry.referrers_api = api
    image = app(tmp_path)
    Run(tmp_path, registry).publish(image)
    some = Run(tmp_path, registry)
    assert some.commit(some.attach(image, ["spdx"])) == {}
    run = Run(tmp_path, registry)
    upload = run.attach(image)
    assert upload.found.up_to_date
    assert upload.attaching is not None
    assert len(upload.attaching.lacking or ()) == 6
    puts = registry.count("PUT tag")
    assert run.commit(upload) == {}
    assert _listed(run, image) == [3, 3, 3]
    assert sorted(_outcomes(upload)) == ["reused"] * 3 + ["uploaded"] * 6
    # Nobody touches the tag of the image.
    assert registry.count("PUT tag") - puts == (0 if api else 3)


def test_an_api_that_answers_with_garbage_is_none(registry: FaultRegistry, tmp_path: Path) -> None:
    registry.oci_subject = False
    registry.fail("referrers", "garbage", count=None)
    run, image = Run(tmp_path, registry), app(tmp_path)
    assert run.commit(run.attach(image)) == {}
    assert _listed(run, image) == [3, 3, 3]
    assert {("app", s.digest.replace(":", "-")) for s in _subjects(image)} < set(registry.tags)


def test_no_tag_moves_if_the_lists_are_refused(registry: FaultRegistry, tmp_path: Path) -> None:
    registry.referrers_api = False
    run, image = Run(tmp_path, registry), app(tmp_path)
    upload = run.attach(image)
    registry.fail("PUT tag", "403", count=None)
    failure = run.commit(upload)[0]
    assert failure.startswith("not tagged: //:app: its artifacts, in the list of referrers, cannot")
    assert f"be attached at {registry.host}/app: " in failure
    assert ("app", "v1") not in registry.tags


def test_an_artifact_that_no_list_has_is_missing(registry: FaultRegistry, tmp_path: Path) -> None:
    registry.referrers_api = False
    image = app(tmp_path)
    first = Run(tmp_path, registry)
    assert first.commit(first.attach(image)) == {}
    # As after a kill between the manifests and the lists.
    for key in [key for key in registry.tags if key[1].startswith("sha256-")]:
        del registry.tags[key]
    run = Run(tmp_path, registry)
    upload = run.attach(image)
    assert upload.attaching is not None
    assert len(upload.attaching.lacking or ()) == ALL
    assert run.commit(upload) == {}
    assert set(_outcomes(upload)) == {"reused"}
    assert _listed(run, image) == [3, 3, 3]


@pytest.mark.parametrize("endpoint", ["PUT manifest", "POST upload", "PUT upload"])
def test_no_tag_moves_if_an_artifact_is_refused(
    registry: FaultRegistry, tmp_path: Path, endpoint: str
) -> None:
    image = app(tmp_path, platforms=(AMD64,))
    # Only the manifest of the image is missing, which comes with the tag.
    first = Run(tmp_path, registry)
    assert first.commit(first.upload(image)) == {}
    registry.manifests.clear()
    registry.tags.clear()
    registry.fail(endpoint, "403", count=None)
    run = Run(tmp_path, registry)
    upload = run.attach(image, ["spdx"])
    failure = run.commit(upload)[0]
    assert failure.startswith(
        f"not tagged: //:app: the spdx of linux/amd64 cannot be attached at {registry.host}/app: "
    )
    assert registry.tags == {}
    assert _outcomes(upload) == []
    registry.heal()
    again = Run(tmp_path, registry)
    assert again.commit(again.attach(image)) == {}
    assert _listed(again, image) == [3]


def test_a_registry_that_loses_the_empty_blob_gets_it_again(
    registry: FaultRegistry, tmp_path: Path
) -> None:
    image = app(tmp_path)
    first = Run(tmp_path, registry)
    assert first.commit(first.attach(image, ["spdx"])) == {}
    # A HEAD says that it is there, as a cache before the registry may.
    real = dict(registry.blobs)

    class Forgetful(dict):  # type: ignore[type-arg]
        def get(self, key: object, default: object = None) -> object:
            return real.get(key, super().get(key, default))  # type: ignore[call-overload]

    registry.blobs = Forgetful({k: v for k, v in real.items() if k[1] != EMPTY_DESCRIPTOR.digest})
    run = Run(tmp_path, registry)
    assert run.commit(run.attach(image)) == {}
    assert dict.__contains__(registry.blobs, ("app", EMPTY_DESCRIPTOR.digest))


def test_as_tags_an_sbom_is_what_ko_pushes(registry: FaultRegistry, tmp_path: Path) -> None:
    image = app(tmp_path)
    run = Run(tmp_path, registry)
    upload = run.attach(image, ["spdx", "provenance"], attach_as=TAGS)
    assert run.commit(upload) == {}
    for subject in _subjects(image):
        tag = subject.digest.replace(":", "-") + ".sbom"
        media_type, content = registry.manifests["app", registry.tags["app", tag]]
        manifest = json.loads(content)
        assert media_type == manifest["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
        assert set(manifest) == {"schemaVersion", "mediaType", "config", "layers"}
        (layer,) = manifest["layers"]
        assert layer["mediaType"] == "text/spdx+json"
        assert json.loads(registry.blobs["app", layer["digest"]]) == {"spdx": subject.digest}
        config = json.loads(registry.blobs["app", manifest["config"]["digest"]])
        assert config["rootfs"] == {"type": "layers", "diff_ids": [layer["digest"]]}
    assert _listed(run, image) == [1, 1, 1]
    again = Run(tmp_path, registry).attach(image, ["spdx", "provenance"], attach_as=TAGS)
    assert again.attaching is not None
    assert again.attaching.lacking == frozenset()


def test_a_layout_lists_artifacts_once(tmp_path: Path) -> None:
    image = app(tmp_path)
    for _ in range(2):
        run = Run(tmp_path)
        upload = run.attach(image, attach_as=TAGS)
        if not upload.found.up_to_date:
            assert run.commit(upload) == {}
            assert _outcomes(upload) == ["written"] * ALL
    assert upload.attaching is not None
    assert upload.attaching.lacking == frozenset()
    index = json.loads((tmp_path / "dist/oci/index.json").read_text())
    entries = [entry for entry in index["manifests"] if "artifactType" in entry]
    assert len(index["manifests"]) == 1 + ALL
    assert [set(entry) for entry in entries] == [
        {"mediaType", "digest", "size", "artifactType", "annotations"}
    ] * ALL
    assert all(entry["annotations"] == {"of": "tests"} for entry in entries)
    # The image is still the only one of the layout.
    layout = Layout(str(tmp_path / "dist/oci"))
    assert find_in_layout(layout, "").digest == image.digest


def test_a_layout_forgets_artifacts_of_images_that_have_lost_their_names(tmp_path: Path) -> None:
    old, new, other = app(tmp_path, "old"), app(tmp_path, "new"), app(tmp_path, "other")
    run = Run(tmp_path)
    uploads = [run.attach(old, tags=["v1", "v2"]), run.attach(other, repository="other")]
    assert run.commit(*uploads) == {}
    layout = Layout(str(tmp_path / "dist/oci"))

    def subjects() -> dict[str, int]:
        found: dict[str, int] = {}
        for entry in layout.entries():
            if ("of", "tests") in entry.annotations:
                subject = json.loads(layout.read_blob(entry))["subject"]["digest"]
                found[subject] = found.get(subject, 0) + 1
        return found

    # Another name of the image is left.
    run = Run(tmp_path)
    assert run.commit(run.attach(new, tags=["v1"])) == {}
    assert set(subjects()) == {
        *(d.digest for i in (old, new, other) for d in _subjects(i)),
    }
    run = Run(tmp_path)
    assert run.commit(run.attach(new, tags=["v2"])) == {}
    assert set(subjects()) == {d.digest for i in (new, other) for d in _subjects(i)}
    assert set(subjects().values()) == {3}
