"""The timeline: what was done for which image at what time. One lane for each step."""

from __future__ import annotations

import math
from typing import Iterable, Sequence

from ko_pants.publish_page.content import STEPS, Span
from ko_pants.publish_page.images_section import Entry
from ko_pants.publish_page.markup import Markup, element, joined
from ko_pants.publish_page.measures import counted, seconds_text

_LANE = 6
_GAP = 1
# So many images are shown at once; more are shown on demand.
_MAX_OPEN = 12
_TICKS = 6


def timeline_section(shown: Sequence[Entry], seconds: float) -> Markup:
    """Nothing if no step was done.

    :param seconds: how long the run took.
    """
    images = [entry for entry in shown if entry.image.spans]
    if not images:
        return Markup("")
    images.sort(key=lambda e: (min(span.begin for span in e.image.spans), e.image.target))
    every = [span for entry in images for span in entry.image.spans]
    scale = _Scale(max(seconds, *(span.end for span in every)))
    rows = [
        _row(element("a", image.target, href=f"#{anchor}"), image.spans, scale)
        for anchor, image in images
    ]
    table = _table(joined(element("tr", _head("Image"), scale.axis(), _head("From, to"))), rows)
    return element(
        "section",
        element("h2", "Timeline"),
        _legend(),
        _table("", [_row("All images", merged(every), scale)]) if len(images) > 1 else "",
        element(
            "details",
            element("summary", counted(len(images), "image"), " with something to do"),
            table,
            open=len(images) <= _MAX_OPEN,
        ),
        id="timeline",
    )


def merged(spans: Iterable[Span]) -> tuple[Span, ...]:
    """The times in which a step was done for any image: spans of a step that meet are one."""
    out: list[Span] = []
    for span in sorted(spans, key=lambda s: (STEPS.index(s.step), s.begin, s.end)):
        last = out[-1] if out else None
        if last is not None and last.step == span.step and span.begin <= last.end:
            out[-1] = Span(span.step, "", last.begin, max(last.end, span.end))
        else:
            out.append(Span(span.step, "", span.begin, span.end))
    return tuple(out)


def tick_seconds(end: float) -> float:
    """The distance of marks on an axis of `end` seconds: 1, 2, 2.5 or 5 times a power of ten."""
    rough = max(end, 0.001) / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    return next(
        step * power for step in (1.0, 2.0, 2.5, 5.0, 10.0) if step * power >= rough * 0.999
    )


class _Scale:
    """From seconds to a place on a bar."""

    def __init__(self, end: float) -> None:
        self._end = max(end, 0.001)
        distance = tick_seconds(self._end)
        self.ticks = [n * distance for n in range(1, math.ceil(self._end / distance))]
        self.grid = joined(
            element("line", x1=x, x2=x, y1="0", y2="100%", class_="grid")
            for x in map(self.place, self.ticks)
        )

    def place(self, seconds: float) -> str:
        return f"{100 * min(max(seconds, 0), self._end) / self._end:.2f}%"

    def width(self, seconds: float) -> str:
        # What is too short to be seen is drawn a little longer.
        return f"{max(100 * seconds / self._end, 0.3):.2f}%"

    def axis(self) -> Markup:
        texts = [
            element("text", f"{tick:g} s", x=self.place(tick), y="11", class_="tick")
            for tick in self.ticks
            if tick < 0.96 * self._end
        ]
        drawn = element("svg", texts, class_="axis", aria_hidden="true")
        return element("th", element("span", "Steps", class_="unseen"), drawn, scope="col")


def _head(text: str) -> Markup:
    return element("th", text, scope="col")


def _legend() -> Markup:
    items = [
        element("li", element("span", class_=f"dot {step}", aria_hidden="true"), f" {step}")
        for step in STEPS
    ]
    begin = element("li", "Lanes, from the top:", class_="muted")
    return element("ul", begin, items, class_="legend")


def _table(head: str, rows: Sequence[Markup]) -> Markup:
    return element(
        "table",
        element("thead", head) if head else "",
        element("tbody", rows),
        class_="timeline",
    )


def _row(name: str, spans: Sequence[Span], scale: _Scale) -> Markup:
    begin, end = min(s.begin for s in spans), max(s.end for s in spans)
    return element(
        "tr",
        element("th", name, scope="row"),
        element("td", _bars(spans, scale)),
        element("td", f"{max(begin, 0):.1f} – {end:.1f} s", class_="number"),
    )


def _bars(spans: Sequence[Span], scale: _Scale) -> Markup:
    rects = [
        element(
            "rect",
            element("title", spoken(span)),
            x=scale.place(span.begin),
            y=STEPS.index(span.step) * (_LANE + _GAP),
            width=scale.width(span.end - span.begin),
            height=_LANE,
            class_=span.step,
        )
        for span in spans
    ]
    steps = dict.fromkeys(span.step for span in spans)
    told = "; ".join(
        f"{step} {spoken_time(merged(s for s in spans if s.step == step))}" for step in steps
    )
    return element("svg", scale.grid, rects, class_="lanes", role="img", aria_label=told)


def spoken(span: Span) -> str:
    """A span in words: `compile app for linux/amd64: 1.2 s, from 0.4 to 1.6 s`."""
    what = f" {span.what}" if span.what else ""
    return (
        f"{span.step}{what}: {seconds_text(span.end - span.begin)}, "
        f"from {span.begin:.2f} to {span.end:.2f} s"
    )


def spoken_time(spans: Sequence[Span]) -> str:
    """When a step was done: from its first begin to its last end."""
    return f"from {spans[0].begin:.1f} to {max(s.end for s in spans):.1f} s"
