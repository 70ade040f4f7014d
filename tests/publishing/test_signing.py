"""Images are signed when they are complete, several at a time, before or after their tags."""

from __future__ import annotations

import json
import os
import re
import sys
import threading
from pathlib import Path
from typing import Any, Iterator

import pytest
from fault_registry import FaultRegistry, fault_registry
from publishing.publish_runs import Run, new_memory
from publishing.published_images import App, app
from registry_support import client_for

from ko_pants.oci.reference import Reference
from ko_pants.publishing.signer_settings import SignerSettings

# Answers one artifact for each subject, and keeps the request in `requests/<repository>.json`.
# `hooks` beside it is a directory with scripts that run before; a failing one is a failure.
SIGNER = f"""#!{sys.executable}
import json, os, pathlib, subprocess, sys
here = pathlib.Path(__file__).parent
request = json.load(sys.stdin)
(here / "requests").mkdir(exist_ok=True)
(here / "requests" / (request["repository"] + ".json")).write_text(json.dumps(request))
for hook in sorted((here / "hooks").glob("*")):
    subprocess.run(["/bin/sh", str(hook), request["repository"]], check=True)
path = pathlib.Path(os.environ["TMPDIR"], "sig")
path.write_text("signature")
json.dump({{"artifacts": [
    {{"subject": subject["digest"], "artifact_type": "text/sig",
      "layers": [{{"media_type": "text/sig", "path": str(path)}}]}}
    for subject in [request["image"], *request["children"]]]}}, sys.stdout)
"""


def settings(root: Path, **changes: Any) -> SignerSettings:
    """How a script signs that is written to `root`."""
    (root / "hooks").mkdir(exist_ok=True)
    (root / "sign").write_text(SIGNER)
    (root / "sign").chmod(0o755)
    values: dict[str, Any] = {
        "argv": ("./sign",),
        "before_tags": True,
        "environment": {"PATH": "/usr/bin:/bin"},
        "build_root": str(root),
        "at_once": 4,
        "timeout_seconds": 60.0,
        **changes,
    }
    return SignerSettings(**values)


def hook(root: Path, *lines: str) -> None:
    """Shell that the signer runs first; `$1` is the repository."""
    (root / "hooks" / "hook").write_text("\n".join(["cd " + str(root), *lines]))


def request(root: Path, repository: str = "app") -> dict[str, Any]:
    """What the signer read."""
    content = (root / "requests" / f"{repository}.json").read_text()
    found: dict[str, Any] = json.loads(content)
    return found


def puts(registry: FaultRegistry, image: App) -> list[str]:
    """The manifests that were put, in their order: `child`, `image`, `tag` or `signature`."""
    children = [child.descriptor.digest for child in image.image.children]
    found = []
    for seen in registry.seen:
        match = re.search("/manifests/([^?]*)", seen.path)
        if seen.method == "PUT" and match:
            name = match[1]
            kind = "child" if name in children else "image" if name == image.digest else "signature"
            found.append(kind if name.startswith("sha256") else "tag")
    return found


@pytest.fixture
def registry() -> Iterator[FaultRegistry]:
    with fault_registry() as running:
        yield running


@pytest.fixture
def image(tmp_path: Path) -> App:
    (tmp_path / "blobs").mkdir()
    return app(tmp_path / "blobs")


def test_an_image_is_complete_and_signed_before_a_tag_names_it(
    tmp_path: Path, registry: FaultRegistry, image: App
) -> None:
    Run(tmp_path, registry, signer=settings(tmp_path)).publish(image, tags=("v1", "v2"))
    found = puts(registry, image)
    assert found.index("image") == 2
    assert set(found[:2]) == {"child"}
    assert found.index("tag") > max(n for n, kind in enumerate(found) if kind == "signature")
    asked = request(tmp_path)
    assert asked["reference"] == f"{registry.host}/app@{image.digest}"
    assert asked["tags"] == ["v1", "v2"]
    assert asked["plain_http"] is True
    assert [child["platform"] for child in asked["children"]] == ["linux/amd64", "linux/arm64"]


def test_a_tag_names_the_image_before_it_is_signed(
    tmp_path: Path, registry: FaultRegistry, image: App
) -> None:
    Run(tmp_path, registry, signer=settings(tmp_path, before_tags=False)).publish(image)
    found = puts(registry, image)
    assert found.index("tag") < found.index("signature")


def test_signers_run_side_by_side(tmp_path: Path, registry: FaultRegistry, image: App) -> None:
    # Each end of a named pipe waits until the other one is opened.
    os.mkfifo(tmp_path / "meet")
    signer = settings(tmp_path)
    hook(tmp_path, 'if [ "$1" = a ]; then echo > meet; else read -r line < meet; fi')
    run = Run(tmp_path, registry, signer=signer)
    assert run.commit(run.upload(image, "a"), run.upload(image, "b")) == {}


def test_no_more_signers_than_wanted_run_at_once(
    tmp_path: Path, registry: FaultRegistry, image: App
) -> None:
    signer = settings(tmp_path, at_once=1)
    # It fails where another one is between these lines.
    hook(tmp_path, "set -e", "mkdir busy", "ls /usr/bin > /dev/null", "rmdir busy")
    run = Run(tmp_path, registry, signer=signer)
    assert run.commit(*(run.upload(image, name) for name in "abcdef")) == {}


def test_no_tag_moves_if_a_signature_before_them_fails(
    tmp_path: Path, registry: FaultRegistry, image: App
) -> None:
    signer = settings(tmp_path)
    hook(tmp_path, '[ "$1" = a ]')
    run = Run(tmp_path, registry, signer=signer)
    failures = run.commit(run.upload(image, "a"), run.upload(image, "b"))
    assert failures[0] == "not tagged, because this is not signed: //:b"
    for word in [
        "not tagged, because it is not signed: the signer `./sign` (option [ko].signer) failed for",
        f"{registry.host}/b@{image.digest}: exit code 1",
        "It wrote:",
        "run again",
        "`--ko-signer='[]'`",
    ]:
        assert word in failures[1]
    assert "tag" not in puts(registry, image)
    # The next run uploads nothing, and signs.
    (tmp_path / "hooks" / "hook").unlink()
    seen = len(registry.seen)
    run = Run(tmp_path, registry, signer=signer)
    done = run.publish(image, "b")
    assert done.found.present
    assert done.outcomes == {}
    assert registry.complete("b", "v1")
    assert "child" not in puts(registry, image)[seen:]


def test_a_signature_that_fails_after_the_tags_leaves_these(
    tmp_path: Path, registry: FaultRegistry, image: App
) -> None:
    signer = settings(tmp_path, before_tags=False)
    hook(tmp_path, '[ "$1" = a ]')
    run = Run(tmp_path, registry, signer=signer)
    failures = run.commit(run.upload(image, "a"), run.upload(image, "b"))
    assert list(failures) == [1]
    assert failures[1].startswith("tagged, but not signed: the signer `./sign`")
    assert "--ko-verify-artifacts" in failures[1]
    assert registry.complete("a", "v1")
    assert registry.complete("b", "v1")


def test_an_image_that_cannot_be_tagged_is_not_signed_after_that(
    tmp_path: Path, registry: FaultRegistry, image: App
) -> None:
    run = Run(tmp_path, registry, signer=settings(tmp_path, before_tags=False))
    upload = run.upload(image)
    registry.fail("PUT tag", "500", None)
    assert "tagged, but" not in run.commit(upload)[0]
    assert not (tmp_path / "requests").exists()


@pytest.mark.parametrize("before_tags", [True, False])
def test_in_a_layout(tmp_path: Path, image: App, before_tags: bool) -> None:
    Run(tmp_path, signer=settings(tmp_path, before_tags=before_tags)).publish(image)
    asked = request(tmp_path)
    assert (asked["registry"], asked["plain_http"]) == ("", False)
    assert asked["layout"] == str(tmp_path / "dist" / "oci")
    assert asked["reference"] == f"{tmp_path}/dist/oci@{image.digest}"
    index = json.loads((tmp_path / "dist" / "oci" / "index.json").read_text())
    signatures = [e for e in index["manifests"] if e.get("artifactType") == "text/sig"]
    assert len(signatures) == 3
    for entry in signatures:
        path = tmp_path / "dist" / "oci" / "blobs" / entry["digest"].replace(":", "/")
        assert json.loads(path.read_text())["artifactType"] == "text/sig"


def test_what_is_up_to_date_is_not_signed_again(
    tmp_path: Path, registry: FaultRegistry, image: App
) -> None:
    memory, signer = new_memory(), settings(tmp_path)
    Run(tmp_path, registry, memory, signer).publish(image)
    (tmp_path / "requests" / "app.json").unlink()
    done = Run(tmp_path, registry, memory, signer).publish(image)
    assert done.requests == 1
    assert not (tmp_path / "requests" / "app.json").exists()


def test_the_signer_is_told_what_is_attached(
    tmp_path: Path, registry: FaultRegistry, image: App
) -> None:
    run = Run(tmp_path, registry, signer=settings(tmp_path))
    upload = run.attach(image, ("spdx",))
    assert run.commit(upload) == {}
    told = request(tmp_path)["artifacts"]
    subjects = [image.digest, *(child.descriptor.digest for child in image.image.children)]
    assert sorted(artifact["subject"] for artifact in told) == sorted(subjects)
    assert {artifact["kind"] for artifact in told} == {"spdx"}
    assert upload.attaching is not None
    assert upload.signatures is not None
    stored = {a.descriptor.digest for a in upload.attaching.attachments}
    assert {artifact["digest"] for artifact in told} == stored
    # Signatures join the list of what refers to the image.
    session, place = client_for({}).session(), Reference(registry.host, "app")
    found = [r.artifact_type for r in session.referrers(place.with_digest(image.digest))]
    assert sorted(found) == ["application/spdx+json", "text/sig"]


def test_an_artifact_that_the_registry_refuses_is_a_failure_of_its_image(
    tmp_path: Path, registry: FaultRegistry, image: App
) -> None:
    run = Run(tmp_path, registry, signer=settings(tmp_path))
    upload = run.upload(image)
    assert upload.tasks.wait(60)
    registry.fail("POST upload", "500", None)
    (failure,) = run.commit(upload).values()
    assert failure.startswith("not tagged, because it is not signed: the signature of ")
    assert f"cannot be attached at {registry.host}/app" in failure


@pytest.mark.parametrize("on_registry", [True, False])
@pytest.mark.parametrize("before_tags", [True, False])
def test_an_image_without_a_signature_is_signed_if_somebody_looks(
    tmp_path: Path, registry: FaultRegistry, image: App, on_registry: bool, before_tags: bool
) -> None:
    place = registry if on_registry else None
    signer = settings(tmp_path, artifact_types=("text/sig",), before_tags=before_tags)
    Run(tmp_path, place).publish(image)
    run = Run(tmp_path, place, signer=signer)
    upload = run.upload(image)
    assert upload.found.up_to_date
    run.run.look_for_signatures([upload.found])
    assert run.run.is_unsigned(upload.publication)
    assert run.commit(upload) == {}
    assert upload.signatures is not None
    run = Run(tmp_path, place, signer=signer)
    found = run.check(image)
    run.run.look_for_signatures([found])
    assert not run.run.is_unsigned(found.publication)


def test_what_is_not_looked_for_is_not_signed(
    tmp_path: Path, registry: FaultRegistry, image: App
) -> None:
    Run(tmp_path, registry).publish(image)
    run = Run(tmp_path, registry, signer=settings(tmp_path))
    # An upload without a tag that moves is one that lacks other artifacts.
    upload = run.attach(image, ("spdx",))
    run.run.look_for_signatures([upload.found])
    assert run.commit(upload) == {}
    assert not (tmp_path / "requests").exists()


def test_a_signature_that_fails_for_an_image_with_tags_says_so(
    tmp_path: Path, registry: FaultRegistry, image: App
) -> None:
    Run(tmp_path, registry).publish(image)
    run = Run(tmp_path, registry, signer=settings(tmp_path, artifact_types=("text/sig",)))
    hook(tmp_path, "exit 1")
    upload = run.upload(image)
    run.run.look_for_signatures([upload.found])
    assert run.commit(upload)[0].startswith("tagged by an earlier run, but not signed: the signer")


def test_the_end_of_the_run_ends_signers(
    tmp_path: Path, registry: FaultRegistry, image: App
) -> None:
    run = Run(tmp_path, registry, signer=settings(tmp_path))
    os.mkfifo(tmp_path / "begun")
    os.mkfifo(tmp_path / "for-ever")
    hook(tmp_path, "echo > begun", "read -r line < for-ever")
    upload = run.upload(image)
    failures: list[dict[int, str]] = []
    thread = threading.Thread(target=lambda: failures.append(run.commit(upload)))
    thread.start()
    (tmp_path / "begun").read_text()
    run.run.close()
    thread.join(30)
    assert "signal 9" in failures[0][0]
    assert "tag" not in puts(registry, image)
