"""Prints what became of the mutants: survivors with their change, then a line for each file."""

from __future__ import annotations

from collections import Counter

from mutants import Mutant

_MISSED = ("survived", "untested")


def print_report(sources: dict[str, str], mutants: list[Mutant], outcomes: dict[int, str]) -> None:
    """Print everything that was found out.

    :param sources: the files without a change, by path.
    :param outcomes: by the place of the mutant in `mutants`; without one, it was not valid Python.
    """
    by_file: dict[str, Counter[str]] = {}
    for number, mutant in enumerate(mutants):
        outcome = outcomes.get(number, "invalid")
        by_file.setdefault(mutant.path, Counter())[outcome] += 1
        if outcome in _MISSED:
            note = "  (no test runs this line)" if outcome == "untested" else ""
            print(f"{mutant.path}:{mutant.line}{note}")
            print(mutant.diff(sources[mutant.path]))
    print(f"\n{'file':<52}{'mutants':>8}{'killed':>8}{'(hang)':>8}{'survived':>9}{'percent':>9}")
    total: Counter[str] = Counter()
    for path, counts in by_file.items():
        print(_line(path, counts))
        total += counts
    print(_line("all", total))


def _line(name: str, counts: Counter[str]) -> str:
    hang = counts["timeout"]
    killed = counts["killed"] + hang
    survived = sum(counts[outcome] for outcome in _MISSED)
    percent = 100.0 * killed / max(1, killed + survived)
    return f"{name:<52}{killed + survived:>8}{killed:>8}{hang:>8}{survived:>9}{percent:>8.1f}%"
