"""The step that shows the `Warning` headers of replies."""

from __future__ import annotations

from ko_pants.registry.notices import Notices
from ko_pants.registry.request import Reply, Request, Send


class ShowingWarnings:
    """Logs what a reply warns of, once a run. Thread-safe.

    It stands before the authorization: a warning may quote a secret, and a secret is removed from
    logs only after the credential was read.
    """

    def __init__(self, send: Send, notices: Notices) -> None:
        self._send = send
        self._notices = notices

    def send(self, request: Request) -> Reply:
        """The reply of the next step."""
        reply = self._send(request)
        if "Warning" in reply.headers:
            self._notices.warn_of_header(request.ref.registry, reply.headers["Warning"])
        return reply
