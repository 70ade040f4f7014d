"""What the dependencies of one type of target come from.

Pants asks each class of inference about each target of a repo. To look for a field in a target
takes some 9 microseconds, and to look at its type less than one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pants.engine.target import FieldSet, Target


@dataclass(frozen=True)
class TargetFieldSet(FieldSet):
    """Fields of targets of one type, which subclasses name."""

    required_fields = ()
    target_type: ClassVar[type[Target]]

    @classmethod
    def opt_out(cls, tgt: Target) -> bool:
        return not isinstance(tgt, cls.target_type)
