"""`ko.local` and `kind.local`: what is loaded, under which names, and when it is not needed."""

from __future__ import annotations

import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest
from oci.images import AMD64
from publishing.publish_runs import new_memory, silent
from publishing.published_images import BASE_BLOB, App, app, base_on
from registry_support import client_for

from ko_pants.errors import KoPantsError
from ko_pants.oci.descriptor import sha256_digest
from ko_pants.publishing import local_loading
from ko_pants.publishing.container_engines import ContainerEngine
from ko_pants.publishing.destinations import Destination
from ko_pants.publishing.local_loading import Loader
from ko_pants.publishing.publication import Found
from ko_pants.publishing.run import PublishRun

# Has a file for each image, `/` and `:` in its name replaced; notes what it is asked to do.
ENGINE = """#!/bin/sh
file() { printf '%s/images/%s' "$STORE" "$(printf %s "$1" | tr '/:' '__')"; }
case "$1" in
  image) cat "$(file "$5")" 2> /dev/null || exit 1; exit 0 ;;
esac
echo "$*" | sed "s,[^ ]*/docker.tar,ARCHIVE," >> "$STORE/record"
if [ -e "$STORE/refuses" ]; then echo "Cannot connect to the daemon" >&2; exit 1; fi
mkdir -p "$STORE/images"
case "$1" in
  tag) cp "$(file "$2")" "$(file "$3")" ;;
  load)
    for word; do case $word in */docker.tar) archive=$word ;; esac; done
    cp "$archive" "$STORE/loaded.tar"
    tar -xOf "$archive" manifest.json | tr '[]' '\\n\\n' | grep : | grep -v Config |
      tr ',' '\\n' | tr -d '"' | while read -r name; do
        tar -xOf "$archive" manifest.json > "$(file "$name")"
      done ;;
esac
"""


class Machine:
    """An engine that is a script, and its images."""

    def __init__(self, root: Path, name: str = "podman") -> None:
        self.root = root
        path = root / name
        path.write_text(ENGINE)
        path.chmod(0o755)
        env = {"PATH": "/usr/bin:/bin", "STORE": str(root)}
        self.loader = Loader(ContainerEngine(name, str(path)), env, "")

    @property
    def record(self) -> list[str]:
        """What the engine was asked to do."""
        path = self.root / "record"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def loaded(self) -> tuple[Any, dict[str, bytes]]:
        """`manifest.json` of the archive that was loaded last, and its files."""
        with tarfile.open(self.root / "loaded.tar") as tar:
            files = {m.name: tar.extractfile(m).read() for m in tar}  # type: ignore[union-attr]
        (image,) = json.loads(files["manifest.json"])
        return image, files

    def publish(self, image: App, *tags: str, loader: Loader | None = None) -> tuple[Found, str]:
        """What was found, and why it failed; empty if it did not."""
        run = PublishRun(client_for({}), layout_root=str(self.root), memory=new_memory())
        destination = Destination("team/app", tags, registry="ko.local")
        publication = run.publication(
            "a:a", image.image, image.base, destination, loader or self.loader
        )
        # No engine has a place for artifacts.
        assert publication.store.artifacts is None
        found = run.checks.finish(run.checks.begin(publication))
        if found.up_to_date:
            return found, ""
        upload = run.uploads.begin(found, {d: image.files[d] for d in found.missing_layers})
        (failure,) = run.move_tags([upload], silent)
        run.close()
        return found, failure


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def image(tmp_path: Path) -> App:
    return app(tmp_path, platforms=[AMD64])


def test_an_image_is_loaded_under_its_tags_and_its_digest(machine: Machine, image: App) -> None:
    found, failure = machine.publish(image, "v1", "latest")
    assert failure == ""
    assert not found.present
    assert machine.record == ["load -i ARCHIVE"]
    listed, files = machine.loaded
    digest = image.digest.partition(":")[2]
    names = [digest, "v1", "latest"]
    assert listed["RepoTags"] == [f"ko.local/team/app:{name}" for name in names]
    assert sha256_digest(files[listed["Config"]]) == listed["Config"]
    for layer in listed["Layers"]:
        assert sha256_digest(files[layer]) == f"sha256:{layer.partition('.')[0]}"


def test_what_is_there_is_not_loaded_again(machine: Machine, image: App) -> None:
    machine.publish(image, "v1")
    found, _ = machine.publish(image, "v1")
    assert found.up_to_date
    assert machine.record == ["load -i ARCHIVE"]
    # Another tag, and one that another image has.
    found, failure = machine.publish(image, "v1", "v2")
    assert (found.present, found.stale_tags, failure) == (True, ("v2",), "")
    digest = image.digest.partition(":")[2]
    assert machine.record[1:] == [f"tag ko.local/team/app:{digest} ko.local/team/app:v2"]
    (machine.root / "images" / "ko.local_team_app_v1").write_text("other")
    found, _ = machine.publish(image, "v1", "v2")
    assert found.stale_tags == ("v1",)
    assert machine.publish(image, "v1", "v2")[0].up_to_date


def test_layers_of_the_base_come_along(machine: Machine, tmp_path: Path) -> None:
    layout = tmp_path / "base"
    base = base_on(f"oci:{layout}", [AMD64])
    blob = layout / "blobs" / "sha256" / sha256_digest(BASE_BLOB).partition(":")[2]
    blob.parent.mkdir(parents=True)
    blob.write_bytes(BASE_BLOB)
    assert machine.publish(app(tmp_path, platforms=[AMD64], base=base), "v1")[1] == ""
    listed, files = machine.loaded
    assert files[listed["Layers"][0]] == BASE_BLOB


def test_kind_loads_the_archive_into_its_cluster(tmp_path: Path, image: App) -> None:
    machine = Machine(tmp_path, "kind")
    loader = Loader(machine.loader.engine, machine.loader.env, "dev")
    for _ in range(2):
        assert machine.publish(image, "v1", loader=loader)[1] == ""
    assert machine.record == ["load image-archive ARCHIVE --name dev"] * 2
    assert machine.publish(image, "v1")[1] == ""
    assert machine.record[2:] == ["load image-archive ARCHIVE"]


def test_an_engine_that_fails_is_shown_with_its_message(machine: Machine, image: App) -> None:
    (machine.root / "refuses").write_text("")
    _, failure = machine.publish(image, "v1")
    digest = image.digest.partition(":")[2]
    assert failure == (
        f"podman cannot load ko.local/team/app:{digest}: Cannot connect to the daemon"
    )


def test_an_engine_that_went_away(tmp_path: Path, image: App) -> None:
    machine = Machine(tmp_path)
    os.unlink(machine.loader.engine.path)
    with pytest.raises(KoPantsError, match="podman cannot be run: No such file"):
        machine.publish(image, "v1")


def test_an_engine_that_does_not_answer(
    machine: Machine, image: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(machine.loader.engine.path).write_text("#!/bin/sh\nexec sleep 60\n")
    monkeypatch.setattr(local_loading, "_QUESTION_SECONDS", 0.1)
    with pytest.raises(KoPantsError, match=r"podman image: no answer in 0\.1 s"):
        machine.publish(image, "v1")
