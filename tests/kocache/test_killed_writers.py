"""Many processes record into one cache while they are killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def test_killed_writers_tear_and_lose_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "tests/scripts/kocache_stress.py", "--records=600", "--kill-every=15"],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": "src/python"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    assert done.returncode == 0, done.stdout.decode()
    counts = json.loads(done.stdout)
    assert (counts["acknowledged"], counts["torn"], counts["lost"]) == (600, 0, 0)
    assert counts["kills"] > 10
