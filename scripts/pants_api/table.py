"""The table: what each name looks like in which versions of Pants, as text to commit.

A line has a name, versions and a shape, with tabs between; a name that has changed has several
lines. `2.17-2.25 2.27` are two runs of the versions in the head of the table.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Dict, Iterable, List, Sequence

from pants_api.plugin import Use
from pants_api.source import PantsSource

# Name -> version -> shape.
Shapes = Dict[str, Dict[str, str]]

_HEAD = """\
# What the plugin takes from Pants: name, versions, what it looks like there (see CONTRIBUTING.md).
# Made by scripts/pants-api. The versions of Pants that it has read:
"""


def _order(version: str) -> List[int]:
    return [int(part) for part in version.split(".")]


@dataclass
class Table:
    """:param sources: the exact version of the source that stands for `2.33`."""

    sources: Dict[str, str] = field(default_factory=dict)
    shapes: Shapes = field(default_factory=dict)

    @property
    def versions(self) -> List[str]:
        """Oldest first."""
        return sorted(self.sources, key=_order)

    def text(self) -> str:
        lines = [f"# {version}\t{self.sources[version]}\n" for version in self.versions]
        for name in sorted(self.shapes):
            by_version = self.shapes[name]
            for shape in dict.fromkeys(by_version[v] for v in self.versions if v in by_version):
                having = [v for v in self.versions if by_version.get(v) == shape]
                lines.append(f"{name}\t{_runs(having, self.versions)}\t{shape}\n")
        return _HEAD + "".join(lines)

    def update(self, version: str, source: PantsSource, uses: Iterable[Use]) -> None:
        """Take one version from its source, and forget there what is not used any more."""
        self.sources[version] = source.version
        for by_version in self.shapes.values():
            by_version.pop(version, None)
        for name, shape in shapes_in(source, uses).items():
            self.shapes.setdefault(name, {})[version] = shape

    def keep(self, names: Iterable[str]) -> None:
        """Forget all other names, and what no version has."""
        wanted = set(names)
        self.shapes = {n: s for n, s in self.shapes.items() if n in wanted and s}

    def name_of(self, use: Use) -> str:
        """Under which name the table has what is used; "" if it has not."""
        return next((name for name in use.names if name in self.shapes), "")


def shapes_in(source: PantsSource, uses: Iterable[Use]) -> Dict[str, str]:
    """What one Pants has of what is used, by name."""
    found: Dict[str, str] = {}
    uses = list(uses)
    called = {use.names[0] for use in uses if use.call}
    for use in uses:
        for full in use.names:
            module, _, name = full.partition(":")
            shape = source.shape(module, name, called=full in called)
            if shape and not (use.own and shape == "inherited"):
                found[full] = shape
                break
    return found


def _runs(having: Sequence[str], versions: Sequence[str]) -> str:
    runs = []
    for present, group in itertools.groupby(versions, key=lambda version: version in having):
        run = list(group)
        if present:
            runs.append(run[0] if len(run) == 1 else f"{run[0]}-{run[-1]}")
    return " ".join(runs)


def parse_table(text: str) -> Table:
    table = Table()
    lines = [line.split("\t") for line in text.splitlines()]
    for head, *rest in lines:
        if head.startswith("# ") and rest:
            table.sources[head[2:]] = rest[0]
    versions = table.versions
    for name, *rest in lines:
        if name.startswith("#"):
            continue
        runs, shape = rest
        for run in runs.split():
            first, _, last = run.partition("-")
            for version in versions[versions.index(first) : versions.index(last or first) + 1]:
                table.shapes.setdefault(name, {})[version] = shape
    return table
