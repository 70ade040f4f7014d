"""What a change of an input causes: in the past tense for a publish, else what would be done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterable, Sequence

from ko_pants.explanation.record import (
    COMPILED,
    FILES,
    PLATFORM,
    PLUGIN,
    PROGRAM,
    TO_FILES,
    TO_IMAGE,
    TO_LAYERS,
    TO_PROGRAM,
    ImageRecord,
    Input,
    PlatformResult,
)


@dataclass(frozen=True)
class Compile:
    """A program that is compiled for a platform."""

    program: str
    platform: str


def compiles_for(entries: Iterable[Input], now: ImageRecord) -> tuple[Compile, ...]:
    """The compiles that a difference of these inputs asks for, in the order of the platforms."""
    compiled = {e.name for e in now.inputs if e.kind == PROGRAM and e.value == COMPILED}
    platforms = now.platforms
    found: set[Compile] = set()
    for entry in entries:
        wanted = (entry.platform,) if entry.platform else platforms
        if entry.kind == PLATFORM and entry.name in platforms:
            found.update(Compile(program, entry.name) for program in compiled)
        elif entry.kind == PROGRAM and entry.name in compiled:
            found.update(Compile(entry.name, platform) for platform in wanted)
        elif entry.part == TO_PROGRAM and entry.of in compiled:
            found.update(Compile(entry.of, platform) for platform in wanted)
    order = {platform: number for number, platform in enumerate(platforms)}
    return tuple(sorted(found, key=lambda c: (c.program, order.get(c.platform, -1), c.platform)))


_NOTHING = PlatformResult("", "")


class Consequences:
    """Says what the differences between two records caused.

    :param now: without `results` it was not built, and the text says what would be done.
    """

    def __init__(self, before: ImageRecord | None, now: ImageRecord) -> None:
        self._before, self._now = before, now
        self._built = bool(now.results)
        self._several = len(now.programs) > 1
        self._was = {result.platform: result for result in before.results} if before else {}
        self._is = {result.platform: result for result in now.results}
        self._sources = {(p, platform): s for p, platform, s in now.deeds.compiles}
        self._outcomes = dict(now.deeds.layers)

    def first_time(self) -> tuple[str, ...]:
        """What is said where there is no record before."""
        what = "everything was built" if self._built else "everything would be built"
        return (f"{what}, for there is no record to compare with",)

    def of(self, entries: Sequence[Input], *, is_gone: bool) -> tuple[str, ...]:
        """What a difference caused.

        :param entries: of one kind and name; a file may go into several programs.
        :param is_gone: the image has it no more.
        """
        kind, name = entries[0].kind, entries[0].name
        if kind == PLUGIN:
            return ("another version can make other layers and processes", *self._image())
        if is_gone and kind in (PLATFORM, PROGRAM, FILES):
            return (*self._gone(name), *self._image())
        said = []
        if kind == PLATFORM:
            said.append(self._tense(f"{name} was added", f"{name} would be added"))
        compiles = compiles_for(entries, self._now)
        said += self._compiles(compiles)
        said += self._files(e.name if kind == FILES else e.of for e in entries if _is_tree(e))
        said += self._prebuilt(entries, compiles)
        parts = {entry.part for entry in entries}
        if TO_LAYERS in parts:
            said.append(
                self._tense("every added layer was made anew", "every added layer would be made")
            )
        if not said:
            said.append(
                self._tense("the image was composed anew", "the image would be composed anew")
                + ", without a compile"
            )
        return (*said, *self._image())

    def _gone(self, name: str) -> tuple[str, ...]:
        return (self._tense(f"{name} was left out", f"{name} would be left out"),)

    def _tense(self, past: str, conditional: str) -> str:
        return past if self._built else conditional

    def _compiles(self, compiles: Sequence[Compile]) -> list[str]:
        said: dict[str, list[str]] = {}
        for of in compiles:
            of_program = f" of {of.program}" if self._several else ""
            said.setdefault(f"compile{of_program} for {{}} {self._came(of)}", []).append(
                of.platform
            )
        results: dict[str, list[str]] = {}
        for of in compiles:
            result = self._executable(of)
            if result:
                of_program = f" of {of.program}" if self._several else ""
                text = f"the executable{of_program} for {{}} {result}"
                results.setdefault(text, []).append(of.platform)
        return [
            text.format(", ".join(platforms))
            for texts in (said, results)
            for text, platforms in texts.items()
        ]

    def _came(self, of: Compile) -> str:
        if not self._built:
            return "would run"
        source = self._sources.get((of.program, of.platform), "ran")
        if source == "memoized":
            return "was in memory"
        return "ran" if source == "ran" else f"came from the {source}"

    def _executable(self, of: Compile) -> str:
        """What became of an executable; empty if there is nothing to compare."""
        was, is_now = (
            dict(results.get(of.platform, _NOTHING).executables).get(of.program)
            for results in (self._was, self._is)
        )
        if was is None or is_now is None:
            return ""
        if was == is_now:
            return "is the same"
        layers = dict(self._is[of.platform].layers)
        done = self._outcomes.get(layers.get(of.program, ""), "")
        return "is another" + (f", its layer was {done}" if done else "")

    def _files(self, names: Iterable[str]) -> list[str]:
        said = []
        for name in dict.fromkeys(names):
            if not self._built:
                said.append(f"the layer of {name} would be made")
                continue
            was, is_now = (
                {digest for r in results.values() for n, digest in r.layers if n == name}
                for results in (self._was, self._is)
            )
            new = sorted(is_now - was)
            done = sorted({self._outcomes.get(digest, "reused") for digest in new})
            what = f"was made anew and {' and '.join(done)}" if new else "is the same"
            said.append(f"the layer of {name} {what}")
        return said

    def _prebuilt(self, entries: Sequence[Input], compiles: Sequence[Compile]) -> list[str]:
        if compiles or not any(e.part == TO_PROGRAM or e.kind == PROGRAM for e in entries):
            return []
        names = dict.fromkeys(e.name if e.kind == PROGRAM else e.of for e in entries)
        return [
            self._tense(f"the layer of {n} was made anew", f"the layer of {n} would be made")
            for n in names
        ]

    def _image(self) -> tuple[str, ...]:
        if not self._built or self._before is None or self._before.digest != self._now.digest:
            return ()
        outcomes = {outcome for _, outcome in self._now.deeds.images}
        pushed = "" if outcomes - {"up to date"} else ", so nothing was pushed"
        return (f"the image is the same{pushed}",)


def _is_tree(entry: Input) -> bool:
    return entry.part == TO_FILES or (entry.part == TO_IMAGE and entry.kind == FILES)
