"""The command line: `scripts/pants-api VERSION=PLACE...`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import List, Optional

from pants_api.check import problems
from pants_api.plugin import read_plugin
from pants_api.source import open_source
from pants_api.table import Table, parse_table

ROOT = Path(__file__).resolve().parent.parent.parent
SOURCE = ROOT / "src" / "python"
TABLE = ROOT / "tests" / "pants_api.tsv"


def main(arguments: Optional[List[str]] = None) -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/pants-api",
        description="Writes tests/pants_api.tsv: what the plugin takes from Pants, and what it "
        "looks like in each version. Versions that are not given stay as they are. Then it prints "
        "what does not fit; the exit code is 1 if there is something.",
    )
    parser.add_argument(
        "versions",
        nargs="*",
        metavar="VERSION=PLACE",
        help="such as 2.33=REPOSITORY@REF, or 2.33=DIRECTORY for a checkout or the site-packages "
        "of an installed Pants",
    )
    uses = read_plugin(SOURCE).uses()
    table = parse_table(TABLE.read_text(encoding="utf-8")) if TABLE.exists() else Table()
    for argument in parser.parse_args(arguments).versions:
        version, _, place = argument.partition("=")
        table.update(version, open_source(place), uses)
    table.keep(name for use in uses for name in use.names)
    TABLE.write_text(table.text(), encoding="utf-8")
    found = problems(uses, table)
    print(*found, sep="\n", end="\n" if found else "", file=sys.stderr)
    return bool(found)
