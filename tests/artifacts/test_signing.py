"""What signers are told, and which of their answers are taken."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oci.images import AMD64, ARM64

from ko_pants.artifacts import signing
from ko_pants.artifacts.artifact import EMPTY_DESCRIPTOR, Artifact, compose_artifact
from ko_pants.artifacts.signing import MAX_LAYER_BYTES, SigningRequest, parse_answer
from ko_pants.errors import KoPantsError
from ko_pants.oci import media_types as mt
from ko_pants.oci.descriptor import Descriptor, sha256_digest

INDEX = Descriptor(mt.OCI_INDEX, sha256_digest(b"index"), 5)
CHILDREN = tuple(
    Descriptor(mt.OCI_MANIFEST, sha256_digest(str(p).encode()), 7, platform=p)
    for p in (AMD64, ARM64)
)
SBOM = compose_artifact("spdx", CHILDREN[0], "application/spdx+json", b"{}")
REQUEST = SigningRequest(
    "shop/api:image",
    "registry.example.com",
    "",
    "shop/api",
    ("v1", "latest"),
    False,
    INDEX,
    CHILDREN,
    (SBOM,),
)
FILES = {"a.sig": b"signature", "large": b"0" * (MAX_LAYER_BYTES + 1)}


def read_file(path: str) -> bytes:
    if path not in FILES:
        raise KoPantsError(f"{path} is not there")
    return FILES[path]


def answer(**changes: Any) -> bytes:
    """An answer with one artifact, some of whose keys are others."""
    artifact = {"subject": INDEX.digest, "artifact_type": "text/sig", **changes}
    return json.dumps({"artifacts": [artifact]}).encode()


def layer(**changes: Any) -> bytes:
    """An answer with one layer, some of whose keys are others; None leaves a key out."""
    fields = {"media_type": "text/sig", "path": "a.sig", **changes}
    return answer(layers=[{k: v for k, v in fields.items() if v is not None}])


def test_what_a_signer_reads() -> None:
    request = json.loads(REQUEST.content())
    assert request == {
        "version": 1,
        "target": "shop/api:image",
        "reference": f"registry.example.com/shop/api@{INDEX.digest}",
        "registry": "registry.example.com",
        "layout": "",
        "repository": "shop/api",
        "tags": ["v1", "latest"],
        "plain_http": False,
        "image": {"media_type": mt.OCI_INDEX, "digest": INDEX.digest, "size": 5},
        "children": [
            {
                "media_type": mt.OCI_MANIFEST,
                "digest": child.digest,
                "size": 7,
                "platform": str(child.platform),
            }
            for child in CHILDREN
        ],
        "artifacts": [
            {
                "kind": "spdx",
                "artifact_type": "application/spdx+json",
                "subject": CHILDREN[0].digest,
                "media_type": mt.OCI_MANIFEST,
                "digest": SBOM.descriptor.digest,
                "size": SBOM.descriptor.size,
            }
        ],
    }


def test_an_image_in_a_layout_is_named_by_its_path() -> None:
    request = SigningRequest("//:a", "", "/repo/dist/oci", "a", ("v1",), False, INDEX)
    assert request.reference == f"/repo/dist/oci@{INDEX.digest}"


@pytest.mark.parametrize("content", [b"", b" \n\t"])
def test_a_signer_that_says_nothing_wants_nothing_attached(content: bytes) -> None:
    assert parse_answer(content, REQUEST, read_file) == ()


def test_what_a_signer_wants_to_have_attached() -> None:
    content = {
        "version": 1,
        "artifacts": [
            {
                "subject": CHILDREN[1].digest,
                "artifact_type": "application/vnd.example.signature",
                "annotations": {"by": "us"},
                "layers": [
                    {"media_type": "text/sig", "path": "a.sig", "annotations": {"n": "1"}},
                    {
                        "media_type": "text/cert",
                        "content_base64": base64.b64encode(b"certificate").decode(),
                    },
                ],
            },
            {"subject": INDEX.digest, "artifact_type": "text/mark"},
            # The same once more: it is attached once.
            {"subject": INDEX.digest, "artifact_type": "text/mark", "layers": []},
        ],
    }
    signature, mark = parse_answer(json.dumps(content).encode(), REQUEST, read_file)
    assert (signature.kind, signature.platform) == ("signature", "linux/arm64")
    manifest = json.loads(signature.manifest)
    assert manifest["artifactType"] == "application/vnd.example.signature"
    assert manifest["annotations"] == {"by": "us"}
    assert manifest["subject"]["digest"] == CHILDREN[1].digest
    assert [entry.get("annotations") for entry in manifest["layers"]] == [{"n": "1"}, None]
    assert [content for _, content in signature.layers] == [b"signature", b"certificate"]
    assert mark.subject.digest == INDEX.digest
    assert mark.platform == ""
    assert json.loads(mark.manifest)["layers"] == [EMPTY_DESCRIPTOR.to_json()]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"signed!\n", ['the answer: found "signed!"', "JSON object", "standard error"]),
        (b"\xff\xfe", ["the answer: found", "JSON object"]),
        (b"[" * 100_000, ["the answer: found", "JSON object"]),
        (b"[]", ["the answer: found []", "`artifacts`"]),
        (b"{}", ["the answer: `artifacts` is missing"]),
        (b'{"artifacts": [], "artifacts": []}', ["keys come once"]),
        (b'{"artifacts": [], "artefacts": []}', ['found "artefacts"', "`artifacts`, `version`"]),
        (b'{"artifacts": {}}', ["artifacts: found {}, expected a list"]),
        (b'{"version": 2, "artifacts": []}', ["version: found 2, expected 1"]),
        (b'{"version": true, "artifacts": []}', ["version: found true, expected 1"]),
        (b'{"version": "1", "artifacts": []}', ['version: found "1", expected 1']),
        (b'{"artifacts": [3]}', ["artifacts[0]: found 3", "`artifact_type`, `subject`"]),
        (b'{"artifacts": [{"subject": 1}]}', ["artifacts[0]: `artifact_type` is missing"]),
        (answer(subject="sha256:abc"), ["artifacts[0].subject", '"sha256:abc"', INDEX.digest]),
        (answer(subject=None), ["artifacts[0].subject: found null"]),
        (answer(subject=[]), ["artifacts[0].subject: found []"]),
        (answer(subject=sha256_digest(b"other")), [CHILDREN[0].digest, CHILDREN[1].digest]),
        (answer(artifact_type="sig"), ['artifacts[0].artifact_type: found "sig"', "media type"]),
        (answer(artifact_type="a/b; c=d"), ["artifact_type", "media type"]),
        (answer(artifact_type=f"a/{'b' * 128}"), ["artifact_type", "…"]),
        (answer(artifactType="a/b"), ['found "artifactType"', "`artifact_type`"]),
        (answer(annotations=[]), ["artifacts[0].annotations: found []", "object of strings"]),
        (answer(annotations={"a": 1}), ['artifacts[0].annotations["a"]: found 1']),
        (
            answer(annotations={"org.opencontainers.image.ref.name": "app:v1"}),
            ["artifacts[0].annotations: found org.opencontainers.image.ref.name", "leave it out"],
        ),
        (answer(annotations={"": "b"}), ["artifacts[0].annotations: found an empty name"]),
        (answer(annotations={"a": "b" * 4_200_000}), ["artifacts[0]: its manifest", "4194304"]),
        (answer(layers=None), ["artifacts[0].layers: found null, expected a list"]),
        (answer(layers=["a.sig"]), ['artifacts[0].layers[0]: found "a.sig"', "`media_type`"]),
        (layer(media_type=None), ["artifacts[0].layers[0]: `media_type` is missing"]),
        (layer(media_type="x"), ['artifacts[0].layers[0].media_type: found "x"']),
        (layer(path=None), ["artifacts[0].layers[0]: expected either `path` or", "found neither"]),
        (layer(content_base64=""), ["artifacts[0].layers[0]: expected either", "found both"]),
        (layer(path=""), ['artifacts[0].layers[0].path: found ""', "path of a file"]),
        (layer(path="a\0b"), ["artifacts[0].layers[0].path", "path of a file"]),
        (layer(path=7), ["artifacts[0].layers[0].path: found 7"]),
        (layer(path="b.sig"), ["artifacts[0].layers[0].path: b.sig is not there"]),
        (layer(path="large"), ["artifacts[0].layers[0]: found 33554433 bytes", "33554432"]),
        (layer(path=None, content_base64="a b="), ["content_base64", "base64 -w0"]),
        (layer(path=None, content_base64="YQ"), ['content_base64: found "YQ"']),
        (layer(path=None, content_base64="é"), ["content_base64"]),
        (layer(path=None, content_base64=1), ["content_base64: found 1"]),
        (layer(annotations={"a": None}), ['layers[0].annotations["a"]: found null']),
    ],
)
def test_a_wrong_answer_says_where_and_what_is_expected(content: bytes, words: list[str]) -> None:
    with pytest.raises(KoPantsError) as caught:
        parse_answer(content, REQUEST, read_file)
    text = str(caught.value)
    for word in words:
        assert word in text
    assert len(text) < 700
    assert text.isprintable()


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=8), children, max_size=3)
    ),
    max_leaves=6,
)
_ANY_TEXT = st.text(st.characters(), max_size=8)


def _with_wrong(values: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional={k: v | _JSON for k, v in values.items()})


_ANNOTATIONS = st.dictionaries(_ANY_TEXT, _ANY_TEXT, max_size=3)
_LAYERS = _with_wrong(
    {
        "media_type": st.just("text/sig"),
        "path": st.sampled_from(sorted(FILES)) | _ANY_TEXT,
        "content_base64": st.binary(max_size=8).map(lambda b: base64.b64encode(b).decode()),
        "annotations": _ANNOTATIONS,
    }
)
_ARTIFACTS = _with_wrong(
    {
        "subject": st.sampled_from([INDEX.digest, CHILDREN[0].digest]),
        "artifact_type": st.just("text/sig"),
        "annotations": _ANNOTATIONS,
        "layers": st.lists(_LAYERS, max_size=3),
    }
)
_ANSWERS = _with_wrong({"version": st.just(1), "artifacts": st.lists(_ARTIFACTS, max_size=3)})


@given(st.binary(max_size=64) | (_ANSWERS | _JSON).map(lambda obj: json.dumps(obj).encode()))
def test_any_answer_gives_artifacts_of_the_image_or_one_printable_line(content: bytes) -> None:
    problem = ""
    artifacts: tuple[Artifact, ...] = ()
    try:
        artifacts = parse_answer(content, REQUEST, read_file)
    except KoPantsError as e:
        problem = str(e)
    assert problem.isprintable()
    for artifact in artifacts:
        assert artifact.subject.digest in REQUEST.subjects
        manifest = json.loads(artifact.manifest)
        for entry in manifest["layers"]:
            content = next(c for d, c in artifact.layers if d.digest == entry["digest"])
            assert (sha256_digest(content), len(content)) == (entry["digest"], entry["size"])


def test_limits_are_those_of_registries() -> None:
    assert signing.MAX_MANIFEST_BYTES == 4 * 1024 * 1024
    assert signing.MAX_ANSWER_BYTES > signing.MAX_LAYER_BYTES * 4 // 3
