"""Lists of which an entry can hold several items, separated by commas."""

from __future__ import annotations

from typing import Iterable


def split_commas(entries: Iterable[str]) -> tuple[str, ...]:
    """The items of a list option, of which an entry can hold several.

    Pants takes `--ko-default-platforms=linux/amd64,linux/arm64`, and the variable PANTS_KO_... with
    the same, for a list of one entry. ko takes such for several.
    """
    return tuple(item.strip() for entry in entries for item in entry.split(",") if item.strip())
