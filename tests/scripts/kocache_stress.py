#!/usr/bin/env python3
"""Many processes record into one KOCACHE while they are killed; nothing may be torn or lost.

    PYTHONPATH=src/python python tests/scripts/kocache_stress.py [--processes 8] [--records 10000]

Workers share the directories, record singly and in batches, and acknowledge a record through a
pipe only after it is committed. Meanwhile they are killed (SIGKILL) at random moments and replaced,
and every map file that is looked at must be whole. At the end every acknowledged record must be
found with its value. Exit status 1 if not. Counts are printed as one JSON object.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import selectors
import signal
import struct
import sys
import tempfile
import time

from ko_pants.kocache.cache import KoCache
from ko_pants.kocache.keys import LayerKey
from ko_pants.kocache.maps import CachedLayer
from ko_pants.kocache.shared_files import is_temporary
from ko_pants.oci import media_types
from ko_pants.oci.descriptor import Descriptor
from ko_pants.oci.platform import Platform

COMPRESSORS = ("libdeflate-1.24/gzip-1", "libzstd-1.5.7/zstd-3")
PLATFORMS = [Platform("linux", arch) for arch in ("amd64", "arm64", "s390x", "riscv64")]
# A directory keeps 64 layers by each compressor: with 40, eviction hides no loss.
RECORDS_PER_DIRECTORY = 40


def digest(what: str, number: int) -> str:
    return "sha256:" + hashlib.sha256(f"{what} {number}".encode()).hexdigest()


class Plan:
    """What record `number` is; directories and workers cross each other."""

    def __init__(self, records: int) -> None:
        self.records = records
        self.directories = -(-records // RECORDS_PER_DIRECTORY)

    def item(self, number: int) -> tuple[LayerKey, CachedLayer]:
        place = number % self.directories
        key = LayerKey(
            f"example.com/app{place // len(PLATFORMS)}",
            PLATFORMS[place % len(PLATFORMS)],
            digest("executable", number),
            kind="kodata" if number % 5 == 0 else "binary",
        )
        compressor = COMPRESSORS[number % len(COMPRESSORS)]
        media_type = (
            media_types.OCI_LAYER_ZSTD if "zstd" in compressor else media_types.OCI_LAYER_GZIP
        )
        descriptor = Descriptor(media_type, digest("blob", number), number)
        return key, CachedLayer(digest("tar", number), descriptor, compressor)


def work(root: str, plan: Plan, numbers: list[int], acknowledge: int) -> None:
    """Record `numbers`; every committed one goes down the pipe as four bytes."""
    cache = KoCache(root, warn=lambda message: print(message, file=sys.stderr))
    while numbers:
        batch = numbers[: 1 if numbers[0] % 3 else 4]
        numbers = numbers[len(batch) :]
        if not cache.record_many([plan.item(number) for number in batch]):
            os._exit(3)
        os.write(acknowledge, b"".join(struct.pack("<I", number) for number in batch))
    os._exit(0)


class Workers:
    """The processes, what each has still to do, and what was acknowledged."""

    def __init__(self, root: str, plan: Plan, processes: int) -> None:
        self._root, self._plan = root, plan
        self._selector = selectors.DefaultSelector()
        self.pending: dict[int, list[int]] = {}
        self.acknowledged: set[int] = set()
        self.failures = 0
        for worker in range(processes):
            self._start(list(range(worker, plan.records, processes)))

    def _start(self, numbers: list[int]) -> None:
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                work(self._root, self._plan, numbers, write)
            finally:
                os._exit(4)
        os.close(write)
        self.pending[pid] = numbers
        self._selector.register(read, selectors.EVENT_READ, pid)

    def kill_one(self) -> None:
        os.kill(random.choice(list(self.pending)), signal.SIGKILL)

    def collect(self, timeout: float) -> None:
        """Read acknowledgements; a worker that ended early is replaced for what it left."""
        for selected, _ in self._selector.select(timeout):
            fd, pid = selected.fd, selected.data
            received = os.read(fd, 1 << 16)
            self.acknowledged.update(number for (number,) in struct.iter_unpack("<I", received))
            if received:
                continue
            self._selector.unregister(fd)
            os.close(fd)
            status = os.waitpid(pid, 0)[1]
            if not os.WIFSIGNALED(status) and os.WEXITSTATUS(status) != 0:
                self.failures += 1
            left = [n for n in self.pending.pop(pid) if n not in self.acknowledged]
            if left and not self.failures:
                self._start(left)


def torn_files(root: str, sample: int | None) -> tuple[int, int]:
    """How many map files were read and how many were not whole; a few of them or all."""
    paths = [
        os.path.join(place, name)
        for place, _, names in os.walk(os.path.join(root, "bin"))
        for name in names
        if not is_temporary(name)
    ]
    if sample is not None and paths:
        paths = random.sample(paths, min(sample, len(paths)))
    torn = 0
    for path in paths:
        with open(path, "rb") as file:
            content = file.read()
        try:
            torn += not isinstance(json.loads(content), dict)
        except ValueError:
            torn += 1
            print(f"torn: {path}: {content[:200]!r}", file=sys.stderr)
    return len(paths), torn


def stress(root: str, processes: int, records: int, kill_every: int) -> dict[str, float]:
    """Run it; `kill_every` is the mean number of acknowledgements between two kills."""
    began = time.monotonic()
    plan = Plan(records)
    workers = Workers(root, plan, processes)
    kills = looked_at = torn = 0
    next_kill = random.randrange(1, 2 * kill_every)
    while workers.pending:
        # The moment: after some acknowledgements and up to 3 ms, anywhere in a write.
        workers.collect(1.0)
        if len(workers.acknowledged) >= next_kill and workers.pending:
            time.sleep(random.random() * 0.003)
            workers.kill_one()
            kills += 1
            next_kill = len(workers.acknowledged) + random.randrange(1, 2 * kill_every)
            seen, bad = torn_files(root, 5)
            looked_at, torn = looked_at + seen, torn + bad
    seen, bad = torn_files(root, None)
    warnings: list[str] = []
    cache = KoCache(root, warn=warnings.append)
    lost = sum(
        cache.lookup(key, layer.compressor) != layer
        for key, layer in map(plan.item, sorted(workers.acknowledged))
    )
    left_over = sum(
        is_temporary(name) for _, _, names in os.walk(os.path.join(root, "bin")) for name in names
    )
    return {
        "processes": processes,
        "records": records,
        "acknowledged": len(workers.acknowledged),
        "kills": kills,
        "directories": plan.directories,
        "files_read": looked_at + seen,
        "torn": torn + bad,
        "lost": lost,
        "warnings": len(warnings),
        "failed_workers": workers.failures,
        "temporary_files_left": left_over,
        "seconds": round(time.monotonic() - began, 1),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--kill-every", type=int, default=40, help="mean records between kills")
    parser.add_argument("--seed", type=int, default=None)
    arguments = parser.parse_args()
    random.seed(arguments.seed)
    with tempfile.TemporaryDirectory(prefix="kocache-stress-") as root:
        counts = stress(root, arguments.processes, arguments.records, arguments.kill_every)
    print(json.dumps(counts, indent=2))
    bad = counts["torn"] or counts["lost"] or counts["warnings"] or counts["failed_workers"]
    return 1 if bad or counts["acknowledged"] != arguments.records else 0


if __name__ == "__main__":
    sys.exit(main())
