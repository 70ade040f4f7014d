"""Rules that a Ctrl-C drops end without a traceback."""

from __future__ import annotations

import functools
import inspect
import sys
from typing import TYPE_CHECKING, Callable

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

_Hook = Callable[["UnraisableHookArgs"], object]


def say_nothing_of_dropped_rules() -> None:
    """Have Python print no traceback where a Ctrl-C ends a rule that waits.

    Without a daemon the main thread of Pants closes the rules that still wait when the user presses
    Ctrl-C. Python runs the handler of the signal in the next Python code of that thread, which can
    be the end of such a rule. What the handler raises cannot leave a rule that is closed, so Python
    prints it with a traceback. Pants knows of the Ctrl-C without it, and says so in one line.

    Everything else that Python cannot raise is printed as before.
    """
    if getattr(sys.unraisablehook, "func", None) is not _hook:
        sys.unraisablehook = functools.partial(_hook, sys.unraisablehook)


def _hook(otherwise: _Hook, unraisable: UnraisableHookArgs) -> None:
    interrupted = unraisable.exc_type is KeyboardInterrupt
    if not (interrupted and inspect.iscoroutine(unraisable.object)):
        otherwise(unraisable)
