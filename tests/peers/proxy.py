"""A proxy before a server that loses answers, or the client, when it is told to."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Rule = Callable[[str, str, int], str]
"""(method, path, how many requests there were) -> ``pass``, ``refuse`` or ``lose``."""

_ANSWER = "refuse"
"""503, and the server has not seen the request."""
_LOST = "lose"
"""The server has done it; the client never hears of it."""


@contextmanager
def proxy(target: str, rule: Rule) -> Iterator[str]:
    """The address of a proxy before ``target``, for the time of the block."""
    seen = [0]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length) if length else None
            seen[0] += 1
            fate = rule(self.command, self.path, seen[0])
            if fate == _ANSWER:
                self._answer(503, "text/plain", b"busy")
                return
            headers = {k: v for k, v in self.headers.items() if k.lower() != "host"}
            request = urllib.request.Request(
                f"{target}{self.path}", data=body, headers=headers, method=self.command
            )
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    code, kind, data = answer.status, answer.headers["Content-Type"], answer.read()
            except urllib.error.HTTPError as error:
                code, kind, data = error.code, error.headers["Content-Type"], error.read()
            if fate == _LOST:
                self.close_connection = True
                self.connection.close()
                return
            self._answer(code, kind or "text/plain", data)

        def _answer(self, code: int, kind: str, data: bytes) -> None:
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = do_DELETE = _serve  # noqa: N815 (the names of http.server)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as served:
        served.handle_error = lambda *_: None
        threading.Thread(target=served.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{served.server_address[1]}"
        finally:
            served.shutdown()
