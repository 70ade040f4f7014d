"""References in YAML and JSON are found and replaced, and every other byte stays."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ko_pants.kubernetes.references import (
    MalformedReference,
    NotYaml,
    decode,
    read_manifest,
    replace_references,
)

IMAGE = "registry.example.com:5000/shop/app@sha256:" + "a" * 64


def resolved(text: str, where: str = "k8s.yaml") -> str:
    manifest = read_manifest(text, where)
    return replace_references(manifest, {r.value: IMAGE for r in manifest.references})


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("image: ko://a/b\n", f"image: {IMAGE}\n", id="plain"),
        pytest.param("image: ko://a/b", f"image: {IMAGE}", id="no line break at the end"),
        pytest.param("image:   ko://a/b   # why\n", f"image:   {IMAGE}   # why\n", id="comment"),
        pytest.param("image: 'ko://a/b'\n", f"image: '{IMAGE}'\n", id="single quotes"),
        pytest.param('image: "ko://a/b"\n', f'image: "{IMAGE}"\n', id="double quotes"),
        pytest.param('image: "ko:\\u002f/a"\n', f'image: "{IMAGE}"\n', id="escapes"),
        pytest.param("image: ' ko://a '\n", f"image: '{IMAGE}'\n", id="blanks in quotes"),
        pytest.param("image: |\n  ko://a\nb: 1\n", f'image: "{IMAGE}"\nb: 1\n', id="literal"),
        pytest.param("image: |-\n  ko://a\n", f'image: "{IMAGE}"\n', id="literal, stripped"),
        pytest.param(
            "image: >\n  ko://a\n\n\nb: 1\n", f'image: "{IMAGE}"\n\n\nb: 1\n', id="folded"
        ),
        pytest.param("- ko://a\n- - ko://b\n", f"- {IMAGE}\n- - {IMAGE}\n", id="items"),
        pytest.param("ko://a: 1\n", f"{IMAGE}: 1\n", id="key"),
        pytest.param("? ko://a\n: 1\n", f"? {IMAGE}\n: 1\n", id="explicit key"),
        pytest.param("ko://a\n", f"{IMAGE}\n", id="whole document"),
        pytest.param("[ko://a, {x: ko://b}]\n", f"[{IMAGE}, {{x: {IMAGE}}}]\n", id="flow"),
        pytest.param("a: &i ko://a\nb: *i\n", f"a: &i {IMAGE}\nb: *i\n", id="anchor"),
        pytest.param("a: !!str ko://a\n", f"a: !!str {IMAGE}\n", id="tag"),
        pytest.param(
            "a: &x !!str # why\n  'ko://a'\nb: ko://b\n",
            f"a: &x !!str # why\n  '{IMAGE}'\nb: {IMAGE}\n",
            id="tag, anchor, comment, next line",
        ),
        pytest.param("a: ko://a\r\nb: 1\r\n", f"a: {IMAGE}\r\nb: 1\r\n", id="CRLF"),
        pytest.param("a: |\r\n  ko://a\r\nb: 1\r\n", f'a: "{IMAGE}"\r\nb: 1\r\n', id="CRLF block"),
        pytest.param("a: é\nb: ko://ü # ö\n", f"a: é\nb: {IMAGE} # ö\n", id="other letters"),
        pytest.param(
            "%YAML 1.1\n---\na: ko://a\n...\n---\n---\nb: ko://b\n",
            f"%YAML 1.1\n---\na: {IMAGE}\n...\n---\n---\nb: {IMAGE}\n",
            id="documents",
        ),
        pytest.param("a: pants://cmd/app:image\n", f"a: {IMAGE}\n", id="address"),
        pytest.param("kind: List\nitems:\n- x: ko://a\n", f"kind: List\nitems:\n- x: {IMAGE}\n"),
    ],
)
def test_reference_is_replaced_in_place(before: str, after: str) -> None:
    assert resolved(before) == after


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "# only a comment\n",
        "---\n---\n",
        "a: see ko://a/b\n",
        "a: !Ref ko://a\n",
        "# ko://a\na: 1 # ko://b\n",
        "a: |\n  # ko://a\n  text ko://b\n",
        "a: xko://a\n",
        "long: >-\n  one two three\n  four\n\n  five\nlist:   [1,2 , 3]\n\n\n",
        "a: [\n  1,\n]\n",
    ],
)
def test_what_is_no_reference_stays(text: str) -> None:
    assert resolved(text) == text


def test_places_are_those_of_the_text() -> None:
    (reference,) = read_manifest("a:\n  - é: 'ko://a/b'\n", "x.yaml").references
    assert (reference.value, reference.line, reference.column) == ("ko://a/b", 2, 8)


def test_json_is_read_as_json() -> None:
    text = '{"\\ud83d\\ude00":\t"ko:\\/\\/a", "b": ["say \\"ko://a\\"", "ko://b"]}\n'
    assert json.loads(resolved(text, "list.json")) == {
        "😀": IMAGE,
        "b": ['say "ko://a"', IMAGE],
    }


def test_byte_order_mark_is_kept_apart() -> None:
    assert decode(b"\xef\xbb\xbfa: ko://a\n", "x.yaml") == ("a: ko://a\n", "\ufeff")


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        ("a: b\n c: d\n", "x.yaml", "x.yaml:2:3: mapping values are not allowed"),
        ("a: [1\nb: 2\n", "x.yaml", "x.yaml:2:2: "),
        ("a: {{ .Values.image }}\nb: }\n", "x.yaml", "x.yaml:2:4: "),
        ('{"a": }', "x.json", "x.json:1:7: Expecting value"),
        ("a: ko://a b\n", "x.yaml", "x.yaml:1:4: 'ko://a b' is no reference to an image"),
    ],
)
def test_bad_text_is_named_with_line_and_column(text: str, where: str, message: str) -> None:
    with pytest.raises((NotYaml, MalformedReference)) as e:
        read_manifest(text, where)
    assert message in str(e.value)


def test_other_encodings_are_refused() -> None:
    with pytest.raises(NotYaml, match=r"x.yaml:2: expected UTF-8, found the byte 0xff"):
        decode(b"a: 1\nb: \xff", "x.yaml")


def test_aliases_are_not_followed() -> None:
    bomb = "a0: &a0 [ko://a]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 40)
    )
    assert resolved(bomb) == bomb.replace("ko://a", IMAGE)


_SCALARS = st.one_of(
    st.sampled_from(["ko://a/b", "ko://c", "pants://d:e", "plain", "", "true", "1", "# x", "- y"]),
    st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=12),
    st.integers(),
    st.none(),
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from(["ko://key", "a", "b c", "é", "x:"]), inner, max_size=4),
    ),
    max_leaves=12,
)


def _mapped(value: Any) -> Any:
    if isinstance(value, dict):
        return {_mapped(key): _mapped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_mapped(item) for item in value]
    if isinstance(value, str) and value.strip().startswith(("ko://", "pants://")):
        return IMAGE
    return value


@given(
    st.lists(_VALUES, max_size=3),
    st.sampled_from([None, "'", '"', "|", ">"]),
    st.sampled_from([True, False, None]),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
)
def test_resolved_text_has_the_same_structure(
    documents: list[Any], style: Any, flow: Any, line_break: Any, json_text: bool
) -> None:
    if json_text and documents:
        text, where = json.dumps(documents[0]), "x.json"
        assert json.loads(resolved(text, where)) == _mapped(documents[0])
        return
    text = yaml.safe_dump_all(
        documents,
        default_style=style,
        default_flow_style=flow,
        line_break=line_break,
        explicit_start=True,
        allow_unicode=True,
        width=30,
    )
    assert list(yaml.safe_load_all(resolved(text))) == [_mapped(d) for d in documents]
