"""What holds of every document: the same inventory gives the same bytes, in every process."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Callable, Dict, List

import pytest
from hypothesis import given, settings
from inventories import IMAGE, INDEX, inventories

from ko_pants.artifacts import cyclonedx, provenance, spdx
from ko_pants.artifacts.inventory import Inventory

FORMATS: Dict[str, Callable[[Inventory], bytes]] = {
    "spdx": spdx.document,
    "cyclonedx": cyclonedx.document,
    "provenance": provenance.statement,
}
HASHES = """
import hashlib
from inventories import IMAGE, INDEX
from ko_pants.artifacts import cyclonedx, provenance, spdx
for write in (spdx.document, cyclonedx.document, provenance.statement):
    for inventory in (IMAGE, INDEX):
        print(hashlib.sha256(write(inventory)).hexdigest())
"""


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=30, deadline=None)
@given(inventory=inventories)
def test_equal_inventories_give_equal_bytes(name: str, inventory: Inventory) -> None:
    write = FORMATS[name]
    assert write(inventory) == write(inventory)
    write(inventory).decode()


@pytest.mark.parametrize("seed", ["1", "2"])
def test_no_order_of_a_set_is_in_the_bytes(seed: str) -> None:
    tests = Path(__file__).parents[1]
    path = os.pathsep.join((str(tests.parent / "src/python"), str(tests)))
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": path}
    found = subprocess.run(
        [sys.executable, "-c", HASHES], env=environment, check=True, stdout=subprocess.PIPE
    )
    both: List[Inventory] = [IMAGE, INDEX]
    assert found.stdout.decode().split() == [
        hashlib.sha256(write(inventory)).hexdigest()
        for write in FORMATS.values()
        for inventory in both
    ]
