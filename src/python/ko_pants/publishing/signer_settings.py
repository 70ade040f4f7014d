"""How images are signed: what a run knows before it has anything to sign."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Mapping


@dataclass(frozen=True)
class SignerSettings:
    """How images are signed.

    :param argv: the command; its first element is a command on PATH, or a path with a `/`, relative
        to `build_root`. In the others, `{reference}` stands for the image.
    :param before_tags: images are signed before their tags move, not after.
    :param environment: all variables of the process, but TMPDIR. They may be secret.
    :param at_once: so many processes run at a time.
    :param artifact_types: types of referrers by which a signed image is known.
    """

    argv: tuple[str, ...]
    before_tags: bool
    environment: Mapping[str, str] = field(repr=False)
    build_root: str
    at_once: int
    timeout_seconds: float
    artifact_types: tuple[str, ...] = ()
