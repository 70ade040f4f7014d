"""What is said of a run: outcomes of images, the line, the JSON."""

from __future__ import annotations

from pathlib import Path

import pytest
from publishing.publish_runs import Run
from publishing.published_images import app

from ko_pants.publishing.publication import BlobOutcome, Found, Published
from ko_pants.publishing.run_totals import (
    IMAGE_OUTCOMES,
    RunTotals,
    Transfers,
    outcome_of,
    transfers_of,
)

NOTHING = RunTotals(0, {}, {}, {}, {}, Transfers(), requests=0, fetched_bytes=0, seconds=0.25)

LINES = {
    "8 images: 8 up to date. 9 requests, 0.3 s.": RunTotals(
        8,
        {"up to date": 8},
        {"memoized": 16},
        {"memoized": 23, "kocache": 1},
        {},
        Transfers(),
        requests=9,
        fetched_bytes=310,
        seconds=0.31,
    ),
    (
        "8 images: 6 up to date, 1 tagged, 1 pushed. Compiles: 1 run, 4 from the remote cache. "
        "Layers: 1 made, 4 from KOCACHE; 1 uploaded (2.1 MB), 3 reused. 14 requests, 1.2 s."
    ): RunTotals(
        8,
        {"pushed": 1, "tagged": 1, "up to date": 6},
        {"ran": 1, "remote cache": 4},
        {"kocache": 4, "ran": 1},
        {"ran": 3},
        Transfers({"uploaded": 1, "reused": 3}, 2_100_000, 2_101_000),
        requests=14,
        fetched_bytes=0,
        seconds=1.2,
    ),
    (
        "1 image at 2 destinations: 1 written, 1 failed. Compiles: 1 from the local cache, 1 in "
        "memory. Layers: 1 from the local cache, 2 in memory; 2 written (1.2 kB), 1 mounted. "
        "1 request, 5.0 MB fetched, 734 s."
    ): RunTotals(
        1,
        {"failed": 1, "written": 1},
        {"local cache": 1, "memoized": 1},
        {"memoized": 2, "local cache": 1},
        {"local cache": 2},
        Transfers({"written": 2, "mounted": 1}, 1_200, 0, 1_300),
        requests=1,
        fetched_bytes=5_000_000,
        seconds=734.4,
    ),
}


@pytest.mark.parametrize("line", LINES)
def test_the_line(line: str) -> None:
    assert LINES[line].sentence() == line


def test_every_outcome_is_in_the_line() -> None:
    totals = RunTotals(
        8, dict.fromkeys(IMAGE_OUTCOMES, 1), {}, {}, {}, Transfers(), 0, 0, 0.0
    ).sentence()
    assert totals == (
        "8 images: 1 up to date, 1 tagged, 1 pushed, 1 written, 1 loaded, 1 given artifacts, "
        "1 not pushed, 1 failed. 0 requests, 0.0 s."
    )


def test_the_json_has_all_keys_in_every_run() -> None:
    some = next(totals for line, totals in LINES.items() if "remote" in line).to_json()
    assert some == {
        "publisher": "ko_pants",
        "targets": 8,
        "images": {
            "up_to_date": 6,
            "tagged": 1,
            "pushed": 1,
            "written": 0,
            "loaded": 0,
            "given_artifacts": 0,
            "not_pushed": 0,
            "failed": 0,
        },
        "compiles": {"ran": 1, "local_cache": 0, "remote_cache": 4, "memoized": 0},
        "layers": {"ran": 1, "local_cache": 0, "remote_cache": 0, "memoized": 0, "kocache": 4},
        "processes": {"ran": 3, "local_cache": 0, "remote_cache": 0},
        "transfers": {"uploaded": 1, "written": 0, "mounted": 0, "reused": 3},
        "bytes": {"fetched": 0, "pushed": 2_101_000, "written": 0},
        "requests": 14,
        "seconds": 1.2,
    }
    none = NOTHING.to_json()
    assert set(none) == set(some)
    for key, value in some.items():
        if isinstance(value, dict):
            assert dict.fromkeys(value, 0) == none[key]


def test_outcomes_of_images(tmp_path: Path) -> None:
    new = Run(tmp_path).check(app(tmp_path))
    tags = Found(new.publication, ("v1",), present=True, missing={})
    there = Found(new.publication, (), present=True, missing={})
    assert outcome_of(None, began=False, failed=False) == "not pushed"
    assert outcome_of(there, began=False, failed=False) == "up to date"
    assert outcome_of(there, began=True, failed=False) == "given artifacts"
    assert outcome_of(tags, began=True, failed=False) == "tagged"
    assert outcome_of(new, began=True, failed=False) == "written"
    assert outcome_of(new, began=True, failed=True) == "failed"


@pytest.mark.parametrize(
    ("place", "outcome"), [("r.example.com", "pushed"), ("ko.local", "loaded")]
)
def test_where_an_image_went(place: str, outcome: str, tmp_path: Path) -> None:
    from dataclasses import replace

    new = Run(tmp_path).check(app(tmp_path))
    destination = replace(new.publication.destination, registry=place, layout="")
    found = replace(new, publication=replace(new.publication, destination=destination))
    assert outcome_of(found, began=True, failed=False) == outcome


def test_what_was_moved(tmp_path: Path) -> None:
    image = app(tmp_path)
    new = Run(tmp_path).check(image)
    first, second = (m.layers[-1].descriptor for m in image.image.manifests)
    config = image.image.manifests[0].config_descriptor.digest
    done = Published(
        {
            first.digest: BlobOutcome("uploaded", first.size),
            second.digest: BlobOutcome("mounted", 0),
            config: BlobOutcome("uploaded", 7),
        },
        5,
    )
    tagged = Found(new.publication, ("v1",), present=True, missing={})
    found = transfers_of([(new, done), (tagged, Published({}, 2))])
    # The layer of kodata was there, and it counts once for both platforms.
    assert found.layers == {"uploaded": 1, "mounted": 1, "reused": 1}
    assert found.layer_bytes == first.size
    assert found.pushed_bytes == first.size + 7
    assert found.written_bytes == 0
