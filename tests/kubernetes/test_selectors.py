"""Label selectors, as kubectl takes them, and what they choose of a manifest."""

from __future__ import annotations

import pytest

from ko_pants.errors import KoPantsError
from ko_pants.kubernetes.references import Document, read_manifest
from ko_pants.kubernetes.selection import select_documents
from ko_pants.kubernetes.selectors import parse_selector


@pytest.mark.parametrize(
    ("selector", "labels", "matches"),
    [
        ("", {}, True),
        ("a=b", {"a": "b"}, True),
        ("a==b", {"a": "c"}, False),
        ("a=", {"a": ""}, True),
        ("a=b", {}, False),
        ("a!=b", {}, True),
        ("a!=b", {"a": "b"}, False),
        ("a", {"a": ""}, True),
        ("!a", {"a": ""}, False),
        ("! a", {}, True),
        ("a in (b, c)", {"a": "c"}, True),
        ("a in (b,)", {"a": ""}, True),
        ("a notin (b,c)", {"a": "c"}, False),
        ("a notin (b,c)", {}, True),
        ("a=b,c=d", {"a": "b"}, False),
        ("example.com/app = shop , !old", {"example.com/app": "shop"}, True),
        ("a>3", {"a": "4"}, True),
        ("a<3", {"a": "4"}, False),
        ("a>3", {"a": "x"}, False),
        ("in in (in)", {"in": "in"}, True),
    ],
)
def test_matches(selector: str, labels: dict[str, str], matches: bool) -> None:
    assert parse_selector(selector).matches(labels) is matches


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        ("a b", "found 'b', expected `=`"),
        ("a=b,", "found its end, expected a label after the comma"),
        ("a in b", "found 'b', expected `(`"),
        ("a in (b", r"found its end, expected `)`"),
        ("=b", "found '=', expected a label"),
        ("a=-b", "found '-b', expected a value"),
        ("a>b", "found 'b', expected a whole number"),
        ("A_/b", "found 'A_/b', expected a label"),
        ("a=&", "found '&', expected"),
    ],
)
def test_malformed(selector: str, message: str) -> None:
    with pytest.raises(KoPantsError) as e:
        parse_selector(selector)
    assert f"label selector {selector!r}: " in str(e.value)
    assert message in str(e.value)


OBJECT = "apiVersion: v1\nkind: A\nmetadata:\n  labels: {{app: {}}} # why\n"
LIST = """apiVersion: v1
kind: List
items:
# one
- apiVersion: v1
  kind: B
  metadata: {labels: {app: x}}
# two
- apiVersion: v1
  kind: B
  list:
  - 1
  - 2
-
  apiVersion: v1
  kind: C
  metadata: {labels: {app: x}}
tail: 1
"""


def selected(text: str, selector: str) -> str:
    return select_documents(read_manifest(text, "x.yaml"), parse_selector(selector), "x.yaml").text


@pytest.mark.parametrize(
    ("text", "selector", "kept"),
    [
        (OBJECT.format("x"), "app=x", OBJECT.format("x")),
        (OBJECT.format("x"), "app=y", ""),
        ("# head\n" + OBJECT.format("x"), "app", "# head\n" + OBJECT.format("x")),
        (
            OBJECT.format("x") + "---\n" + OBJECT.format("y") + "---\n---\n" + OBJECT.format("x"),
            "app=x",
            OBJECT.format("x") + "---\n" + OBJECT.format("x"),
        ),
        (
            OBJECT.format("y") + "...\n%YAML 1.1\n---\n" + OBJECT.format("x"),
            "app",
            OBJECT.format("y") + "...\n%YAML 1.1\n---\n" + OBJECT.format("x"),
        ),
        (OBJECT.format("x") + "---\n" + OBJECT.format("y"), "app=y", "---\n" + OBJECT.format("y")),
        (
            LIST,
            "app=x",
            LIST.replace("- apiVersion: v1\n  kind: B\n  list:\n  - 1\n  - 2\n", ""),
        ),
        (
            LIST,
            "!app",
            "apiVersion: v1\nkind: List\nitems:\n# one\n"
            "- apiVersion: v1\n  kind: B\n  list:\n  - 1\n  - 2\ntail: 1\n",
        ),
        (LIST, "other", ""),
    ],
)
def test_documents_and_items_that_match_stay_as_they_are(
    text: str, selector: str, kept: str
) -> None:
    assert selected(text, selector) == kept


@pytest.mark.parametrize("selector", ["app=a", "app=b", "app=c", "app in (a,b)", "app in (a,c)"])
def test_items_of_flow_lists(selector: str) -> None:
    def item(app: str) -> str:
        return '{"apiVersion": "v1", "kind": "B", "metadata": {"labels": {"app": "' + app + '"}}}'

    wanted = parse_selector(selector)
    head = '{"apiVersion": "v1", "kind": "List", "items": ['
    text = head + ", ".join(map(item, "abc")) + "]}\n"
    kept = [app for app in "abc" if wanted.matches({"app": app})]
    assert selected(text, selector) == head + ", ".join(map(item, kept)) + "]}\n"


def test_other_yaml_is_refused() -> None:
    with pytest.raises(KoPantsError, match=r"x.yaml:2: expected a Kubernetes object"):
        selected("# values\na: b\n", "app=x")


def test_references_keep_their_line_and_move_in_the_text() -> None:
    text = OBJECT.format("x") + "a: ko://x\n---\n" + OBJECT.format("y") + "a: ko://y\n"
    found = select_documents(read_manifest(text, "x.yaml"), parse_selector("app=y"), "x.yaml")
    (reference,) = found.references
    assert (reference.value, reference.line, reference.column) == ("ko://y", 11, 4)
    assert found.text[reference.start : reference.end] == "ko://y"
    assert found.documents == (Document(0, len(found.text)),)


def test_references_of_dropped_items_are_dropped() -> None:
    text = LIST.replace("kind: C\n", "kind: C\n  a: ko://c\n").replace("- 2\n", "- ko://b\n")
    found = select_documents(read_manifest(text, "x.yaml"), parse_selector("app=x"), "x.yaml")
    (reference,) = found.references
    assert (reference.value, reference.line) == ("ko://c", 17)
    assert found.text[reference.start : reference.end] == "ko://c"


def test_an_item_whose_anchor_is_used_cannot_be_dropped() -> None:
    text = LIST.replace("  - 1\n", "  - &one 1\n").replace("kind: C\n", "kind: C\n  a: *one\n")
    assert selected(text, "!none") == text
    with pytest.raises(KoPantsError, match=r"x.yaml:1: an item of this list has an anchor"):
        selected(text, "app=x")


def test_json_with_tabs() -> None:
    text = '{\n\t"apiVersion": "v1",\n\t"kind": "A",\n\t"metadata": {"labels": {"a": "b"}}\n}\n'
    manifest = read_manifest(text, "x.json")
    assert select_documents(manifest, parse_selector("a=b"), "x.json").text == text
    assert select_documents(manifest, parse_selector("a=c"), "x.json").text == ""
