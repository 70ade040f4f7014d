"""What a real ko wrote, read without ko."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from ko_pants.kocache.cache import KoCache
from ko_pants.kocache.inspection import inspect_entries, measure_usage
from ko_pants.kocache.keys import LayerKey
from ko_pants.kocache.map_files import find_diff_id
from ko_pants.kocache.maps import CachedLayer
from ko_pants.kocache.pruning import prune
from ko_pants.oci import media_types
from ko_pants.oci.descriptor import Descriptor
from ko_pants.oci.platform import Platform

GZIP = "deflate-0.8.1/gzip-1/1MiB"
FIXTURES = Path(__file__).parent / "fixtures" / "ko-0.19.1"
FIRST, SECOND = (
    LayerKey("example.com/hello", Platform("linux", "amd64"), build_id)
    for build_id in (
        "1GmOGg3NaRaUs_ktjQC4/aXi9aLiQRt6XNswzl5UM/R6zJ0LIEy5WqC8k3uiXa/wWbSkzv7wR7KhsVWZ7tB",
        "nMtscDgGrhuqZUNXfIQE/gsStZ5tq4-2OTvmDjdpd/_w18SE5o4lHrT4RmBKGB/nTF9kECzc5va6x_p1O9H",
    )
)
FIRST_LAYER = CachedLayer(
    "sha256:6e9717b5aa13df71aae98b022eba929e82f7dcb5c620fedd493d10a7fc792bf9",
    Descriptor(
        media_types.OCI_LAYER_GZIP,
        "sha256:3b71e876484011714bc1dd241634170144dc4c2965c7b7e6ee76de584ea352f6",
        1171446,
    ),
    "unknown",
)
SECOND_DIFF_ID = "sha256:9bb72311bc3fd04b68edc6d78cb6fcfe1d8681f146b56d857045c3b9b225af61"


class Fixture:
    def __init__(self, name: str, root: Path) -> None:
        self.root = root
        self.warnings: list[str] = []
        shutil.copytree(FIXTURES / name, root)
        self.maps = root / FIRST.directory
        (self.maps / "out").write_bytes(b"\x7fELF")

    def cache(self) -> KoCache:
        return KoCache(str(self.root), warn=self.warnings.append)


@pytest.fixture(params=["two-builds", "after-ours"])
def fixture(request: Any, tmp_path: Path) -> Fixture:
    return Fixture(request.param, tmp_path / "cache")


def test_kos_layers_are_found_only_where_allowed(fixture: Fixture) -> None:
    cache = fixture.cache()
    assert cache.lookup(FIRST, GZIP) is None
    assert cache.lookup(SECOND, GZIP) is None
    build_ids = str(fixture.maps / "buildid-to-diffid")
    assert find_diff_id(FIRST, build_ids, cache.root.problems) == FIRST_LAYER.diff_id
    assert find_diff_id(SECOND, build_ids, cache.root.problems) == SECOND_DIFF_ID
    assert cache.lookup(FIRST, GZIP, allow_foreign=True) == FIRST_LAYER
    assert fixture.warnings == []


def test_ours_lie_beside_and_kos_stay(fixture: Fixture) -> None:
    shared = fixture.maps / "diffid-to-descriptor"
    before = shared.read_bytes()
    ours = CachedLayer(
        SECOND_DIFF_ID, Descriptor(media_types.OCI_LAYER_GZIP, f"sha256:{'12' * 32}", 5), GZIP
    )
    assert fixture.cache().record(SECOND, ours)
    assert fixture.cache().lookup(SECOND, GZIP) == ours
    assert fixture.cache().lookup(FIRST, GZIP, allow_foreign=True) == FIRST_LAYER
    assert shared.read_bytes() == before


def test_nothing_of_ours_in_the_tail_of_kos_file_counts(tmp_path: Path) -> None:
    fixture = Fixture("after-ours", tmp_path / "cache")
    with pytest.raises(ValueError, match="Extra data"):
        json.loads((fixture.maps / "diffid-to-descriptor").read_text())
    assert fixture.cache().lookup(SECOND, GZIP, allow_foreign=True) is None
    assert [(e.state, e.keys) for e in inspect_entries(fixture.cache().root)] == [
        ("foreign", (FIRST.map_key,)),
        ("half", (SECOND.map_key,)),
    ]


def test_kos_base_image_is_read_and_not_pruned(tmp_path: Path) -> None:
    fixture = Fixture("two-builds", tmp_path / "cache")
    cache = fixture.cache()
    prune(cache.root, max_age_seconds=-1, max_bytes=0)
    (listed,) = json.loads((fixture.root / "img/index.json").read_text())["manifests"]
    manifest = cache.read_content(listed["digest"])
    assert manifest is not None
    config = cache.read_content(json.loads(manifest)["config"]["digest"])
    assert config is not None
    assert json.loads(config)["architecture"] == "amd64"
    usage = measure_usage(cache.root)
    assert (usage.foreign, usage.layers, usage.contents, usage.ko_bytes) == (2, 0, 2, 4)
