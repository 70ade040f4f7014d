"""The rows with a cloud registry: TLS, a token server, a round trip away.

ko stands beside ours with Basic instead of tokens, as it refuses token servers on addresses of this
machine. That spares it its token requests, so the comparison is to its advantage.
"""

from __future__ import annotations

import contextlib
import itertools
import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Callable, Optional

from bench.cloud import CloudRegistry, Distance
from bench.measure import OURS, Outcome, Sample, median_ratio, median_seconds, once
from bench.monorepo import Monorepo, Shape
from bench.rows import Bench, Row, Workspace
from bench.tools import Ko, Ours, Setting

_PLATFORMS = ("linux/amd64", "linux/arm64")
# From so many images on, services import `os` alone, and ko, which takes minutes, is left out.
_MANY = 100
_NEAR = ", registry near"
_NEW_DAEMON = ", first run of the daemon"


@dataclass(frozen=True)
class _Place:
    """A workspace with its registries.

    :param ours: our tool, whose registry has a token server.
    :param ko: None where it does not take part.
    """

    workspace: Workspace
    registry: CloudRegistry
    ours: Ours
    ko: Optional[Ko]

    @property
    def count(self) -> int:
        return len(self.workspace.services)

    def monorepo(self) -> Monorepo:
        assert self.workspace.monorepo is not None
        return self.workspace.monorepo

    def publish(self, tool: Ours | Ko, what: str = "", tag: str = "latest") -> Sample:
        """Publish everything; `what` is printed behind the tool's name."""
        sample = once(
            tool.setting.registry, partial(tool.publish_all, self.workspace.services, tag=tag)
        )
        self.workspace.bench.say(
            f"    {tool.name}{what}: {sample.seconds:.2f} s, {sample.requests}"
        )
        return sample


def _place(bench: Bench, count: int) -> _Place:
    """The workspace for so many images. It is made, and published, when it is first asked for."""
    name = f"cloud-{count}"
    workspace = bench.published(name, partial(_make, bench, name, count))
    ours, *others = workspace.tools
    assert isinstance(ours, Ours)
    assert isinstance(workspace.registry, CloudRegistry)
    ko = next((tool for tool in others if isinstance(tool, Ko)), None)
    return _Place(workspace, workspace.registry, ours, ko)


def _make(bench: Bench, name: str, count: int) -> Workspace:
    many = count >= _MANY
    distance = _distance(bench)
    workspace = bench.make(
        name,
        Shape(services=count, tiny=many),
        platforms=_PLATFORMS,
        with_ko=False,
        registry=lambda place: CloudRegistry(place, distance),
    )
    logins = dict(workspace.registry.logins)
    if bench.ko_is_there() and not many:
        basic = CloudRegistry(workspace.place / "basic", distance, tokens=False)
        basic.start()
        logins.update(basic.logins)
        ours = workspace.setting
        workspace.tools.append(
            Ko(
                Setting(
                    *(ours.repo, ours.state, basic),
                    *(ours.standard_library, ours.goproxy, ours.platforms),
                )
            )
        )
    docker = Path(workspace.setting.environment()["DOCKER_CONFIG"])
    docker.mkdir(parents=True)
    (docker / "config.json").write_text(json.dumps({"auths": logins}))
    return workspace


def _distance(bench: Bench) -> Distance:
    options = bench.options
    return Distance(
        options.round_trip_ms / 1000,
        options.bandwidth,
        options.several_scopes,
        options.token_lifetime,
    )


def _of_all_sizes(measure: Callable[[_Place, Outcome], None], bench: Bench) -> Outcome:
    outcome = Outcome()
    for count in bench.options.cloud_images:
        bench.say(f"    images: {count}")
        measure(_place(bench, count), outcome)
    return outcome


def _add(outcome: Outcome, place: _Place, name: str, samples: list[Sample]) -> None:
    """Note the samples of a tool, and what they are in round trips."""
    label = f"{name}, {_images(place)}"
    outcome.samples[label] = samples
    seconds = median_seconds(samples)
    trip = place.registry.distance.round_trip_seconds
    if trip:
        outcome.figures[f"{label}: time in round trips"] = round(seconds / trip, 1)


def _compare(
    outcome: Outcome, place: _Place, name: str, ours: list[Sample], theirs: list[Sample]
) -> None:
    """Note the samples of ko, and how ours compare."""
    if theirs:
        _add(outcome, place, Ko.name, theirs)
        label = f"{name} / ko, {_images(place)}"
        outcome.figures[label] = round(median_ratio(ours, theirs), 4)


def _near(
    outcome: Outcome, place: _Place, name: str, far: list[Sample], near: list[Sample]
) -> None:
    """Note the same work without round trips: the difference is what they cost."""
    label = f"{name}, {_images(place)}"
    outcome.samples[f"{label}{_NEAR}"] = near
    costs = median(a.seconds - b.seconds for a, b in zip(far, near))
    trip = place.registry.distance.round_trip_seconds
    if trip:
        outcome.figures[f"{label}: round trips more than with the registry near"] = round(
            costs / trip, 1
        )


def _images(place: _Place) -> str:
    return f"{place.count} image" + ("s" if place.count > 1 else "")


def _noop(place: _Place, outcome: Outcome) -> None:
    runs = place.workspace.bench.options.runs
    place.publish(place.ours)
    warm, near, theirs = [], [], []
    for _ in range(runs):
        warm.append(place.publish(place.ours))
        with place.registry.near():
            near.append(place.publish(place.ours, _NEAR))
        if place.ko is not None:
            theirs.append(place.publish(place.ko))
    cold = []
    for _ in range(runs):
        place.ours.stop()
        place.ours.start()
        cold.append(place.publish(place.ours, _NEW_DAEMON))
    _add(outcome, place, OURS, warm)
    _near(outcome, place, OURS, warm, near)
    _compare(outcome, place, OURS, warm, theirs)
    _add(outcome, place, f"{OURS}{_NEW_DAEMON}", cold)


def _tag(place: _Place, outcome: Outcome) -> None:
    _turns(place, outcome, tags=True)


def _leaf(place: _Place, outcome: Outcome) -> None:
    _turns(place, outcome, edit=place.monorepo().edit_leaf)


def _turns(
    place: _Place,
    outcome: Outcome,
    *,
    edit: Optional[Callable[[], None]] = None,
    tags: bool = False,
) -> None:
    """Publish with a registry far away, and near, and with ko; each time something new."""
    far, near, theirs = [], [], []

    def publish(tool: Ours | Ko, what: str = "") -> Sample:
        if edit is not None:
            edit()
        return place.publish(tool, what, f"v{next(_tags)}" if tags else "latest")

    for turn in range(place.workspace.bench.options.runs + 1):
        far.append(publish(place.ours))
        with place.registry.near() if turn else contextlib.nullcontext():
            near.append(publish(place.ours, _NEAR))
        if place.ko is not None and turn:
            theirs.append(publish(place.ko))
    _add(outcome, place, OURS, far[1:])
    _near(outcome, place, OURS, far[1:], near[1:])
    _compare(outcome, place, OURS, far[1:], theirs)


_tags = itertools.count(1)


def _cold(place: _Place, outcome: Outcome) -> None:
    first = place.workspace.first
    _add(outcome, place, OURS, [first[OURS]])
    theirs = [first[Ko.name]] if place.ko is not None else []
    _compare(outcome, place, OURS, [first[OURS]], theirs)


_SETUP = (
    "1, 50 and 500 images (--cloud-images) of two platforms; distribution with TLS and a token "
    "server, each behind a proxy that adds --round-trip-ms and caps what is sent to --bandwidth"
)
_WITHOUT_TRIPS = "; the same without round trips, which shows what they cost"
_PEER = f"ko with Basic instead of tokens, below {_MANY} images"

CLOUD_ROWS = (
    Row(
        "cloud-cold",
        "cloud registry: cold first publish",
        f"{_SETUP}; empty caches; Go's has the standard library",
        "publish, once, pantsd running",
        _PEER,
        partial(_of_all_sizes, _cold),
    ),
    Row(
        "cloud-noop",
        "cloud registry: no-op",
        f"{_SETUP}; everything published",
        f"publish again{_WITHOUT_TRIPS}; and with a new daemon",
        _PEER,
        partial(_of_all_sizes, _noop),
    ),
    Row(
        "cloud-tag",
        "cloud registry: new tag",
        f"{_SETUP}; everything published",
        f"publish under a tag that is new in every run{_WITHOUT_TRIPS}",
        _PEER,
        partial(_of_all_sizes, _tag),
    ),
    Row(
        "cloud-leaf",
        "cloud registry: one leaf edited that five services use",
        f"{_SETUP}; everything published; another constant, committed, in every run",
        f"publish{_WITHOUT_TRIPS}",
        _PEER,
        partial(_of_all_sizes, _leaf),
    ),
)
