"""From an error of the core to the error of a field."""

from __future__ import annotations

from typing import Callable, Iterable, TypeVar

from pants.engine.addresses import Address
from pants.engine.target import InvalidFieldException

from ko_pants.errors import KoPantsError


def check_addresses(values: Iterable[str]) -> None:
    """Make sure that each value can be an address, and that none is there twice.

    :raises KoPantsError: one is empty, or stands for the same as another.
    """
    seen: set[str] = set()
    for value in values:
        if not value.strip():
            raise KoPantsError(
                f"found {value!r}; expected the address of a target, such as ':app' or "
                "'//path/to:app'; or leave it out"
            )
        if value in seen:
            raise KoPantsError(f"found {value!r} more than once; expected each target once")
        seen.add(value)


T = TypeVar("T")
V = TypeVar("V")


def in_field(check: Callable[[V, str], None], value: V, where: str) -> None:
    """As `checked`, for a check that names target and field itself.

    :param where: target and field.
    """
    try:
        check(value, where)
    except KoPantsError as e:
        raise InvalidFieldException(str(e)) from None


def checked(address: Address, alias: str, parse: Callable[[V], T], value: V) -> T:
    """What `parse` makes of the value of a field. Pants puts BUILD file and line before an error.

    :raises InvalidFieldException: it raises a KoPantsError; the text names target and field.
    """
    try:
        return parse(value)
    except KoPantsError as e:
        raise InvalidFieldException(f"{address}, field `{alias}`: {e}") from None
