"""What the page is told of a run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Iterator

import pytest

pytest.importorskip("pants.core.goals.publish", reason="needs Pants")

from fault_registry import FaultRegistry, fault_registry
from publishing.publish_runs import Run
from publishing.published_images import App, app, base_on

import ko_pants.rules  # noqa: F401  (chooses the engine's spelling)
from ko_pants.explanation.changes import Change
from ko_pants.page_of_run import page_of_run
from ko_pants.process_log import Work
from ko_pants.publish_page.content import Image, Program, Span
from ko_pants.publishing.destinations import Destination
from ko_pants.publishing.publication import Found, Published
from ko_pants.publishing.run_totals import FAILED, NOT_PUSHED, PUSHED, RunTotals, Transfers
from ko_pants.publishing.timeline import Timeline
from ko_pants.rules.run_report import ReportedImage

TOTALS = RunTotals(1, {}, {}, {}, {}, Transfers(), 0, 0, 1.0)
BEGAN = 1000.0
CHANGES = (Change("flag", "-race", None, "", ("compile for linux/amd64 ran",)),)


@pytest.fixture
def registry() -> Iterator[FaultRegistry]:
    with fault_registry() as running:
        yield running


def built(image: App, *, compiled: bool = True) -> Any:
    """A `BuiltImage`, as far as the page looks at it: a program for each platform."""

    def added(layer: Any) -> SimpleNamespace:
        content = SimpleNamespace(kind=layer.kind)
        made = SimpleNamespace(request=SimpleNamespace(content=content), diff_id=layer.diff_id)
        return SimpleNamespace(layer=made)

    return SimpleNamespace(
        owner="//:app",
        base=image.base,
        image=image.image,
        platforms=tuple(
            SimpleNamespace(
                platform=manifest.platform,
                executables=(
                    SimpleNamespace(
                        file_digest=f"file for {manifest.platform}",
                        compiled=compiled,
                        app_name="app",
                    ),
                ),
                layers=tuple(added(x) for x in manifest.layers if x.kind != "base"),
            )
            for manifest in image.image.manifests
        ),
    )


def work_of(image: App) -> Work:
    """A run that compiled for the first platform and had all else in memory."""
    first, second = (str(m.platform) for m in image.image.manifests)
    layers = {x.diff_id: "kocache" for m in image.image.manifests for x in m.layers}
    binary = image.image.manifests[0].layers[-1].diff_id
    return Work(
        {},
        {f"file for {first}": "ran", f"file for {second}": "memoized"},
        {**layers, binary: "ran"},
        {f"file for {first}": (1000.5, 1002.0), binary: (1002.0, 1002.25)},
    )


def image_of(
    image: App,
    outcome: str,
    found: Found | None,
    published: Published,
    *,
    skip: str = "",
    compiled: bool = True,
    timeline: Timeline | None = None,
) -> Image:
    destination = Destination("app", ("v1",), registry="r.example.com", skip=skip)
    made: Any = built(image, compiled=compiled)
    reported = ReportedImage(made, destination, found, lambda: published)
    images = [(reported, outcome)]
    page = page_of_run("repo", BEGAN, TOTALS, images, work_of(image), {"//:app": CHANGES}, timeline)
    assert (page.repository, page.began, page.totals) == ("repo", BEGAN, TOTALS)
    (only,) = page.images
    return only


def test_a_pushed_image(tmp_path: Path, registry: FaultRegistry) -> None:
    image = app(tmp_path)
    run = Run(tmp_path, registry)
    timeline = run.run.uploads.timeline = Timeline()
    upload = run.upload(image)
    assert run.commit(upload) == {}
    published = Published(dict(upload.outcomes), 9)
    shown = image_of(image, PUSHED, upload.found, published, timeline=timeline)
    assert (shown.target, shown.names) == ("//:app", ("r.example.com/app:v1",))
    assert (shown.digest, shown.requests, shown.reason) == (image.digest, 9, "")
    assert shown.changes == CHANGES
    assert [p.name for p in shown.platforms] == ["linux/amd64", "linux/arm64"]
    (kodata, program), (_, other) = (p.layers for p in shown.platforms)
    assert (kodata.kind, kodata.outcome, kodata.bytes) == ("kodata", "uploaded", kodata.size)
    assert (kodata.source, kodata.program) == ("kocache", None)
    assert program.program is not None
    assert program.program == Program("app", "ran", 1.5)
    assert (program.source, program.seconds) == ("ran", 0.25)
    assert other.program is not None
    assert other.program == Program("app", "memoized")
    assert (other.source, other.seconds) == ("kocache", None)
    assert shown.spans[:2] == (
        Span("compile", "app for linux/amd64", 0.5, 2.0),
        Span("layer", "binary for linux/amd64", 2.0, 2.25),
    )
    assert {(s.step, s.what) for s in shown.spans[2:]} == {
        ("upload", "kodata for linux/amd64"),
        *(
            ("upload", f"{kind} for linux/{a}")
            for kind in ("binary", "config")
            for a in ("amd64", "arm64")
        ),
        ("tags", ""),
    }


def test_what_a_registry_did_not_take_is_lacking(tmp_path: Path, registry: FaultRegistry) -> None:
    image = app(tmp_path)
    registry.whole_status = registry.patch_status = 403
    run = Run(tmp_path, registry)
    upload = run.upload(image)
    failure = run.commit(upload)[0]
    published = Published(dict(upload.outcomes), 3, failure)
    shown = image_of(image, FAILED, upload.found, published)
    assert shown.reason == failure
    assert "lacking" in {layer.outcome for p in shown.platforms for layer in p.layers}


def test_an_image_that_is_not_pushed(tmp_path: Path) -> None:
    image = app(tmp_path, base=base_on("r.example.com/base"))
    published = Published({}, 0)
    shown = image_of(image, NOT_PUSHED, None, published, skip="by skip_push", compiled=False)
    assert (shown.reason, shown.base, shown.changes) == ("by skip_push", "base", None)
    for each in shown.platforms:
        assert [layer.kind for layer in each.layers] == ["base", "kodata", "binary"]
        assert {layer.outcome for layer in each.layers} == {""}
        program = each.layers[-1].program
        assert program is not None
        assert program.source == "prebuilt"


def test_who_wants_no_page_does_not_load_it() -> None:
    code = (
        "import sys, ko_pants.register as register; register.rules()\n"
        "names = ('publish_page', 'page_of_run', 'publishing.timeline')\n"
        "wanted = tuple('ko_pants.' + name for name in names)\n"
        "print([name for name in sys.modules if name.startswith(wanted)])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr
