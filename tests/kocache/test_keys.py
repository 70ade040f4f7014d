"""What identifies a layer, and the directory of its maps."""

from __future__ import annotations

import hashlib
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ko_pants.kocache.keys import (
    LayerKey,
    build_key,
    escape_component,
    escape_path,
    is_build_id,
    unescape_path,
)
from ko_pants.oci.platform import Platform

AMD64 = Platform("linux", "amd64")
HEX = "ab" * 32
# Of an executable that Go 1.26 linked.
BUILD_ID = "QrDeC0REa6RxMKzyfO7i/Dprd5yl-TrnO3azCWHgY/mAyJB6Q4tmSBfwfWnYXQ/uZi01Y0sGRVotiNK23ba"


@pytest.mark.parametrize(
    ("build_id", "real"),
    [
        (BUILD_ID, True),
        ("", False),
        ("a/b/c/d", False),
        ("QrDeC0REa6RxMKzyfO7i/Dprd5yl-TrnO3azCWHgY", False),
        ("deadbeef", False),
        (BUILD_ID + "/mAyJB6Q4tmSBfwfWnYXQ", False),
        (BUILD_ID + "\n", False),
        (BUILD_ID.replace("-", "+"), False),
    ],
)
def test_only_a_linked_executables_build_id_counts(build_id: str, real: bool) -> None:
    assert is_build_id(build_id) is real


def test_build_key_falls_back_to_the_files_hash() -> None:
    assert build_key(BUILD_ID, HEX) == BUILD_ID
    assert build_key(BUILD_ID + "\n", "") == BUILD_ID  # as `go tool buildid` prints it
    assert build_key("", HEX) == f"sha256:{HEX}"
    assert build_key("my-own-id", HEX) == f"sha256:{HEX}"
    with pytest.raises(ValueError, match="sha256"):
        build_key("", "")


@pytest.mark.parametrize("bad", ["", "a/b/c/d", "sha256:short"])
def test_a_key_that_does_not_identify_bytes_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="build id"):
        LayerKey("example.com/a", AMD64, bad)


def test_only_kos_own_tar_has_the_key_that_ko_looks_up() -> None:
    assert LayerKey("x", AMD64, BUILD_ID).map_key == BUILD_ID
    others = [
        LayerKey("x", AMD64, BUILD_ID, variant="app=/bin/x"),
        LayerKey("x", AMD64, BUILD_ID, kind="kodata"),
        LayerKey("x", AMD64, BUILD_ID, variant="app=/bin/x", kind="kodata"),
        LayerKey("x", AMD64, f"sha256:{HEX}"),
    ]
    assert [other.map_key for other in others] == [
        f"{BUILD_ID};variant=app=/bin/x",
        f"{BUILD_ID};kind=kodata",
        f"{BUILD_ID};kind=kodata;variant=app=/bin/x",
        f"sha256:{HEX}",
    ]
    keys = [other.map_key for other in others]
    assert len(set(keys)) == len(keys)
    assert not any(is_build_id(key) for key in keys)


@pytest.mark.parametrize(
    ("import_path", "platform", "directory"),
    [
        ("example.com/a/cmd/b", AMD64, "bin/example.com/a/cmd/b/linux/amd64"),
        ("example.com/a", Platform("linux", "arm", "v7"), "bin/example.com/a/linux/arm/v7"),
        (
            "example.com/a",
            Platform("windows", "amd64", "", "10.0.20348.1"),
            "bin/example.com/a/windows/amd64:10.0.20348.1",
        ),
        ("github.com/A-b/c_d/~e/v2.x+y", AMD64, "bin/github.com/A-b/c_d/~e/v2.x+y/linux/amd64"),
        ("../../etc", AMD64, "bin/%2E%2E/%2E%2E/etc/linux/amd64"),
        ("/etc//x", AMD64, "bin/%/etc/%/x/linux/amd64"),
        ("a\0b", AMD64, "bin/a%00b/linux/amd64"),
        ("con/NUL.txt", AMD64, "bin/%63on/%4EUL.txt/linux/amd64"),
        ("a/b.", AMD64, "bin/a/b%2E/linux/amd64"),
        ("50%", AMD64, "bin/50%25/linux/amd64"),
    ],
)
def test_directories_are_named_as_by_ko_and_stay_below_bin(
    import_path: str, platform: Platform, directory: str
) -> None:
    assert LayerKey(import_path, platform, BUILD_ID).directory == directory


@pytest.mark.parametrize(
    ("text", "component"),
    [
        ("", "%"),
        (".", "%2E"),
        ("...", "%2E%2E%2E"),
        ("..a", "..a"),
        ("a..", "a.%2E"),
        (".X.", ".X%2E"),
        ("a b", "a%20b"),
        ("é", "%C3%A9"),
        ("\ud800", "%ED%A0%80"),
        ("AUX", "%41UX"),
        ("com1.tar.gz", "%63om1.tar.gz"),
        ("com", "com"),
        ("con2", "con2"),
        ("lpt", "lpt"),
        ("nul.", "%6Eul."),
        ("x" * 180, "x" * 180),
    ],
)
def test_a_component_is_named_as_go_names_it_or_escaped(text: str, component: str) -> None:
    assert escape_component(text) == component


def test_what_is_too_long_for_a_file_system_ends_in_its_hash() -> None:
    long = "x" * 181
    hashed = hashlib.sha256(long.encode()).hexdigest()
    assert escape_component(long) == f"{'x' * 100}%-{hashed}"
    assert unescape_path(f"a%20b/{'x' * 100}%-{hashed}") == f"a b/{'x' * 100}%-{hashed}"
    surrogates = hashlib.sha256(b"\xed\xa0\x80" * 100).hexdigest()
    accents = escape_component("é" * 100)
    assert accents.startswith("%C3%A9")
    assert unescape_path(accents) == accents
    assert escape_component("\ud800" * 100) == f"{('%ED%A0%80' * 12)[:100]}%-{surrogates}"
    longest = "/".join(["y" * 127] * 8) + "z"
    assert len(longest) == 1024
    assert escape_path(longest) == longest
    longer = longest + "z"
    assert escape_path(longer) == f"%-{hashlib.sha256(longer.encode()).hexdigest()}"


def test_what_cannot_be_unescaped_is_shown_as_it_is() -> None:
    assert unescape_path("%FF/%/%2e/%G0") == "\ufffd//%2e/%G0"
    assert unescape_path("\udcff") == "\ufffd"


@pytest.mark.parametrize("kind", ["a", "kodata", "files-2", "x" * 32])
def test_kinds_are_words(kind: str) -> None:
    assert LayerKey("x", AMD64, BUILD_ID, kind=kind).map_key == f"{BUILD_ID};kind={kind}"


@pytest.mark.parametrize("kind", ["", "A", "1a", "a;b", "a_b", "x" * 33])
def test_a_kind_that_is_no_word_is_refused(kind: str) -> None:
    with pytest.raises(ValueError, match=f"expected a lower-case word .*, found '{kind}'"):
        LayerKey("x", AMD64, BUILD_ID, kind=kind)


TEXT = st.text(max_size=40) | st.lists(
    st.sampled_from(["..", ".", "", "a", "%", "%2E", "con", "\0", "é", "x" * 300, "\ud800"]),
    max_size=6,
).map("/".join)


@given(TEXT)
def test_an_escaped_path_stays_below_its_root(text: str) -> None:
    path = escape_path(text)
    assert os.path.normpath(os.path.join("/root/bin", path)) == f"/root/bin/{path}"
    assert path.isascii()
    assert all(len(component) <= 180 for component in path.split("/"))
    assert len(path) <= 1024


@given(TEXT, TEXT)
def test_two_texts_never_share_a_path(one: str, other: str) -> None:
    assert (escape_path(one) == escape_path(other)) == (one == other)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=15))
def test_unescaping_gives_the_text_back(text: str) -> None:
    assert unescape_path(escape_path(text)) == text
