"""What a publish says of an image: its line on the terminal, and `--publish-output`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Callable, Dict, ItemsView, Mapping, Sequence, cast

from pants.core.goals.publish import PublishOutputData, PublishPackages
from pants.engine.internals.session import RunId
from pants.engine.process import InteractiveProcess

from ko_pants.oci.descriptor import short_digest
from ko_pants.oci.image import Image
from ko_pants.process_log import KOCACHE, SOURCES
from ko_pants.products import BuiltImage, PlatformImage, ResultSource
from ko_pants.publishing.announcing import Announcements
from ko_pants.publishing.destinations import Destination
from ko_pants.publishing.image_refs import ReferencesFile, image_references
from ko_pants.publishing.publication import BlobOutcome, Found, Publication, Published
from ko_pants.publishing.sizes import size_text
from ko_pants.rules.publish_run import report_of_newest_run

if TYPE_CHECKING:
    from ko_pants.publishing.attaching import Attaching
    from ko_pants.publishing.attachments import Attachment


@dataclass(frozen=True)
class Reader:
    """Who reads the details of a run.

    :param run_id: the run. It is compared, for the engine hands out the packages of an earlier run
        if they are equal to those of this one, and their details would be those of the earlier run.
    :param tag_only: references have tags and no digests.
    :param file: where the references of the run are written; None if nowhere.
    """

    run_id: RunId
    tag_only: bool = False
    file: ReferencesFile | None = field(default=None, compare=False)


class PushedName(str):
    """A reference of an image that is pushed. On the terminal it has the digest too.

    :param digest: as it is shown; see `shown_digest`.
    """

    digest: str

    def __new__(cls, name: str, digest: str) -> PushedName:
        made = super().__new__(cls, name)
        made.digest = digest
        return made

    def __format__(self, spec: str) -> str:
        return format(f"{self!s} as {self.digest}", spec)


class DataOfRun(Dict[str, object]):
    """Data of an image. The first that is encoded has the report of the run made.

    Pants asks for the data of each image when the image is done. It encodes the data of all images
    once, after it has written its own lines, whether somebody reads it or not. A plugin has no
    later moment in which it could write to the terminal.
    """

    def items(self) -> ItemsView[str, object]:  # type: ignore[override]
        report = report_of_newest_run()
        if report is not None:
            report.finish()
        return super().items()


@dataclass(frozen=True)
class ImagePublishPackages(PublishPackages):
    """What is published of one image to one destination.

    :param announcements: say which images need no process of their own once the tags have moved;
        None if each needs its own.
    :param result: what has become of it; called when the run is over.
    :param number: of the image among those whose tags are to move; None if it is up to date or not
        pushed.
    :param reader: None if nobody reads the details.
    """

    built: BuiltImage | None = field(default=None, compare=False)
    destination: Destination | None = field(default=None, compare=False)
    result: Callable[[], Published] | None = field(default=None, compare=False)
    number: int | None = field(default=None, compare=False)
    reader: Reader | None = None
    announcements: Announcements | None = field(default=None, compare=False)

    # Pants looks at `process` when it is the turn of this package, and at `names` when the process
    # has ended. Both are given to `__init__`, as the fields of `PublishPackages` that they are.

    @property  # type: ignore[misc]
    def process(self) -> InteractiveProcess | None:
        """The process that waits until the tags have moved; None if nothing is to wait for."""
        return None if self._is_announced else self.__dict__["process"]

    @process.setter
    def process(self, value: InteractiveProcess | None) -> None:
        self.__dict__["process"] = value

    @property  # type: ignore[misc]
    def names(self) -> tuple[str, ...]:
        """The names that Pants writes a line for; those of other images too if this one speaks."""
        if self.announcements is None or self.number is None:
            return self.own_names
        return tuple(self.announcements.names(self.number))

    @names.setter
    def names(self, value: tuple[str, ...]) -> None:
        self.__dict__["names"] = value

    @property
    def own_names(self) -> tuple[str, ...]:
        """The references of the image."""
        return cast("tuple[str, ...]", self.__dict__["names"])

    @property
    def _is_announced(self) -> bool:
        """True if the process of another image speaks for this one."""
        if self.announcements is None or self.number is None:
            return False
        return self.announcements.is_silent(self.number)

    def get_output_data(self, **extra_data: object) -> PublishOutputData:
        """The documented contract of `--publish-output`. Pants calls this when the image is done.

        Pants encodes the data of every run, and it encodes a frozen one level by level, which is
        slow. So this is a dict, and has details only if there is a reader.
        """
        return cast(PublishOutputData, DataOfRun(self.data_of_image(extra_data)))

    def data_of_image(
        self, extra_data: Mapping[str, object], *, by_another: bool = False
    ) -> dict[str, object]:
        """The same as a plain dict.

        :param by_another: a target that names the image asks.
        """
        if self._is_announced:
            # Pants takes a package without a process for one that is skipped.
            status = f"published to {self.description}"
            extra_data = {**extra_data, "exit_code": 0, "published": True, "status": status}
        report = report_of_newest_run()
        if report is not None and self.built is not None:
            report.ended(
                self.built.owner,
                self.own_names,
                began=self.number is not None,
                failed=bool(extra_data.get("exit_code")),
                by_another=by_another,
            )
        data: dict[str, object] = {"names": [str(n) for n in self.own_names], **self.data}
        if self.built is not None and self.result is not None and self.reader is not None:
            references = self._references(self.reader, failed=bool(extra_data.get("exit_code")))
            data.update(_details(self.built, self.result(), references, self.reader.run_id))
        data.update(extra_data)
        return data

    def _references(self, reader: Reader, *, failed: bool) -> Sequence[str]:
        """What can be deployed of the image; nothing if it is not pushed."""
        assert self.built is not None
        if self.destination is None or self.destination.skip:
            return ()
        references = image_references(self.built.image, self.destination, tag_only=reader.tag_only)
        if reader.file is None:
            return references
        place = self.destination.repository_name
        return reader.file.note(self.built.owner, place, references, failed=failed)


class Description(str):
    """What the line on the terminal says of an image that is pushed.

    Pants asks for it before the tags move, and writes it when the run is over. Then it ends with
    the reason, if the image was not tagged: what had been missing before says nothing.

    :param result: what has become of the image.
    """

    #: The text without what had been missing.
    destination: str
    result: Callable[[], Published]

    def __new__(cls, destination: str, lacked: str, result: Callable[[], Published]) -> Description:
        made = super().__new__(cls, f"{destination}: {lacked}")
        made.destination = destination
        made.result = result
        return made

    def __format__(self, spec: str) -> str:
        failure = self.result().failure
        text = f"{self.destination}: {failure.splitlines()[0]}" if failure else str(self)
        return format(text, spec)


def skip_description(destination: Destination) -> str:
    """Why an image is not pushed to a destination."""
    return f"({destination.skip})"


def shown_digest(digest: str, *, full: bool) -> str:
    """A digest on the terminal: what tells images apart, or all of it.

    :param full: the option `[ko].full_digests`.
    """
    return digest if full else short_digest(digest)


def _platforms(image: Image) -> str:
    manifests = image.manifests
    return str(manifests[0].platform) if len(manifests) == 1 else f"{len(manifests)} platforms"


def description_of(
    publication: Publication,
    found: Found | None,
    result: Callable[[], Published],
    attaching: Attaching | None = None,
    *,
    unsigned: bool = False,
    full_digests: bool = False,
) -> str:
    """What the line on the terminal says of an image; `found` is None if it is not pushed.

    :param result: what has become of it; called when the run is over.
    :param attaching: its artifacts; None if nobody has asked for them.
    :param unsigned: it was looked for a signature, and there was none.
    :param full_digests: see `shown_digest`.
    """
    image, destination = publication.image, publication.destination
    digest = shown_digest(image.descriptor.digest, full=full_digests)
    platforms = _platforms(image)
    if found is None:
        return f"{skip_description(destination)}; built {digest}, {platforms}"
    lacks_artifacts = unsigned or (attaching is not None and bool(attaching.lacking))
    if found.up_to_date and not lacks_artifacts:
        return f"up to date: {digest}, {platforms}{_artifacts(attaching)}"
    place = destination.layout or destination.registry
    lacked = f"{platforms}, {_what_lacked(found)}{_artifacts(attaching)}"
    lacked += "; it was not signed" if unsigned else ""
    return Description(place, lacked, result)


def _artifacts(attaching: Attaching | None) -> str:
    """What is said of the artifacts of an image, behind what is said of the image."""
    if attaching is None or not attaching.attachments:
        return ""
    count, lacking = len(attaching.attachments), attaching.lacking
    word = "artifact" if count == 1 else "artifacts"
    if lacking is None:
        return f"; with {count} {word}"
    if not lacking:
        return f"; its {count} {word} {'is' if count == 1 else 'are'} there"
    return f"; {len(lacking)} of {count} {word} {'was' if count == 1 else 'were'} missing"


def _what_lacked(found: Found) -> str:
    if found.up_to_date:
        return "up to date"
    if found.present:
        return "only tags were missing"
    lacking = sum(descriptor.size for descriptor in found.missing.values())
    count = len(found.publication.image.blobs())
    return f"{size_text(lacking)} ({len(found.missing)} of {count} blobs)"


def _details(
    built: BuiltImage, published: Published, references: Sequence[str], run_id: RunId
) -> dict[str, object]:
    image = built.image
    layers = []
    for manifest in image.manifests:
        for layer in manifest.layers:
            done = published.outcome(layer.descriptor.digest)
            layers.append(
                {
                    "platform": str(manifest.platform),
                    "kind": layer.kind,
                    "digest": layer.descriptor.digest,
                    "diff_id": layer.diff_id,
                    "size": layer.descriptor.size,
                    "outcome": done.outcome,
                    "bytes": done.bytes,
                }
            )
    details: dict[str, object] = {
        "publisher": "ko_pants",
        "digest": image.descriptor.digest,
        "media_type": image.descriptor.media_type,
        "platforms": [str(m.platform) for m in image.manifests],
        "references": references,
        "requests": published.requests,
        "layers": layers,
        "build": {str(part.platform): _build(part, run_id) for part in built.platforms},
    }
    if published.artifacts:
        details["artifacts"] = [_artifact(a, done) for a, done in published.artifacts.items()]
    return details


def _artifact(attachment: Attachment, done: BlobOutcome) -> dict[str, object]:
    artifact = attachment.artifact
    return {
        "kind": artifact.kind,
        "platform": artifact.platform,
        "subject": artifact.subject.digest,
        "digest": attachment.descriptor.digest,
        "size": attachment.descriptor.size,
        # The images of ko's scheme have none.
        "artifact_type": "" if attachment.tag else artifact.artifact_type,
        "outcome": done.outcome,
        "bytes": done.bytes,
    }


def _build(part: PlatformImage, run_id: RunId) -> dict[str, object]:
    """How the programs of a platform and their layers came about; the entrypoint is the last."""
    layers = [a.layer for a in part.layers if a.layer.request.content.kind == "binary"]
    entrypoint, *others = part.executables
    *other_layers, layer = layers
    found: dict[str, object] = {
        "executable": _source(entrypoint.source, run_id),
        "layer": _source(layer.source, run_id),
    }
    if others:
        found["binaries"] = {
            executable.app_name: {
                "executable": _source(executable.source, run_id),
                "layer": _source(layer.source, run_id),
            }
            for executable, layer in zip(others, other_layers)
        }
    return found


def _source(source: ResultSource, run_id: RunId) -> str:
    if source.metadata is None:
        return KOCACHE
    return SOURCES[source.metadata.source(run_id).value]
