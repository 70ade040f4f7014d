"""Pages for the tests of this directory: one with everything on it, and ones of any size."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace

from ko_pants.explanation.changes import FIRST_PUBLISH, Change
from ko_pants.publish_page.content import (
    COMPILE,
    LACKING,
    LAYER,
    PREBUILT,
    TAGS,
    UPLOAD,
    Artifact,
    Image,
    Layer,
    Page,
    Platform,
    Program,
    Span,
)
from ko_pants.publishing import run_totals
from ko_pants.publishing.run_totals import RunTotals, Transfers

# 2026-11-28 20:00:00 UTC
BEGAN = 1795896000.0
INDEX = "application/vnd.oci.image.index.v1+json"
DISTROLESS = "gcr.io/distroless/static-debian12:nonroot"
_PLATFORMS = ("linux/amd64", "linux/arm64", "linux/arm/v7", "linux/s390x", "linux/riscv64")


EDIT = (
    Change(
        "source file",
        "services/checkout/cart.go",
        "sha256:" + "1" * 64,
        "sha256:" + "2" * 64,
        (
            "compile for linux/amd64, linux/arm64 ran",
            "the executable for linux/amd64, linux/arm64 is another, its layer was uploaded",
        ),
    ),
    Change(
        "source file",
        "services/checkout/total.go",
        None,
        "sha256:" + "3" * 64,
        (
            "compile for linux/amd64, linux/arm64 ran",
            "the executable for linux/amd64, linux/arm64 is another, its layer was uploaded",
        ),
    ),
    Change("field", "image_labels", "team=shop", None, ("the image was composed anew",)),
)


def digest(*of: object) -> str:
    """A digest that stands for these values."""
    return "sha256:" + hashlib.sha256(repr(of).encode()).hexdigest()


def base_layers(platform: str, outcome: str) -> tuple[Layer, ...]:
    """The layers of a base: alike in all images."""
    sizes = (104_231, 13_102, 543_882, 67, 122_002, 385, 321)
    return tuple(
        Layer("base", digest("base", platform, n), size, outcome) for n, size in enumerate(sizes)
    )


def platform(name: str, program: str, outcome: str, source: str) -> Platform:
    """One platform of an image: base, kodata, program."""
    is_new = outcome in ("uploaded", "written")
    size = 5_000_000 + int(digest(program, name)[-4:], 16) * 40
    reused = "reused" if outcome else ""
    return Platform(
        name,
        (
            *base_layers(name, reused),
            Layer("kodata", digest("kodata", program), 12_288, reused, 0, "kocache"),
            Layer(
                "binary",
                digest(program, name, outcome),
                size,
                outcome,
                size if is_new else 0,
                "ran" if source == "ran" else "kocache",
                Program(program, source, 1.4 if source == "ran" else None),
                0.3 if source == "ran" else None,
            ),
        ),
    )


def image(
    name: str,
    outcome: str,
    *,
    blobs: str = "reused",
    source: str = "memoized",
    platforms: int = 2,
    begin: float = 0.0,
    reason: str = "",
    tags: tuple[str, ...] = ("latest",),
    artifacts: tuple[Artifact, ...] = (),
    changes: tuple[Change, ...] | None = None,
) -> Image:
    """An image with all that belongs to its outcome."""
    names = _PLATFORMS[:platforms]
    spans: list[Span] = []
    for number, each in enumerate(names if source == "ran" else ()):
        start = begin + 0.2 * number
        spans += [
            Span(COMPILE, f"{name} for {each}", start, start + 1.4),
            Span(LAYER, each, start + 1.4, start + 1.7),
            Span(UPLOAD, each, start + 1.75, start + 2.1),
        ]
    if spans and not reason:
        # Those of all images move together.
        moved = max(begin + 2.5, 4.6)
        spans.append(Span(TAGS, "", moved, moved + 0.1))
    return Image(
        target=f"services/{name}:image",
        names=tuple(f"registry.example.com/shop/{name}:{tag}" for tag in tags),
        outcome=outcome,
        digest=digest(name, outcome),
        media_type=INDEX,
        base=DISTROLESS,
        platforms=tuple(platform(each, name, blobs, source) for each in names),
        requests=14 if spans else 1,
        reason=reason,
        artifacts=artifacts,
        spans=tuple(spans),
        changes=changes,
    )


def page_of(*images: Image, repository: str = "shop", seconds: float = 7.4) -> Page:
    """A page whose totals fit the images."""
    layers = [layer for i in images for each in i.platforms for layer in each.layers]
    programs = {layer.digest: layer.program for layer in layers if layer.program is not None}
    added = {layer.digest: layer.source for layer in layers if layer.kind != "base"}
    moved = Counter(layer.outcome for layer in layers if layer.outcome not in ("", LACKING))
    sent = sum(layer.bytes for layer in layers)
    totals = RunTotals(
        targets=len({i.target for i in images}),
        images=Counter(i.outcome for i in images),
        compiles=Counter(p.source for p in programs.values() if p.source != PREBUILT),
        layers=Counter(added.values()),
        processes={"ran": 6},
        transfers=Transfers(moved, sent, sent, 0),
        requests=sum(i.requests for i in images) + 3,
        fetched_bytes=0,
        seconds=seconds,
    )
    return Page(repository, BEGAN, "0.1.0", totals, images)


def everything() -> Page:
    """Every outcome, and a failure that tells why."""
    sbom = digest("sbom")
    return page_of(
        image(
            "billing",
            run_totals.FAILED,
            blobs=LACKING,
            source="ran",
            begin=0.3,
            reason=(
                "not tagged: services/billing:image: registry.example.com/shop/billing: "
                "PUT https://registry.example.com/v2/shop/billing/blobs/uploads/…: 403 DENIED: "
                "requested access to the resource is denied. The credentials need the right to push"
            ),
        ),
        image(
            "checkout",
            run_totals.PUSHED,
            blobs="uploaded",
            source="ran",
            begin=0.6,
            tags=("latest", "2026-11-28.3"),
            artifacts=(
                Artifact("spdx", "linux/amd64", sbom, 48_211, "uploaded"),
                Artifact("spdx", "", digest("index"), 1_822, "uploaded"),
            ),
            changes=EDIT,
        ),
        image(
            "gateway",
            run_totals.PUSHED,
            blobs="uploaded",
            source="ran",
            begin=1.5,
            platforms=1,
            changes=(Change(FIRST_PUBLISH, "services/gateway:image", None, digest("g"), ()),),
        ),
        image("cart", run_totals.TAGGED, tags=("latest", "2026-11-28.3"), changes=()),
        image("catalog", run_totals.UP_TO_DATE),
        image("ledger", run_totals.UP_TO_DATE, platforms=5),
        image("notify", run_totals.UP_TO_DATE),
        image(
            "tools/with-a-very-long-name/of-a-directory/that-does-not-end",
            run_totals.NOT_PUSHED,
            blobs="",
            source=PREBUILT,
            reason="by skip_push on services/tools:image",
        ),
    )


def edited() -> Page:
    """A usual run: an edit, a new image, a new tag. The rest is up to date."""
    new = Change(FIRST_PUBLISH, "services/gateway:image", None, digest("g"), ())
    return page_of(
        image(
            "checkout",
            run_totals.PUSHED,
            blobs="uploaded",
            source="ran",
            begin=0.4,
            changes=EDIT,
        ),
        image(
            "gateway",
            run_totals.PUSHED,
            blobs="uploaded",
            source="ran",
            begin=1.2,
            platforms=1,
            changes=(new,),
        ),
        replace(
            image("cart", run_totals.TAGGED, tags=("latest", "2026-11-28.3"), changes=()),
            spans=(Span(TAGS, "", 4.6, 4.7),),
        ),
        *(image(name, run_totals.UP_TO_DATE) for name in ("billing", "catalog", "notify")),
        image("ledger", run_totals.UP_TO_DATE, platforms=5),
        image("storefront", run_totals.UP_TO_DATE),
        seconds=5.6,
    )


def many(images: int, platforms: int) -> Page:
    """A repository of that size, in which every image was compiled."""
    return page_of(
        *(
            image(
                f"group-{n % 20}/service-{n}",
                run_totals.PUSHED,
                blobs="uploaded",
                source="ran",
                platforms=platforms,
                begin=n * 0.4,
            )
            for n in range(images)
        ),
        seconds=images * 0.4 + 5,
    )
