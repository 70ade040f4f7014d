"""`KO_DOCKER_REPO=ko.local` and `kind.local`: images are loaded into docker, podman or kind.

Source: ko 0.19.1, pkg/publish/daemon.go and kind.go: an image is loaded under the hex digits of its
digest, and its tags are set beside. What has this name is there, and is not loaded again.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import subprocess
import tarfile
import threading
from dataclasses import dataclass, field
from typing import BinaryIO, Callable, Iterator, Mapping, Sequence

from ko_pants.errors import KoPantsError
from ko_pants.oci.archives import ImageFile, docker_archive_files
from ko_pants.oci.descriptor import Descriptor
from ko_pants.oci.image import Image
from ko_pants.publishing.container_engines import ContainerEngine
from ko_pants.publishing.temporary import make_directory

_QUESTION_SECONDS = 60
_LOAD_SECONDS = 900


def digest_tag(digest: str) -> str:
    """The tag that only images with this digest have."""
    return digest.partition(":")[2]


@dataclass(frozen=True)
class Loader:
    """What loads images: docker, podman, or kind into the nodes of a cluster.

    :param env: the whole environment of its processes.
    :param cluster: of kind; empty for its default.
    """

    engine: ContainerEngine
    env: Mapping[str, str] = field(repr=False)
    cluster: str = ""

    def image_id(self, name: str) -> str:
        """What tells the image with that name from others; empty if there is none.

        kind is not asked: its images are in the nodes of the cluster.
        """
        if self.engine.name == "kind":
            return ""
        done = self._run("image", "inspect", "--format", "{{.Id}}", name, seconds=_QUESTION_SECONDS)
        return done.stdout.strip() if done.returncode == 0 else ""

    def tag(self, name: str, tags: Sequence[str]) -> None:
        """Let the image have more names.

        :raises KoPantsError: the engine's own message.
        """
        for tag in tags:
            self._check(self._run("tag", name, tag, seconds=_QUESTION_SECONDS), f"tag {tag}")

    def load(self, archive: str, name: str) -> None:
        """Load a docker archive; `name` is for the message.

        :raises KoPantsError: the engine's own message.
        """
        if self.engine.name == "kind":
            arguments = ["load", "image-archive", archive]
            if self.cluster:
                arguments += ["--name", self.cluster]
        else:
            arguments = ["load", "-i", archive]
        self._check(self._run(*arguments, seconds=_LOAD_SECONDS), f"load {name}")

    def _run(self, *arguments: str, seconds: int) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                [self.engine.path, *arguments],
                env=dict(self.env),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise KoPantsError(
                f"{self.engine.path} {arguments[0]}: no answer in {seconds} s; is its daemon there?"
            ) from None
        except OSError as e:
            raise KoPantsError(f"{self.engine.path} cannot be run: {e.strerror}") from None

    def _check(self, done: subprocess.CompletedProcess[str], what: str) -> None:
        if done.returncode:
            said = (done.stderr or done.stdout).strip() or f"exit code {done.returncode}"
            raise KoPantsError(f"{self.engine.name} cannot {what}: {said}")


class LocalStore:
    """The names of one image on this machine; see `stores.Store`.

    :param repository: with its domain, such as `ko.local/app`.
    """

    def __init__(self, loader: Loader, repository: str) -> None:
        self.place = f"{loader.engine.name} {loader.cluster}"
        self.requests = 0
        # Neither docker nor podman has a place for them.
        self.artifacts = None
        self._loader = loader
        self._repository = repository
        self._lock = threading.Lock()
        self._spool = ""

    def _unique(self, image: Image) -> str:
        return f"{self._repository}:{digest_tag(image.descriptor.digest)}"

    def tag_digest(self, tag: str, image: Image) -> str:
        found = self._loader.image_id(f"{self._repository}:{tag}")
        same = bool(found) and found == self._loader.image_id(self._unique(image))
        return image.descriptor.digest if same else ""

    def has_image(self, image: Image) -> bool:
        return bool(self._loader.image_id(self._unique(image)))

    def has_blob(self, descriptor: Descriptor) -> bool:
        return False

    def _path(self, digest: str) -> str:
        with self._lock:
            if not self._spool:
                self._spool = make_directory("load")
        return os.path.join(self._spool, digest_tag(digest))

    def put_blob(
        self,
        descriptor: Descriptor,
        open_blob: Callable[[], BinaryIO],
        mount_from: Sequence[str],
        progress: Callable[[int], None],
    ) -> str:
        path = self._path(descriptor.digest)
        with open_blob() as stream, self._explaining_failed_writes(), open(path, "wb") as out:
            shutil.copyfileobj(stream, out)
        progress(descriptor.size)
        return "written"

    def put_manifest(self, descriptor: Descriptor, content: bytes, repair: object) -> None:
        raise AssertionError("an image on this machine has one platform")

    def put_tags(self, tags: Sequence[str], image: Image, repair: object) -> dict[str, Descriptor]:
        unique = self._unique(image)
        names = [f"{self._repository}:{tag}" for tag in tags]
        try:
            if self.has_image(image):
                self._loader.tag(unique, names)
            else:
                self._load(image, [unique, *names])
        finally:
            self.close()
        return {}

    def _load(self, image: Image, names: Sequence[str]) -> None:
        archive = self._path("archive:docker.tar")
        files = docker_archive_files(image.manifests[0], tuple(dict.fromkeys(names)))
        with self._explaining_failed_writes(), tarfile.open(archive, "w") as tar:
            for file in files:
                self._add(tar, file)
        self._loader.load(archive, names[0])

    def _add(self, tar: tarfile.TarFile, file: ImageFile) -> None:
        entry = tarfile.TarInfo(file.path)
        if file.blob is None:
            entry.size = len(file.content)
            tar.addfile(entry, io.BytesIO(file.content))
            return
        with open(self._path(file.blob.digest), "rb") as content:
            entry.size = file.blob.size
            tar.addfile(entry, content)

    @contextlib.contextmanager
    def _explaining_failed_writes(self) -> Iterator[None]:
        try:
            yield
        except OSError as e:
            raise KoPantsError(
                f"{self._repository}: {e.filename or self._spool} cannot be written "
                f"({e.strerror}); make room there, or set TMPDIR to another directory"
            ) from None

    def close(self) -> None:
        """Delete the blobs that were brought."""
        with self._lock:
            spool, self._spool = self._spool, ""
        if spool:
            shutil.rmtree(spool, ignore_errors=True)
