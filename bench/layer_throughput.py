"""Layer throughput and memory beside Go's compress/gzip at level 1, which ko uses.

    python bench/layer_throughput.py [--executable FILE] [--megabytes N] [--runs N] [--json FILE]

Runs the layer tool as its sandbox does and a Go program that gzips and hashes the same file, taking
turns. Prints medians in MB/s of input, ratios, and the memory of a 20 MB and a 200 MB executable.
The input is the executable, repeated up to the wanted size. A repetition is further away than
the window of gzip, so it compresses no better.
Needs ko_pants and its compressors importable (PYTHONPATH=src/python); Go is skipped if not on PATH.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Optional

from ko_pants.layers.encodings import LayerEncoding
from ko_pants.layers.tool_files import ENTRY_POINT, tool_files

_MB = 1_000_000

# Prints the seconds inside the process, so without its start, and the compressed size.
_GO = r"""
package main

import (
	"bufio"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"time"
)

type counter struct{ n int64 }

func (c *counter) Write(p []byte) (int, error) { c.n += int64(len(p)); return len(p), nil }

func main() {
	start := time.Now()
	in, err := os.Open(os.Args[1])
	if err != nil {
		panic(err)
	}
	out, err := os.Create(os.Args[2])
	if err != nil {
		panic(err)
	}
	count, raw, blob := &counter{}, sha256.New(), sha256.New()
	buffered := bufio.NewWriterSize(io.MultiWriter(out, blob, count), 1<<16)
	zip, err := gzip.NewWriterLevel(buffered, 1)
	if err != nil {
		panic(err)
	}
	var sink io.Writer = zip
	if len(os.Args) > 3 {
		sink = io.MultiWriter(zip, raw)
	}
	if _, err := io.Copy(sink, in); err != nil {
		panic(err)
	}
	zip.Close()
	buffered.Flush()
	out.Close()
	fmt.Printf("{\"seconds\": %f, \"size\": %d}\n", time.Since(start).Seconds(), count.n)
}
"""

# Peak memory of a process and its children in KiB, summed; shared pages count more than once.
_MEASURE = """
import resource, runpy, sys
try:
    workers, sys.argv = int(sys.argv[1]), sys.argv[2:]
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as stop:
    assert not stop.code
own = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
each = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(int(own.split()[1]) + workers * each, file=sys.stderr)
"""

Run = Callable[[], "tuple[float, int]"]


def _spec(executable: Path, output: Path, encoding: str, level: int, workers: int) -> str:
    return json.dumps(
        {
            "content": {"type": "executable", "file": str(executable), "app_name": "app"},
            "os": "linux",
            **LayerEncoding(encoding, level).tool_spec(),
            "output": str(output),
            "workers": workers,
        }
    )


def _install(directory: Path, encoding: str) -> Path:
    for name, content in tool_files(encoding).items():
        path = directory / encoding / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return directory / encoding / ENTRY_POINT


def _tool_run(tool: Path, spec: str) -> Run:
    def run() -> tuple[float, int]:
        start = time.perf_counter()
        output = subprocess.run(
            [sys.executable, "-I", "-S", str(tool), spec], stdout=subprocess.PIPE, check=True
        ).stdout
        return time.perf_counter() - start, json.loads(output)["size"]

    return run


def _go_run(program: Path, arguments: list[str]) -> Run:
    def run() -> tuple[float, int]:
        output = subprocess.run(
            [str(program), *arguments], stdout=subprocess.PIPE, check=True
        ).stdout
        result = json.loads(output)
        return result["seconds"], result["size"]

    return run


def _build_go(directory: Path) -> Optional[Path]:
    go = shutil.which("go")
    if go is None:
        print("skipped: Go's compress/gzip (go is not on PATH)")
        return None
    (directory / "main.go").write_text(_GO)
    subprocess.run([go, "build", "-o", "peer", "main.go"], cwd=directory, check=True)
    return directory / "peer"


def _throughput(directory: Path, executable: Path, runs: int, cpus: int) -> list[dict[str, Any]]:
    output = directory / "blob"
    candidates: dict[str, Run] = {}
    go = _build_go(directory)
    if go is not None:
        candidates["Go gzip-1"] = _go_run(go, [str(executable), str(output)])
        candidates["Go gzip-1 + diffID"] = _go_run(go, [str(executable), str(output), "hash"])
    for encoding, level, workers in (
        ("gzip", 1, 1),
        ("gzip", 1, cpus),
        ("gzip", 6, cpus),
        ("zstd", 1, cpus),
        ("zstd", 3, cpus),
        ("none", 0, 1),
    ):
        tool = _install(directory, encoding)
        spec = _spec(executable, output, encoding, level, workers)
        candidates[f"ours {encoding}-{level}, {workers} at work"] = _tool_run(tool, spec)
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    sizes: dict[str, int] = {}
    for turn in range(runs + 1):  # the first run warms up
        for name, run in candidates.items():
            took, sizes[name] = run()
            if turn:
                seconds[name].append(took)
    total = executable.stat().st_size
    rows = []
    for name, samples in seconds.items():
        row: dict[str, Any] = {
            "name": name,
            "mb_per_s": round(total / _MB / statistics.median(samples), 1),
            "ratio": round(sizes[name] / total, 4),
        }
        if "Go gzip-1" in seconds:
            # The ratio of runs of the same turn: other work on the machine slows both.
            pairs = zip(seconds["Go gzip-1"], samples)
            row["times_go"] = round(statistics.median(theirs / ours for theirs, ours in pairs), 2)
        rows.append(row)
    return rows


def _repeat(source: Path, target: Path, megabytes: int) -> Path:
    content = source.read_bytes()
    left = megabytes * _MB
    with target.open("wb") as file:
        while left:
            left -= file.write(content[:left])
    return target


def _memory(directory: Path, source: Path, cpus: int) -> dict[str, int]:
    tool = _install(directory, "gzip")
    peaks = {}
    for megabytes in (20, 200):
        executable = _repeat(source, directory / "executable", megabytes)
        workers = max(2, cpus)
        spec = _spec(executable, directory / "blob", "gzip", 1, workers)
        command = [sys.executable, "-I", "-S", "-c", _MEASURE, str(workers), str(tool), spec]
        result = subprocess.run(command, capture_output=True, text=True, check=True)
        peaks[f"{megabytes} MB"] = int(result.stderr) * 1024
    return peaks


def main() -> None:
    """Run the benchmark and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--executable", type=Path, help="default: the go tool, or this Python")
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", type=Path, help="also write the results here")
    arguments = parser.parse_args()
    go = shutil.which("go")
    executable = arguments.executable or Path(go or sys.executable)
    executable = executable.resolve()
    cpus = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as name:
        repeated = _repeat(executable, Path(name) / "input", arguments.megabytes)
        rows = _throughput(Path(name), repeated, arguments.runs, cpus)
        peaks = _memory(Path(name), executable, cpus)
    print(
        f"{executable.name} repeated to {arguments.megabytes} MB, {cpus} CPUs, "
        f"median of {arguments.runs} runs"
    )
    print(f"{'':28} {'MB/s':>7} {'ratio':>7} {'x Go':>6}")
    for row in rows:
        times = row.get("times_go", "")
        print(f"{row['name']:28} {row['mb_per_s']:7.0f} {row['ratio']:7.4f} {times:>6}")
    growth = peaks["200 MB"] - peaks["20 MB"]
    print(
        "peak memory, all processes: "
        + ", ".join(f"{label}: {peak / _MB:.1f} MB" for label, peak in peaks.items())
        + f"; growth {growth / _MB:.1f} MB"
    )
    if arguments.json:
        arguments.json.write_text(
            json.dumps({"throughput": rows, "peak_bytes": peaks, "cpus": cpus}, indent=2) + "\n"
        )


if __name__ == "__main__":
    main()
