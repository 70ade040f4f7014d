"""Base images: an index or a single image, reduced to the platforms that are wanted."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any, Sequence

import pytest
from oci.images import AMD64, ARM7, ARM64, WINDOWS, base_config, base_layer

from ko_pants.errors import KoPantsError
from ko_pants.oci import media_types as mt
from ko_pants.oci.base import read_base_image
from ko_pants.oci.descriptor import Descriptor, sha256_digest
from ko_pants.oci.image import BaseImage
from ko_pants.oci.platform import Platform

NAME = "registry.example.com/base:latest"
REFERENCE_TYPE = ("vnd.docker.reference.type", "attestation-manifest")


class Documents:
    """A registry's documents of one image, and which of them were read."""

    def __init__(self) -> None:
        self.content: dict[str, bytes] = {}
        self.read: list[str] = []

    def add(self, media_type: str, document: Any, platform: Platform | None = None) -> Descriptor:
        content = document if isinstance(document, bytes) else json.dumps(document).encode()
        found = sha256_digest(content)
        self.content[found] = content
        return Descriptor(media_type, found, len(content), platform=platform)

    def image(
        self,
        platform: Platform,
        *,
        entry: Platform | None = None,
        docker: bool = False,
        config: bytes | None = None,
        artifact: bool = False,
        **change: Any,
    ) -> Descriptor:
        """One platform's manifest and config; the descriptor as an index has it."""
        types = (
            (mt.DOCKER_MANIFEST, mt.DOCKER_CONFIG) if docker else (mt.OCI_MANIFEST, mt.OCI_CONFIG)
        )
        if artifact:
            types = (types[0], mt.OCI_EMPTY)
        described = self.add(types[1], base_config(platform) if config is None else config)
        manifest = {
            "schemaVersion": 2,
            "mediaType": types[0],
            "config": described.to_json(),
            "layers": [base_layer(0).to_json()],
            **change,
        }
        return self.add(types[0], manifest, platform if entry is None else entry)

    def index(self, *entries: Descriptor, media_type: str = mt.OCI_INDEX) -> Descriptor:
        document = {
            "schemaVersion": 2,
            "mediaType": media_type,
            "manifests": [entry.to_json() for entry in entries],
        }
        return self.add(media_type, document)

    def read_manifest(self, descriptor: Descriptor) -> bytes:
        self.read.append(descriptor.digest)
        return self.content[descriptor.digest]

    read_config = read_manifest

    def base(self, top: Descriptor, *wanted: Platform) -> BaseImage:
        return read_base_image(
            self,
            top,
            self.content[top.digest],
            name=NAME,
            origin="registry.example.com/base",
            wanted=wanted,
        )


@pytest.fixture
def documents() -> Documents:
    return Documents()


def platforms_of(base: BaseImage) -> Sequence[Platform]:
    return [m.platform for m in base.manifests]


def test_an_index_is_reduced_to_what_is_wanted_in_its_own_order(documents: Documents) -> None:
    children = [documents.image(p) for p in (ARM64, AMD64, ARM7)]
    top = documents.index(*children)
    base = documents.base(top, AMD64, ARM64)
    assert platforms_of(base) == [ARM64, AMD64]
    assert [m.digest for m in base.manifests] == [children[0].digest, children[1].digest]
    assert (base.name, base.digest, base.source) == (NAME, top.digest, "registry.example.com/base")
    assert not base.docker
    assert base.manifests[0].layers == (base_layer(0),)
    assert base.manifests[0].config == base_config(ARM64)
    # Of the third platform nothing is read, of layers nothing at all.
    assert children[2].digest not in documents.read
    assert len(documents.read) == 4


def test_one_wanted_platform_of_an_index_is_a_single_image(documents: Documents) -> None:
    base = documents.base(documents.index(documents.image(AMD64), documents.image(ARM64)), ARM64)
    assert platforms_of(base) == [ARM64]


def test_all_means_every_platform_that_go_can_build_for(documents: Documents) -> None:
    top = documents.index(
        documents.image(AMD64),
        documents.image(Platform("linux", "arm", "v8")),
        documents.image(Platform("linux", "riscv128")),
        documents.image(WINDOWS),
    )
    assert platforms_of(documents.base(top)) == [AMD64, Platform("linux", "arm", "v8"), WINDOWS]


# What ko's matcher of platforms (pkg/build/gobuild.go, 0.19.1) makes of bases and wishes. One thing
# differs on purpose: a wish that nothing satisfies is an error, and is not left out.
W = "windows/amd64:"
ARMS = "linux/arm/v5 linux/arm/v6 linux/arm/v7"
WINDOWS_BASES = f"linux/amd64 {W}10.0.17763.5458 {W}10.0.20348.2322 windows/arm64:10.0.20348.2322"


@pytest.mark.parametrize(
    ("base", "wanted", "chosen"),
    [
        ("linux/amd64", "linux/amd64", "linux/amd64"),
        ("linux/amd64 linux/arm64", "linux/arm64", "linux/arm64"),
        # The order is that of the base.
        (
            "linux/s390x linux/arm64 linux/amd64",
            "linux/amd64 linux/s390x",
            "linux/s390x linux/amd64",
        ),
        # What is not said is not compared.
        ("linux/arm64/v8 linux/amd64", "linux/amd64 linux/arm64", "linux/arm64/v8 linux/amd64"),
        (ARMS, "linux/arm", ARMS),
        (f"{ARMS} linux/amd64", "linux/amd64 linux/arm/v6", "linux/arm/v6 linux/amd64"),
        # Two wishes for one entry are one image.
        (ARMS, "linux/arm/v7 linux/arm", ARMS),
        (WINDOWS_BASES, "windows/amd64", f"{W}10.0.17763.5458 {W}10.0.20348.2322"),
        (WINDOWS_BASES, f"{W}10.0.20348", f"{W}10.0.20348.2322"),
        (WINDOWS_BASES, f"{W}10.0.17763.5458", f"{W}10.0.17763.5458"),
        (
            WINDOWS_BASES,
            f"{W}10.0.20348 linux/amd64 {W}10.0.17763",
            f"linux/amd64 {W}10.0.17763.5458 {W}10.0.20348.2322",
        ),
        (f"{W}10.0.17763", f"{W}10.0.17763", f"{W}10.0.17763"),
        # CPU levels: each is an image of its own, on the best entry that its machines can run.
        ("linux/amd64", "linux/amd64 linux/amd64/v3", "linux/amd64 linux/amd64/v3"),
        ("linux/amd64", "linux/amd64/v3 linux/amd64", "linux/amd64 linux/amd64/v3"),
        ("linux/amd64", "linux/amd64/v3", "linux/amd64/v3"),
        (
            "linux/amd64 linux/amd64/v3 linux/arm64",
            "linux/amd64/v4 linux/arm64/v9.2 linux/amd64/v2",
            "linux/amd64/v2 linux/amd64/v4 linux/arm64/v9.2",
        ),
        ("linux/arm", "linux/arm/v7", "linux/arm/v7"),
        ("linux/arm/v5 linux/arm/v7", "linux/arm/v6 linux/arm/v7", "linux/arm/v6 linux/arm/v7"),
        ("linux/arm64", "linux/arm64 linux/arm64/v8", "linux/arm64 linux/arm64/v8"),
        ("linux/arm64/v8", "linux/arm64 linux/arm64/v8", "linux/arm64/v8"),
        ("linux/arm64/v8 linux/ppc64le", "linux/ppc64le/power9", "linux/ppc64le/power9"),
        (
            WINDOWS_BASES,
            f"{W[:-1]}/v3:10.0.20348 windows/amd64",
            f"{W}10.0.17763.5458 {W}10.0.20348.2322 windows/amd64/v3:10.0.20348.2322",
        ),
        # `all`: whatever Go can build for, and never what is unknown.
        (WINDOWS_BASES, "", WINDOWS_BASES),
        (f"{ARMS} unknown/unknown linux/unheard-of", "", ARMS),
        ("linux/arm64/v3 unknown/unknown", "", "linux/arm64/v3"),
    ],
)
def test_what_is_chosen_from_an_index(
    documents: Documents, base: str, wanted: str, chosen: str
) -> None:
    top = documents.index(*(documents.image(platform_of(text)) for text in base.split()))
    found = documents.base(top, *map(Platform.parse, wanted.split()))
    assert " ".join(map(str, platforms_of(found))) == chosen


@pytest.mark.parametrize(
    ("base", "wanted", "missing"),
    [
        ("linux/amd64 linux/arm64/v3", "linux/arm64/v8", "linux/arm64/v8"),
        ("linux/arm/v7 linux/arm64", "linux/arm/v6", "linux/arm/v6"),
        ("linux/amd64/v3", "linux/amd64/v2", "linux/amd64/v2"),
        ("linux/amd64", "windows/amd64/v3", "windows/amd64/v3"),
        # ko leaves out what a base lacks, as long as it has something of what is wanted.
        ("linux/amd64", "linux/amd64 linux/s390x", "linux/s390x"),
        (WINDOWS_BASES, f"{W}10", f"{W}10"),
        (WINDOWS_BASES, f"{W}10.0", f"{W}10.0"),
        (WINDOWS_BASES, f"{W}10.0.17763.1", f"{W}10.0.17763.1"),
        (WINDOWS_BASES, f"{W}10.0.17763.5458.1", f"{W}10.0.17763.5458.1"),
        (f"{W}10.0.17763", f"{W}10.0.17763.1", f"{W}10.0.17763.1"),
        (f"{W}10.0.17763.1.2", f"{W}10.0.17763", f"{W}10.0.17763"),
        ("windows/amd64", f"{W}10.0.17763", f"{W}10.0.17763"),
        # Only versions of Windows match in part.
        ("linux/amd64:10.0.17763.1", "linux/amd64:10.0.17763", "linux/amd64:10.0.17763"),
        ("unknown/unknown", "linux/amd64", "linux/amd64"),
    ],
)
def test_what_an_index_lacks(documents: Documents, base: str, wanted: str, missing: str) -> None:
    top = documents.index(*(documents.image(platform_of(text)) for text in base.split()))
    with pytest.raises(KoPantsError, match=f"has no platform {re.escape(missing)}; it has"):
        documents.base(top, *map(Platform.parse, wanted.split()))


@pytest.mark.parametrize("index", [True, False])
def test_cpu_levels_are_images_on_the_same_child(documents: Documents, index: bool) -> None:
    child = documents.image(AMD64)
    top = documents.index(child, documents.image(ARM64)) if index else child
    v3 = Platform("linux", "amd64", "v3")
    base = documents.base(top, v3, AMD64)
    plain, level = base.manifests
    assert (plain.platform, level.platform) == (AMD64, v3)
    assert plain.digest == level.digest == child.digest
    assert plain.layers == level.layers
    assert plain.config == level.config
    # It is read once.
    assert len(documents.read) == len(set(documents.read))


def platform_of(text: str) -> Platform:
    """The platform of a base, which may be one that Go does not know."""
    path, _, version = text.partition(":")
    os, architecture, *variant = path.split("/")
    return Platform(os, architecture, "".join(variant), version)


def test_attestations_are_left_out(documents: Documents) -> None:
    attestation = documents.image(AMD64, entry=Platform("unknown", "unknown"), layers=[])
    marked = replace(attestation, platform=AMD64, annotations=(REFERENCE_TYPE,))
    top = documents.index(attestation, documents.image(AMD64), marked)
    for wanted in ((AMD64,), ()):
        assert platforms_of(documents.base(top, *wanted)) == [AMD64]
    assert attestation.digest not in documents.read


@pytest.mark.parametrize("wanted", [(AMD64,), (ARM64,), ()])
def test_an_index_within_an_index_is_refused(
    documents: Documents, wanted: tuple[Platform, ...]
) -> None:
    nested = replace(documents.index(documents.image(ARM64)), platform=ARM64)
    top = documents.index(documents.image(AMD64), nested)
    with pytest.raises(KoPantsError) as e:
        documents.base(top, *wanted)
    assert str(e.value) == (
        f"base image {NAME}: expected an index of images, found an index within the index: "
        f"{nested.digest} for linux/arm64. Name that one by its digest instead, or choose another "
        "image"
    )


def bare(descriptor: Descriptor, platform: Platform | None = None) -> Descriptor:
    """The entry without a platform, or with one that says little."""
    return replace(descriptor, platform=platform)


@pytest.mark.parametrize("entry", [None, Platform("", ""), Platform("linux", "")])
@pytest.mark.parametrize("wanted", [(AMD64, ARM7), ()])
def test_entries_without_a_platform_have_that_of_their_config(
    documents: Documents, wanted: tuple[Platform, ...], entry: Platform | None
) -> None:
    # ko builds them for `all` alone; its index has no platforms either.
    top = documents.index(*(bare(documents.image(p), entry) for p in (ARM7, AMD64)))
    assert platforms_of(documents.base(top, *wanted)) == [ARM7, AMD64]


def test_entries_without_a_platform_are_read_only_where_they_are_needed(
    documents: Documents,
) -> None:
    unnamed = bare(documents.image(AMD64, layers=[base_layer(1).to_json()]))
    top = documents.index(unnamed, documents.image(AMD64))
    # ko takes the one with a platform too.
    base = documents.base(top, AMD64)
    assert [m.layers for m in base.manifests] == [(base_layer(0),)]
    assert unnamed.digest not in documents.read
    assert platforms_of(documents.base(top)) == [AMD64, AMD64]


def test_entries_that_nothing_names_a_platform_of_are_left_out(documents: Documents) -> None:
    top = documents.index(
        bare(documents.image(AMD64, config=b"{}")),
        bare(documents.image(AMD64, config=b'{"os":"unknown","architecture":"unknown"}')),
        bare(documents.image(AMD64, config=b"not JSON", artifact=True)),
        documents.image(ARM64),
    )
    assert platforms_of(documents.base(top)) == [ARM64]
    with pytest.raises(KoPantsError, match=r"no platform linux/amd64; it has linux/arm64\."):
        documents.base(top, AMD64)


def test_the_indexs_word_for_a_platform_counts_not_the_configs(documents: Documents) -> None:
    # Configs often lack the variant.
    top = documents.index(documents.image(Platform("linux", "arm"), entry=ARM7))
    assert platforms_of(documents.base(top, ARM7)) == [ARM7]


@pytest.mark.parametrize("wanted", [(AMD64,), ()])
def test_a_single_image_serves_the_platform_of_its_config(
    documents: Documents, wanted: tuple[Platform, ...]
) -> None:
    top = documents.image(AMD64)
    base = documents.base(top, *wanted)
    assert platforms_of(base) == [AMD64]
    assert (base.name, base.digest) == (NAME, top.digest)
    assert base.source == "registry.example.com/base"
    assert base.manifests[0].digest == top.digest


def test_docker_images_are_known_as_such(documents: Documents) -> None:
    top = documents.index(
        documents.image(AMD64, docker=True),
        documents.image(ARM64, docker=True),
        media_type=mt.DOCKER_INDEX,
    )
    base = documents.base(top)
    assert base.docker
    assert all(m.docker for m in base.manifests)
    assert documents.base(documents.image(AMD64, docker=True), AMD64).docker


def test_a_media_type_that_only_the_registry_tells(documents: Documents) -> None:
    # OCI 1.0 documents may lack `mediaType`.
    top = documents.image(AMD64, mediaType="")
    assert platforms_of(documents.base(top, AMD64)) == [AMD64]
    index = documents.add(mt.OCI_INDEX, {"manifests": [documents.image(AMD64).to_json()]})
    assert platforms_of(documents.base(index, AMD64)) == [AMD64]


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ((Platform("linux", "s390x"),), ["no platform linux/s390x"]),
        (
            (AMD64, Platform("linux", "s390x"), Platform("linux", "arm", "v5")),
            ["no platform linux/s390x, linux/arm/v5"],
        ),
    ],
)
def test_a_platform_that_the_base_lacks_is_named_with_what_it_has(
    documents: Documents, wanted: tuple[Platform, ...], words: list[str]
) -> None:
    top = documents.index(*(documents.image(p) for p in (ARM7, AMD64)))
    with pytest.raises(KoPantsError) as e:
        documents.base(top, *wanted)
    end = "it has linux/amd64, linux/arm/v7. Choose another base image, or fewer platforms"
    assert str(e.value).endswith(end)
    for word in (NAME, *words):
        assert word in str(e.value)
    assert documents.read == []


def test_a_platform_that_a_single_image_lacks(documents: Documents) -> None:
    with pytest.raises(KoPantsError, match=r"no platform linux/arm64; it has linux/amd64"):
        documents.base(documents.image(AMD64), AMD64, ARM64)


@pytest.mark.parametrize("wanted", [(AMD64,), ()])
def test_a_single_image_for_which_go_cannot_build(
    documents: Documents, wanted: tuple[Platform, ...]
) -> None:
    with pytest.raises(KoPantsError) as e:
        documents.base(documents.image(Platform("linux", "alpha")), *wanted)
    assert str(e.value) == (
        f"the base image {NAME} is for linux/alpha, for which Go cannot build. "
        "Choose another base image"
    )


def test_annotations_of_manifests_and_of_index_entries(documents: Documents) -> None:
    child = documents.image(AMD64, annotations={"b": "2", "a": "1"})
    bare = documents.image(ARM64, annotations=None)
    top = documents.index(replace(child, annotations=(("of", "entry"),)), bare)
    first, second = documents.base(top).manifests
    assert first.annotations == (("a", "1"), ("b", "2"))
    assert first.entry_annotations == (("of", "entry"),)
    assert (second.annotations, second.entry_annotations) == ((), ())
    (single,) = documents.base(child).manifests
    assert (single.annotations, single.entry_annotations) == ((("a", "1"), ("b", "2")), ())


@pytest.mark.parametrize("annotations", [["a"], "a", {"a": 1}, {"a": None}])
def test_annotations_that_are_none(documents: Documents, annotations: object) -> None:
    child = documents.image(AMD64, annotations=annotations)
    with pytest.raises(KoPantsError) as e:
        documents.base(documents.index(child))
    assert f"base image {NAME}, manifest {child.digest}: expected `annotations`" in str(e.value)


def test_features_of_the_system_are_read(documents: Documents) -> None:
    platform = replace(WINDOWS, os_features=("win32k",))
    assert platforms_of(documents.base(documents.index(documents.image(platform)))) == [platform]
    assert platforms_of(documents.base(documents.image(platform))) == [platform]


def test_an_index_with_nothing_of_use(documents: Documents) -> None:
    top = documents.index(documents.image(AMD64, entry=Platform("unknown", "unknown")))
    with pytest.raises(KoPantsError, match=r"no platform linux/amd64; it has none"):
        documents.base(top, AMD64)


def test_all_of_a_base_that_has_nothing_for_go_is_an_error(documents: Documents) -> None:
    top = documents.index(documents.image(AMD64, entry=Platform("unknown", "unknown")))
    with pytest.raises(KoPantsError, match=r"registry\.example\.com/base:latest"):
        documents.base(top)


@pytest.mark.parametrize(
    ("media_type", "document", "found"),
    [
        (mt.OCI_INDEX, b"{", "expected JSON"),
        (mt.OCI_INDEX, b"[]", "expected a JSON object"),
        (mt.OCI_INDEX, {}, "list `manifests`"),
        (mt.OCI_INDEX, {"manifests": [3]}, "expected a descriptor"),
        (mt.OCI_MANIFEST, {}, "list `layers`"),
        (mt.OCI_MANIFEST, {"layers": []}, "config: expected a descriptor"),
        (
            mt.OCI_MANIFEST,
            {"mediaType": "application/vnd.oci.artifact.manifest.v1+json"},
            "found 'application/vnd.oci.artifact.manifest.v1+json'",
        ),
        (
            "application/vnd.docker.distribution.manifest.v1+prettyjws",
            {"mediaType": "application/vnd.docker.distribution.manifest.v1+prettyjws"},
            "manifest.v1+prettyjws'",
        ),
    ],
)
def test_a_document_that_is_no_image(
    documents: Documents, media_type: str, document: object, found: str
) -> None:
    with pytest.raises(KoPantsError) as e:
        documents.base(documents.add(media_type, document), AMD64)
    assert NAME in str(e.value)
    assert found in str(e.value)


def test_a_damaged_manifest_of_an_index_is_named(documents: Documents) -> None:
    child = documents.add(mt.OCI_MANIFEST, b"{", AMD64)
    with pytest.raises(KoPantsError, match=f"^base image {NAME}, manifest {child.digest}: expect"):
        documents.base(documents.index(child), AMD64)


def test_docker_manifests_that_only_the_index_calls_so(documents: Documents) -> None:
    child = replace(documents.image(AMD64, mediaType=""), media_type=mt.DOCKER_MANIFEST)
    assert documents.base(documents.index(child), AMD64).manifests[0].docker
    child = replace(child, media_type=mt.OCI_MANIFEST)
    assert not documents.base(documents.index(child), AMD64).manifests[0].docker


@pytest.mark.parametrize("config", [b"{]", b"[]", b'{"rootfs":3}', b"{}"])
def test_a_damaged_config_is_named_with_its_manifest(documents: Documents, config: bytes) -> None:
    child = documents.image(AMD64, config=config)
    with pytest.raises(KoPantsError) as e:
        documents.base(documents.index(child), AMD64)
    assert NAME in str(e.value)
    assert child.digest in str(e.value)


def test_the_same_base_is_an_equal_product(documents: Documents) -> None:
    # So that an unchanged answer stops the engine.
    top = documents.index(documents.image(AMD64), documents.image(ARM64))
    assert documents.base(top) == documents.base(top)
    assert hash(documents.base(top)) == hash(documents.base(top))
    other = documents.index(documents.image(AMD64))
    assert documents.base(top, AMD64) != documents.base(other, AMD64)
