"""An HTTP server that answers late, and has nothing."""

from __future__ import annotations

import contextlib
import http.server
import threading
from typing import Callable, Iterator


@contextlib.contextmanager
def slow_server(wait: Callable[[], object]) -> Iterator[str]:
    """The URL, without a slash at its end; each GET is a 404 once `wait` has returned."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wait()
            # The client may be gone.
            with contextlib.suppress(OSError):
                self.send_error(404)

        def log_message(self, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
