"""From an error of the core to the error of a field."""

from __future__ import annotations

from typing import Callable, TypeVar

from pants.engine.addresses import Address
from pants.engine.target import InvalidFieldException

from ko_pants.errors import KoPantsError

T = TypeVar("T")
V = TypeVar("V")


def checked(address: Address, alias: str, parse: Callable[[V], T], value: V) -> T:
    """What `parse` makes of the value of a field. Pants puts BUILD file and line before an error.

    :raises InvalidFieldException: it raises a KoPantsError; the text names target and field.
    """
    try:
        return parse(value)
    except KoPantsError as e:
        raise InvalidFieldException(f"{address}, field `{alias}`: {e}") from None
