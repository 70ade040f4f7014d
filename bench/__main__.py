"""`bench/run`: measures the rows that are asked for, prints the table and writes JSON."""

from __future__ import annotations

import argparse
import datetime
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import List, Optional, Sequence

from bench import report
from bench.cloud_rows import CLOUD_ROWS
from bench.many_rows import MANY_ROWS
from bench.measure import Outcome
from bench.monorepo import PLATFORMS
from bench.registry import running_registry
from bench.rows import ROWS as LOOPBACK_ROWS
from bench.rows import Bench, Options, Row, Skip
from bench.token_server import SEVERAL_SCOPES
from bench.tools import Failure, remove, versions

_OUT = Path(__file__).resolve().parent / "out"
ROWS = (*LOOPBACK_ROWS, *MANY_ROWS, *CLOUD_ROWS)
_QUICK = ("noop-one", "registry-lost", "cold-fleet", "noop-fleet", "new-tag", "leaf", "readme")


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the benchmark; the exit status is 1 if a row failed, 2 if it cannot begin."""
    arguments = _parse(argv)
    if arguments.list:
        _print_rows()
        return 0
    wanted = _wanted_rows(arguments)
    problem = _problem(wanted)
    if problem:
        print(problem, file=sys.stderr)
        return 2
    options = _options(arguments)
    options.work.mkdir(parents=True, exist_ok=True)
    machine = report.machine()
    with running_registry(options.work / "probe") as registry:
        machine["versions"] = versions(registry)
    machine["date"] = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    if options.with_ko and shutil.which("ko") is None:
        print("skipped: ko is not on PATH (go install github.com/google/ko@latest)")
    finished: List[report.Finished] = []
    bench = Bench(options, lambda line: print(line, flush=True))
    try:
        for row in ROWS:
            if row.name in wanted:
                finished.append(_finish(row, bench))
                _write(finished, machine, options, arguments.json)
    finally:
        bench.close()
        if not arguments.work:
            remove(options.work)
    print("\n" + report.table(finished))
    return 1 if any(row.skipped.startswith("failed") for row in finished) else 0


def _print_rows() -> None:
    for row in ROWS:
        target = f" (to reach: {row.target:g} of ko's time)" if row.target else ""
        print(f"{row.name}: {row.title}{target}")
        print(f"    set-up:   {row.setup}\n    measured: {row.measured}\n    peer:     {row.peer}")


def _wanted_rows(arguments: argparse.Namespace) -> List[str]:
    """The names of the rows to run; a name on the command line need not exist."""
    if arguments.rows:
        return list(arguments.rows.split(","))
    return list(_QUICK) if arguments.quick else [row.name for row in ROWS]


def _problem(wanted: Sequence[str]) -> str:
    """Why the benchmark cannot begin, or ""."""
    unknown = sorted(set(wanted) - {row.name for row in ROWS})
    if unknown:
        return f"no such row: {', '.join(unknown)}; see --list"
    lacking = [program for program in ("go", "git") if shutil.which(program) is None]
    return f"{lacking[0]} is not on PATH" if lacking else ""


def _options(arguments: argparse.Namespace) -> Options:
    return Options(
        work=Path(arguments.work or tempfile.mkdtemp(prefix="ko_pants_bench_")).resolve(),
        services=arguments.services or (5 if arguments.quick else 50),
        many=arguments.many,
        many_programs=arguments.many_programs,
        many_platforms=arguments.many_platforms,
        changed_services=arguments.changed_services,
        changed_files=arguments.changed_files,
        runs=arguments.runs or (2 if arguments.quick else 5),
        cold_runs=arguments.cold_runs,
        with_ko=not arguments.without_ko,
        repo_of_ko=arguments.repo_of_ko.resolve() if arguments.repo_of_ko else None,
        remote_cache=arguments.remote_cache,
        round_trip_ms=arguments.round_trip_ms,
        bandwidth=arguments.bandwidth,
        several_scopes=arguments.token_server,
        token_lifetime=arguments.token_lifetime,
        cloud_images=arguments.cloud_images,
    )


def _finish(row: Row, bench: Bench) -> report.Finished:
    """Measure a row; a row that is skipped or fails has a reason in place of figures."""
    print(f"{row.name}: {row.title}", flush=True)
    outcome: Optional[Outcome] = None
    skipped = ""
    try:
        outcome = row.run(bench)
    except Skip as e:
        skipped = str(e)
    except Failure as e:
        skipped = "failed: " + str(e).splitlines()[0]
        print(f"    {e}", file=sys.stderr)
    return report.Finished(row.name, row.title, row.target, outcome, skipped)


def _write(
    finished: Sequence[report.Finished],
    machine: dict[str, object],
    options: Options,
    path: Optional[Path],
) -> None:
    if path is None:
        started = time.strftime("%Y%m%d-%H%M%S", _STARTED)
        path = _OUT / f"{started}.json"
    settings = {
        "services": options.services,
        "many": options.many,
        "many_programs": options.many_programs,
        "many_platforms": list(options.many_platforms),
        "changed_services": options.changed_services,
        "changed_files": options.changed_files,
        "runs": options.runs,
        "cold_runs": options.cold_runs,
        "round_trip_ms": options.round_trip_ms,
        "bandwidth": options.bandwidth,
        "token_server": options.several_scopes,
        "token_lifetime": options.token_lifetime,
    }
    report.write(path, report.to_json(finished, machine, settings))
    path.with_suffix(".md").write_text(report.table(finished))


_STARTED = time.gmtime()


def _parse(argv: Optional[Sequence[str]]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench/run",
        description="Measures ko_pants beside ko and others that are on PATH, on loopback.",
    )
    parser.add_argument("--rows", help="names, separated by commas; default: all (see --list)")
    parser.add_argument("--list", action="store_true", help="print the rows and what they do")
    parser.add_argument("--services", type=int, help="main packages of the monorepo (50)")
    _add_many_options(parser.add_argument_group("many images (rows many*, changed*)"))
    parser.add_argument("--runs", type=int, help="timed runs of a row, after one to warm up (5)")
    parser.add_argument("--cold-runs", type=int, default=1, help="runs of cold rows (1)")
    parser.add_argument("--quick", action="store_true", help="few rows, 5 services, 2 runs")
    parser.add_argument("--without-ko", action="store_true", help="measure ours alone")
    parser.add_argument("--repo-of-ko", type=Path, help="a checkout of ko, for the row `noop-ko`")
    parser.add_argument("--remote-cache", default="", help="grpc://host:port of a REAPI cache")
    _add_cloud_options(parser.add_argument_group("cloud registry (rows cloud-*)"))
    parser.add_argument("--work", help="keep the work here; default: a temporary directory")
    parser.add_argument("--json", type=Path, help="the result (default: bench/out/<time>.json)")
    return parser.parse_args(argv)


def _add_many_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--many", type=int, default=500, help="images that are published (500)")
    group.add_argument(
        "--many-programs",
        type=int,
        default=0,
        help="main packages that they share; compiling 2,000 takes 25 minutes (one for each)",
    )
    group.add_argument(
        "--many-platforms",
        type=lambda text: tuple(text.split(",")),
        default=PLATFORMS,
        help="their platforms (five)",
    )
    group.add_argument(
        "--changed-services", type=int, default=1000, help="images of rows changed* (1000)"
    )
    group.add_argument(
        "--changed-files", type=int, default=10000, help="Go files of rows changed* (10000)"
    )


def _add_cloud_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--round-trip-ms", type=float, default=40.0, help="to the registry and back (40)"
    )
    group.add_argument(
        "--bandwidth", type=float, help="bytes a second that can be sent to it (any amount)"
    )
    group.add_argument(
        "--cloud-images",
        type=lambda text: tuple(int(part) for part in text.split(",")),
        default=(1, 50, 500),
        help="numbers of images (1,50,500)",
    )
    group.add_argument(
        "--token-server",
        choices=SEVERAL_SCOPES,
        default="all",
        help="what it does when asked for several scopes: grants all, or the first, or refuses",
    )
    group.add_argument("--token-lifetime", type=int, default=300, help="seconds (300)")


if __name__ == "__main__":
    sys.exit(main())
