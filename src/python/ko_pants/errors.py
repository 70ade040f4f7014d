"""The one exception that is meant for the user's eyes."""

from __future__ import annotations


class KoPantsError(Exception):
    """A mistake or a failure that the user can act on.

    The message is complete: it names what was found, what was expected and how to fix it. The rules
    add the target's address; nobody adds a traceback.
    """
