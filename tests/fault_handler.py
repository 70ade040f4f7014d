"""The HTTP side of a `FaultRegistry`: a correct registry, unless a fault says otherwise."""

from __future__ import annotations

import contextlib
import email.utils
import time
import urllib.parse

from fault_registry import Fault, Seen
from registry_handler import Answer, ContentHandler, error_answer


class FaultHandler(ContentHandler):
    """Misbehaves as it was told, and else answers correctly."""

    def do_GET(self) -> None:
        registry = self.registry
        self.begin()
        endpoint = self.endpoint()
        seen = Seen(endpoint, self.command, self.path, dict(self.headers.items()))
        registry.seen.append(seen)
        registry.on_request(seen)
        fault = registry.take(endpoint) if endpoint else None
        if fault is not None and not self.before(fault):
            return
        answer = self.refusal() or self.answer(endpoint)
        if answer is None:
            return
        if fault is not None:
            answer = self.after(fault, answer)
            if answer is None:
                return
        self.drain()
        seen.status = answer.status
        self.send(answer)

    do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = do_GET

    def before(self, fault: Fault) -> bool:
        """What happens instead of an answer: False if that was it."""
        kind, registry = fault.kind, self.registry
        if kind == "reset before":
            return self.reset()
        if kind == "reset in body" and self.left:
            self.read(self.left // 2)
            return self.reset()
        if kind == "silent":
            # Until the client has given up and closes.
            self.rfile.read(1)
            self.close_connection = True
            return False
        if kind == "raw":
            # Anything that a socket can carry, and then the end.
            self.drain()
            self.wfile.write(fault.value.encode("latin-1"))
            self.wfile.flush()
            self.close_connection = True
            return False
        if kind == "401 expired":
            registry.tokens.clear()
            return True
        if kind == "401 in body":
            registry.tokens.clear()
            self.read(self.left // 2)
            self.send(self.unauthorized())
            return self.reset()
        location = None
        if kind == "redirect loop":
            location = self.path
        elif kind == "redirect elsewhere":
            location = registry.elsewhere + self.path
        elif kind == "redirect to":
            location = fault.value
        if location is not None:
            self.drain()
            self.send(Answer(307, {"Location": location}))
            return False
        status = kind.partition(" ")[0]
        if status.isdigit():
            answer = error_answer(int(status), fault.value or "UNKNOWN")
            if kind == "429 seconds":
                answer.headers["Retry-After"] = "7"
            elif kind == "429 date":
                later = email.utils.formatdate(time.time() + 30, usegmt=True)
                answer.headers["Retry-After"] = later
            elif kind == "503 html":
                answer = Answer(503, {"Content-Type": "text/html"}, b"<html>busy</html>")
            self.drain()
            self.send(answer)
            return False
        return True

    def after(self, fault: Fault, answer: Answer) -> Answer | None:
        """The answer as the fault leaves it; None if none is to be sent any more."""
        kind = fault.kind
        if kind == "reset after":
            self.drain()
            self.reset()
            return None
        if kind in ("reset in body", "short body", "drip"):
            self.drain()
            self.send(answer, cut=kind)
            return None
        if kind == "wrong digest":
            answer.headers["Docker-Content-Digest"] = "sha256:" + "0" * 64
        elif kind == "wrong length":
            length = len(answer.body) + 7 if answer.body else 7
            answer.headers["Content-Length"] = str(length)
            self.close_connection = True
        elif kind == "length too small" and answer.body:
            answer.headers["Content-Length"] = str(len(answer.body) - 7)
        elif kind == "wrong bytes" and answer.body:
            answer.body = bytes(len(answer.body))
        elif kind == "oversized":
            answer.body = b" " * (5 * 1024 * 1024)
            answer.headers.pop("Content-Length", None)
        elif kind == "garbage":
            answer.body = b"{]\x00<html>"
            answer.headers.pop("Content-Length", None)
        elif kind == "location elsewhere" and "Location" in answer.headers:
            target = urllib.parse.urljoin(
                f"http://{self.registry.host}", answer.headers["Location"]
            )
            parts = urllib.parse.urlsplit(target)
            answer.headers["Location"] = f"{self.registry.elsewhere}{parts.path}?{parts.query}"
        elif kind == "location to":
            answer.headers["Location"] = fault.value
        elif kind == "no location":
            answer.headers.pop("Location", None)
        elif kind == "no digest":
            answer.headers.pop("Docker-Content-Digest", None)
        elif kind == "realm":
            self.registry.realm = fault.value
        return answer

    def send(self, answer: Answer, cut: str = "") -> None:
        """Send an answer; `cut` breaks it off in the middle."""
        body = b"" if self.command == "HEAD" or answer.status == 204 else answer.body
        self.send_response(answer.status)
        headers = dict(answer.headers)
        headers.setdefault("Content-Length", str(len(answer.body)))
        if self.registry.warning:
            headers["Warning"] = self.registry.warning
        for key, value in headers.items():
            self.send_header(key, value)
        if cut and not body:
            # Nothing but a head to break off.
            self.flush_headers()
            self.wfile.flush()
            if cut == "drip":
                self.registry.on_drip()
            self.reset()
            return
        with contextlib.suppress(ConnectionError):
            self.end_headers()
            if not cut:
                self.wfile.write(body)
                return
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            if cut == "drip":
                self.registry.on_drip()
                for at in range(len(body) // 2, len(body)):
                    self.wfile.write(body[at : at + 1])
                    self.wfile.flush()
                    if at > len(body) // 2 + 50:
                        break
            if cut == "short body":
                self.wfile.flush()
                self.close_connection = True
            else:
                self.reset()
