"""What is printed and written: a table of ratios, and JSON with every sample."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Mapping, Optional, Sequence

from bench.measure import OURS, Outcome, Sample, median_ratio, median_seconds, typical_requests


@dataclass(frozen=True)
class Finished:
    """A row with its result, or the reason why there is none."""

    name: str
    title: str
    target: Optional[float]
    outcome: Optional[Outcome] = None
    skipped: str = ""


def to_json(
    rows: Sequence[Finished], machine: Mapping[str, Any], options: Mapping[str, Any]
) -> dict[str, Any]:
    """All results, as they are written to the file."""
    return {
        "machine": dict(machine),
        "options": dict(options),
        "rows": [_row_to_json(row) for row in rows],
    }


def _row_to_json(row: Finished) -> dict[str, Any]:
    document: dict[str, Any] = {"name": row.name, "title": row.title, "target": row.target}
    if row.outcome is None:
        return {**document, "skipped": row.skipped}
    document["tools"] = {
        tool: {
            "median_seconds": round(median_seconds(samples), 4),
            "seconds": [round(sample.seconds, 4) for sample in samples],
            "requests": [sample.requests.by_method for sample in samples],
            **_others(samples),
        }
        for tool, samples in row.outcome.samples.items()
    }
    document["ratios"] = {k: round(v, 5) for k, v in ratios(row.outcome).items()}
    document["figures"] = row.outcome.figures
    document["notes"] = row.outcome.notes
    return document


def _others(samples: Sequence[Sample]) -> dict[str, Any]:
    others = [sample.requests.others for sample in samples]
    return {"counted": others} if any(others) else {}


def ratios(outcome: Outcome) -> dict[str, float]:
    """The median of ours / theirs, by peer."""
    ours = outcome.samples.get(OURS)
    if ours is None:
        return {}
    return {
        tool: median_ratio(ours, samples)
        for tool, samples in outcome.samples.items()
        if tool != OURS
    }


def table(rows: Sequence[Finished]) -> str:
    """A Markdown table with a line for each tool of each row."""
    lines = [
        "| work | tool | median | runs | requests | ours / tool | to reach |",
        "|---|---|---:|---:|---|---:|---:|",
    ]
    for row in rows:
        if row.outcome is None:
            lines.append(f"| {row.title} | | skipped: {row.skipped} | | | | |")
            continue
        title = row.title
        found = ratios(row.outcome)
        for tool, samples in row.outcome.samples.items():
            ratio = f"{found[tool]:.4g}" if tool in found else ""
            target = f"≤ {row.target:g}" if tool == "ko" and row.target is not None else ""
            lines.append(
                f"| {title} | {tool} | {median_seconds(samples):.2f} s | {len(samples)} "
                f"| {typical_requests(samples)} | {ratio} | {target} |"
            )
            title = ""
        for name, value in row.outcome.figures.items():
            lines.append(f"| {title} | {name} | {value:g} | | | | |")
            title = ""
    notes = [f"* {row.title}: {note}" for row in rows if row.outcome for note in row.outcome.notes]
    return "\n".join([*lines, *(["", *notes] if notes else [])]) + "\n"


def write(path: Path, document: Mapping[str, Any]) -> None:
    """Write the JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2) + "\n")


def machine() -> dict[str, Any]:
    """The machine of the run, and its load before the run: other work makes figures worse."""
    model = platform.processor()
    try:
        with open("/proc/cpuinfo") as file:
            model = next(x.partition(":")[2].strip() for x in file if x.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "load_before": [round(x, 2) for x in os.getloadavg()],
    }
