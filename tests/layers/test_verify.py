from __future__ import annotations

import gzip
import hashlib
import io
import random
import sys
import tracemalloc

import pytest
import zstandard

from ko_pants.errors import KoPantsError
from ko_pants.layers.verify import diff_id_of_blob
from ko_pants.oci import media_types

_TAR = random.Random(3).getrandbits(8 * 700_000).to_bytes(700_000, "big") + bytes(900_000)
_DIFF_ID = "sha256:" + hashlib.sha256(_TAR).hexdigest()
_FRAMES = zstandard.ZstdCompressor(level=3, write_checksum=True)
_GZIP = gzip.compress(_TAR[:800_000], mtime=0) + gzip.compress(_TAR[800_000:], mtime=0)
_ZSTD = _FRAMES.compress(_TAR[:800_000]) + _FRAMES.compress(_TAR[800_000:])


@pytest.mark.parametrize(
    ("blob", "media_type"),
    [
        (_GZIP, media_types.OCI_LAYER_GZIP),
        (_GZIP, media_types.DOCKER_LAYER_GZIP),
        (_GZIP, "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"),
        (_ZSTD, media_types.OCI_LAYER_ZSTD),
        (_ZSTD, media_types.DOCKER_LAYER_ZSTD),
        (_TAR, media_types.OCI_LAYER_TAR),
        (_TAR, media_types.DOCKER_LAYER_TAR),
    ],
)
def test_diff_id_of_every_layer_type(blob: bytes, media_type: str) -> None:
    assert diff_id_of_blob(io.BytesIO(blob), media_type) == _DIFF_ID


@pytest.mark.parametrize(
    ("blob", "media_type"),
    [(_GZIP, media_types.OCI_LAYER_GZIP), (_ZSTD, media_types.OCI_LAYER_ZSTD)],
    ids=["gzip", "zstd"],
)
class TestDamage:
    @pytest.mark.parametrize("keep", [0, 3, 0.4, -1])
    def test_a_blob_that_is_cut_off(self, blob: bytes, media_type: str, keep: float) -> None:
        end = int(len(blob) * keep) if isinstance(keep, float) else int(keep)
        with pytest.raises(KoPantsError, match="ends in the middle"):
            diff_id_of_blob(io.BytesIO(blob[:end]), media_type)

    @pytest.mark.parametrize("at", [0, 0.3, -3])
    def test_a_blob_with_a_flipped_bit(self, blob: bytes, media_type: str, at: float) -> None:
        damaged = bytearray(blob)
        damaged[int(len(blob) * at) if isinstance(at, float) else int(at)] ^= 0x10
        with pytest.raises(KoPantsError, match="is not whole"):
            diff_id_of_blob(io.BytesIO(bytes(damaged)), media_type)

    def test_a_blob_followed_by_something_else(self, blob: bytes, media_type: str) -> None:
        with pytest.raises(KoPantsError, match="is not whole"):
            diff_id_of_blob(io.BytesIO(blob + b"surprise"), media_type)


@pytest.mark.parametrize("media_type", [media_types.OCI_LAYER_GZIP, media_types.OCI_LAYER_ZSTD])
def test_a_bomb_takes_bounded_memory(media_type: str) -> None:
    size = 200 << 20
    if media_type.endswith("gzip"):
        one = gzip.compress(bytes(10 << 20), mtime=0)
        blob = one * (size // (10 << 20))
    else:
        blob = zstandard.ZstdCompressor(level=3).compress(bytes(10 << 20)) * (size // (10 << 20))
    tracemalloc.start()
    try:
        diff_id_of_blob(io.BytesIO(blob), media_type)
        assert tracemalloc.get_traced_memory()[1] < 60 << 20
    finally:
        tracemalloc.stop()


def test_a_media_type_without_known_compression_is_refused() -> None:
    with pytest.raises(KoPantsError, match="'text/plain' has no known compression"):
        diff_id_of_blob(io.BytesIO(b""), "text/plain")


@pytest.mark.parametrize(
    ("blob", "media_type", "most"),
    [
        (_GZIP, media_types.OCI_LAYER_GZIP, 256 << 10),
        (_ZSTD, media_types.OCI_LAYER_ZSTD, 1 << 10),
        (_TAR, media_types.OCI_LAYER_TAR, 256 << 10),
    ],
    ids=["gzip", "zstd", "tar"],
)
def test_a_blob_is_read_in_small_pieces(blob: bytes, media_type: str, most: int) -> None:
    asked: list[int] = []

    class Counted(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            asked.append(-1 if size is None else size)
            return super().read(size)

    assert diff_id_of_blob(Counted(blob), media_type) == _DIFF_ID
    assert all(0 < size <= most for size in asked)


def test_what_is_wrong_with_a_damaged_blob_and_what_to_do() -> None:
    with pytest.raises(KoPantsError) as e:
        diff_id_of_blob(io.BytesIO(_ZSTD[:-1]), media_types.OCI_LAYER_ZSTD)
    assert str(e.value) == (
        "the layer blob is not whole zstd: it ends in the middle of a frame. Expected complete "
        "zstd data and nothing after it; fetch or build it again."
    )


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    # None makes the import fail.
    monkeypatch.setitem(sys.modules, "zstandard", None)  # type: ignore[misc]
    with pytest.raises(KoPantsError, match="'zstandard' is not installed: it is needed to read"):
        diff_id_of_blob(io.BytesIO(_ZSTD), media_types.OCI_LAYER_ZSTD)
