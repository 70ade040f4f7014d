"""Whatever was recorded and whatever happens to a file: the right value or a miss."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ko_pants.kocache.cache import KoCache
from ko_pants.kocache.inspection import inspect_entries
from ko_pants.kocache.keys import LayerKey
from ko_pants.kocache.maps import CachedLayer
from ko_pants.kocache.pruning import prune
from ko_pants.oci import media_types
from ko_pants.oci.descriptor import Descriptor
from ko_pants.oci.platform import Platform

COMPRESSORS = ("libdeflate-1.24/gzip-1", "libdeflate-1.24/gzip-6", "libzstd-1.5.7/zstd-3")
AMD64 = Platform("linux", "amd64")
QUICK = settings(
    deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def hex_digest(prefix: str, number: int) -> str:
    """Digests that differ in one digit, so that damage turns one into the other."""
    return f"sha256:{prefix * 32}"[:-1] + f"{number:x}"


KEYS = [
    *(LayerKey("example.com/app", AMD64, hex_digest("a0", number)) for number in range(3)),
    LayerKey("example.com/app", AMD64, hex_digest("a0", 0), variant="app=/x"),
    LayerKey("example.com/app", AMD64, hex_digest("a0", 0), kind="kodata"),
    LayerKey("example.com/other", AMD64, hex_digest("a0", 0)),
]


def layer(tar: int, compressor: str, blob: int) -> CachedLayer:
    media_type = media_types.OCI_LAYER_ZSTD if "zstd" in compressor else media_types.OCI_LAYER_GZIP
    prefix = "b" + str(COMPRESSORS.index(compressor))
    return CachedLayer(
        hex_digest("c0", tar),
        Descriptor(media_type, hex_digest(prefix, blob), 7 + blob),
        compressor,
    )


RECORD = st.tuples(
    st.just("record"),
    st.lists(
        st.tuples(
            st.sampled_from(KEYS),
            st.builds(layer, st.integers(0, 3), st.sampled_from(COMPRESSORS), st.integers(0, 3)),
        ),
        min_size=1,
        max_size=4,
        # A run has one diffID for a key, in whatever encodings.
    ).filter(lambda batch: len(dict(batch)) == len({(key, v.diff_id) for key, v in batch})),
)
PRUNE = st.tuples(st.just("prune"), st.booleans())
KO_COMES = st.tuples(st.just("ko comes"), st.sampled_from(KEYS))


class Model:
    """What a cache without bounds would know."""

    def __init__(self) -> None:
        self.diff_ids: dict[LayerKey, str] = {}
        self.recorded: dict[tuple[LayerKey, str], str] = {}
        self.layers: dict[tuple[str, str, str], CachedLayer] = {}
        self.before_ko: set[tuple[LayerKey, str]] = set()

    def record(self, key: LayerKey, value: CachedLayer) -> None:
        self.diff_ids[key] = self.recorded[key, value.compressor] = value.diff_id
        self.layers[key.directory, value.compressor, value.diff_id] = value
        self.before_ko.discard((key, value.compressor))

    def ko_comes(self, key: LayerKey) -> None:
        """What lies in the file that ko is going to overwrite may be lost from now on."""
        self.before_ko |= {pair for pair in self.recorded if pair[0].directory == key.directory}

    def lookup(self, key: LayerKey, compressor: str) -> CachedLayer | None:
        diff_id = self.diff_ids.get(key)
        if diff_id is None or self.recorded.get((key, compressor)) != diff_id:
            return None
        return self.layers.get((key.directory, compressor, diff_id))

    def check(self, cache: KoCache) -> None:
        for key in KEYS:
            for compressor in COMPRESSORS:
                found, expected = cache.lookup(key, compressor), self.lookup(key, compressor)
                if found is None and (key, compressor) in self.before_ko:
                    continue
                assert found == expected


@QUICK
@given(st.lists(st.one_of(RECORD, RECORD, PRUNE, KO_COMES), max_size=12))
def test_what_is_read_back_is_what_was_written(steps: list[tuple[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as root:
        warnings: list[str] = []
        model, long_lived = Model(), KoCache(root, warn=warnings.append)
        for step, argument in steps:
            if step == "record":
                assert long_lived.record_many(argument)
                for key, value in argument:
                    model.record(key, value)
            elif step == "ko comes":
                out = Path(root, argument.directory, "out")
                out.parent.mkdir(parents=True, exist_ok=True)
                out.touch()
                model.ko_comes(argument)
            elif argument and not list(Path(root).rglob("out")):
                prune(long_lived.root, max_age_seconds=-1)
                model = Model()
            else:
                prune(long_lived.root, max_age_seconds=3600)
            model.check(long_lived)
        model.check(KoCache(root, warn=warnings.append))
        assert warnings == []


class Filled:
    """A cache with several near-identical entries, whose files are damaged one at a time."""

    def __init__(self, root: Path, beside_ko: bool) -> None:
        self.root = root
        self.truth = {
            (key, compressor): layer(number, compressor, number)
            for number, key in enumerate(KEYS)
            for compressor in COMPRESSORS[: 1 + (number + 1) % 3]
        }
        if beside_ko:
            out = root / KEYS[0].directory / "out"
            out.parent.mkdir(parents=True)
            out.touch()
        assert KoCache(str(root)).record_many(
            [(key, value) for (key, _), value in self.truth.items()]
        )
        self.files = {
            path: path.read_bytes() for path in sorted(root.rglob("*-to-*")) if path.is_file()
        }

    def check(self) -> None:
        """Every lookup gives the right layer or none, and a record heals."""
        cache = KoCache(str(self.root), warn=lambda _: None)
        for key in KEYS:
            values = [value for (one, _), value in self.truth.items() if one == key]
            right = [(value.diff_id, value.descriptor) for value in values]
            for compressor in COMPRESSORS:
                found = cache.lookup(key, compressor)
                assert found is None or found == self.truth.get((key, compressor))
                found = cache.lookup(key, compressor, allow_foreign=True)
                # One that lost its annotation is taken for ko's: who made it is not known then.
                assert found is None or (found.diff_id, found.descriptor) in right
        list(inspect_entries(cache.root))

    def restore(self) -> None:
        for path, content in self.files.items():
            path.write_bytes(content)


@pytest.fixture(scope="module", params=[False, True], ids=["alone", "beside ko"])
def filled(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Filled:
    return Filled(tmp_path_factory.mktemp("filled"), request.param)


@st.composite
def damages(draw: st.DrawFn) -> tuple[str, int, int, int, int, int]:
    """What to do, to which file, from where to where, with which other file at which place."""
    place = st.integers(0, 1 << 16)
    return (
        draw(st.sampled_from(["flip", "flip", "cut", "splice", "splice", "swap"])),
        draw(st.integers(0, 20)),
        draw(place),
        draw(place | st.integers(0, 100)),
        draw(st.integers(0, 20)),
        draw(st.integers(1, 255) | st.integers(0, 7).map(lambda bit: 1 << bit)),
    )


def damage(contents: list[bytes], what: tuple[str, int, int, int, int, int]) -> tuple[int, bytes]:
    kind, index, start, length, other, mask = what
    index %= len(contents)
    content, source = contents[index], contents[other % len(contents)]
    start %= len(content) + 1
    if kind == "flip" and start < len(content):
        return index, content[:start] + bytes([content[start] ^ mask]) + content[start + 1 :]
    if kind == "cut":
        return index, content[:start]
    if kind == "swap":
        return index, source
    # A piece of another file (or of this) in the place of what is there, or before it.
    begin = (start * mask) % (len(source) + 1)
    piece = source[begin : begin + length % 700]
    tail = content[start + (len(piece) if mask % 2 else 0) :]
    return index, content[:start] + piece + tail


@settings(QUICK, max_examples=120)
@given(damages())
@example(("splice", 5, 1964, 53, 8, 54))
def test_damage_is_the_right_value_or_a_miss(filled: Filled, what: Any) -> None:
    filled.restore()
    index, content = damage(list(filled.files.values()), what)
    list(filled.files)[index].write_bytes(content)
    filled.check()


def test_every_hex_digit_changed_is_the_right_value_or_a_miss(filled: Filled) -> None:
    """The damage that keeps a file well-formed: one digit of a digest, a size, a key, a check."""
    for path, content in filled.files.items():
        places = [i for i in range(len(content)) if chr(content[i]) in "0123456789abcdef"]
        for place in places[:: max(1, len(places) // 30)]:
            filled.restore()
            digit = b"1" if content[place : place + 1] != b"1" else b"2"
            path.write_bytes(content[:place] + digit + content[place + 1 :])
            filled.check()


def test_a_file_cut_at_any_byte_heals(tmp_path: Path) -> None:
    key, value = KEYS[0], layer(0, COMPRESSORS[0], 0)
    assert KoCache(str(tmp_path)).record(key, value)
    for name in ("buildid-to-diffid", "diffid-to-descriptor"):
        path = tmp_path / key.directory / name
        whole = path.read_bytes()
        for length in range(0, len(whole) - 1, 3):
            path.write_bytes(whole[:length])
            cache = KoCache(str(tmp_path), warn=lambda _: None)
            # Cut after the closing brace, nothing is lost.
            assert cache.lookup(key, COMPRESSORS[0]) is None
            assert cache.record(key, value)
            assert cache.lookup(key, COMPRESSORS[0]) == value
            assert path.read_bytes() == whole
