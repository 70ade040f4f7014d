"""Lock files of base images: written the same everywhere, checked when read, and compared."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oci.images import AMD64, ARM7, ARM64, WINDOWS, base_image, digest

from ko_pants.errors import KoPantsError
from ko_pants.oci.base_lock import (
    BaseLock,
    LockedPlatform,
    lock_changes,
    lock_content,
    lock_of,
    parse_lock,
    unlocked_platform,
)
from ko_pants.oci.platform import Platform

IMAGE = "registry.example.com/base:latest"
LOCK = BaseLock(
    IMAGE,
    digest("index"),
    (LockedPlatform("linux/amd64", digest(1)), LockedPlatform("linux/arm64/v8", digest(2))),
)


def test_a_line_for_each_platform() -> None:
    assert lock_content(LOCK).decode() == (
        "{\n"
        '  "version": 1,\n'
        f'  "image": "{IMAGE}",\n'
        f'  "digest": "{digest("index")}",\n'
        '  "platforms": [\n'
        f'    {{"platform": "linux/amd64", "digest": "{digest(1)}"}},\n'
        f'    {{"platform": "linux/arm64/v8", "digest": "{digest(2)}"}}\n'
        "  ]\n"
        "}\n"
    )


def test_the_lock_of_a_base_has_its_platforms_sorted() -> None:
    base = base_image(WINDOWS, ARM7, AMD64)
    lock = lock_of(base)
    assert (lock.image, lock.digest) == (base.name, base.digest)
    assert [p.platform for p in lock.platforms] == [str(AMD64), str(ARM7), str(WINDOWS)]
    assert [p.parsed() for p in lock.platforms] == [AMD64, ARM7, WINDOWS]
    assert lock_of(base_image(AMD64, WINDOWS, ARM7)) == lock


DIGESTS = st.integers(0, 5).map(digest)
WORDS = st.text(st.characters(codec="utf-8", exclude_characters="/:"), min_size=1, max_size=9)
PLATFORMS = st.builds(Platform, WORDS, WORDS, st.one_of(st.just(""), WORDS), st.text(max_size=9))


@given(
    st.text(min_size=1, max_size=20), DIGESTS, st.lists(st.tuples(PLATFORMS, DIGESTS), min_size=1)
)
def test_what_is_written_is_read(
    image: str, top: str, platforms: list[tuple[Platform, str]]
) -> None:
    locked = tuple(sorted(LockedPlatform(str(p), d) for p, d in platforms))
    lock = BaseLock(image, top, locked)
    assert parse_lock(lock_content(lock), where="here") == lock
    assert {p.parsed() for p in locked} == {p for p, _ in platforms}
    assert json.loads(lock_content(lock))["image"] == image


@given(st.recursive(st.none() | st.integers() | st.text(), lambda v: st.lists(v), max_leaves=3))
def test_any_json_is_a_lock_or_an_error_for_the_user(value: object) -> None:
    for key in ("version", "image", "digest", "platforms"):
        document = {**json.loads(lock_content(LOCK)), key: value}
        with contextlib.suppress(KoPantsError):
            parse_lock(json.dumps(document).encode(), where="here")


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"version": 2}, "expected `version` to be 1, found 2 of a newer ko_pants"),
        ({"version": "1"}, "expected `version` to be 1, found '1'"),
        ({"version": None}, "found None"),
        ({"image": ""}, "expected `image` to be a reference, found ''"),
        ({"image": 3}, "expected `image` to be a reference, found 3"),
        ({"digest": "sha256:1"}, "expected `digest` to be a sha256 digest, found 'sha256:1'"),
        ({"platforms": []}, "expected a list `platforms`, found []"),
        ({"platforms": {}}, "expected a list `platforms`, found {}"),
        ({"platforms": ["linux/amd64"]}, "expected an object with `platform`"),
        ({"platforms": [{"platform": "amd64"}]}, "expected an object with `platform`"),
        (
            {"platforms": [{"platform": "linux/amd64"}]},
            "platforms, linux/amd64: expected `digest` to be a sha256 digest, found None",
        ),
    ],
    ids=str,
)
def test_a_damaged_lock(change: dict[str, Any], found: str) -> None:
    document = {**json.loads(lock_content(LOCK)), **change}
    with pytest.raises(KoPantsError) as e:
        parse_lock(json.dumps(document).encode(), where="images/static.lock.json")
    assert str(e.value).startswith("images/static.lock.json")
    assert found in str(e.value)


@pytest.mark.parametrize(
    "content", [b"", b"<<<<<<< HEAD\n", lock_content(LOCK)[:-9], b"[]", b"\xff"]
)
def test_a_lock_that_is_no_json(content: bytes) -> None:
    with pytest.raises(KoPantsError, match=r"^here: expected"):
        parse_lock(content, where="here")


def test_a_lock_that_another_tool_has_formatted_is_the_same() -> None:
    content = json.dumps({**json.loads(lock_content(LOCK)), "more": 1}, indent=4).encode()
    assert parse_lock(content, where="here") == LOCK


def locked(*platforms: tuple[str, object]) -> BaseLock:
    return replace(LOCK, platforms=tuple(LockedPlatform(p, digest(d)) for p, d in platforms))


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        (LOCK, LOCK, []),
        (
            LOCK,
            replace(LOCK, digest=digest("new")),
            [f"digest: {digest('index')} -> {digest('new')}"],
        ),
        (LOCK, replace(LOCK, image="x/y:z"), [f"image: {IMAGE} -> x/y:z"]),
        (
            locked(("linux/amd64", 1), ("linux/arm64", 2), ("linux/s390x", 3)),
            locked(("linux/amd64", 1), ("linux/arm64", 4), ("linux/arm/v7", 5)),
            [
                f"linux/arm/v7: added {digest(5)}",
                f"linux/arm64: {digest(2)} -> {digest(4)}",
                f"linux/s390x: removed {digest(3)}",
            ],
        ),
        (
            # Two images for one platform.
            locked(("linux/amd64", 1)),
            locked(("linux/amd64", 1), ("linux/amd64", 2)),
            [f"linux/amd64: {digest(1)} -> {digest(1)}, {digest(2)}"],
        ),
    ],
)
def test_what_changed(old: BaseLock, new: BaseLock, changes: list[str]) -> None:
    assert lock_changes(old, new) == changes


def test_a_base_that_is_not_what_the_lock_says() -> None:
    base = base_image(AMD64, ARM64)
    lock = lock_of(base)
    assert unlocked_platform(lock, base) is None
    # Fewer platforms than are locked are right.
    assert unlocked_platform(lock, replace(base, manifests=base.manifests[:1])) is None
    other = replace(lock, platforms=lock.platforms[:1])
    assert unlocked_platform(other, base) == lock.platforms[1]


def test_a_cpu_level_stands_on_the_locked_image_of_a_lower_one() -> None:
    base = base_image(AMD64, ARM64)
    lock = lock_of(base)
    level = replace(base.manifests[0], platform=replace(AMD64, variant="v3"))
    assert unlocked_platform(lock, replace(base, manifests=(level,))) is None
    other = replace(level, digest=digest("f"))
    found = unlocked_platform(lock, replace(base, manifests=(other,)))
    assert found == LockedPlatform("linux/amd64/v3", digest("f"))
