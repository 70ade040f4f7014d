"""The end of a run that the user has interrupted.

Not in `errors.py`, which the layer tool takes along into its sandbox: a change there has every
layer packed once more.
"""

from __future__ import annotations

from ko_pants.errors import KoPantsError


class InterruptedRunError(KoPantsError):
    """The user has ended the run, so that nobody waits for what is still to be done."""

    def __init__(self) -> None:
        super().__init__("the run was interrupted")
