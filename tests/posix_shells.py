"""Shells that stand for the /bin/sh of other systems. macOS has bash 3.2, or dash."""

from __future__ import annotations

import shutil
from typing import Dict, Tuple

import pytest

_SHELLS: Dict[str, Tuple[str, ...]] = {
    "bash": ("--posix",),
    "busybox": ("sh",),
    "dash": (),
    "ksh": (),
    "mksh": (),
    "zsh": ("--emulate", "sh"),
}
in_every_shell = pytest.mark.parametrize("shell", _SHELLS)


def command_of(shell: str) -> Tuple[str, ...]:
    """How a shell is started; the test is skipped where it is not there."""
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"no {shell} here")
    return (program, *_SHELLS[shell])
