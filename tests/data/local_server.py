"""A server on this machine that misbehaves on demand."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = Callable[[BaseHTTPRequestHandler], None]


class LocalServer(ThreadingHTTPServer):
    """Answers each path as `answers` says; keeps the paths asked for in `asked`."""

    daemon_threads = False  # closing waits for every answer, so that nothing stays behind

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: dict[str, Answer] = {}
        self.asked: list[str] = []
        self.closing = threading.Event()

    def serve(self, path: str, answer: Answer) -> str:
        """Answer this path so from now on; its address."""
        self.answers[path] = answer
        return f"http://127.0.0.1:{self.server_port}{path}"

    def handle_error(self, request, client_address):
        """A client that gives up in the middle is what some tests are about: no traceback."""


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        answer = self.server.answers.get(self.path)
        if answer is None:
            self.send_error(404)
        else:
            answer(self)

    def log_message(self, *args):
        """Quiet."""


@contextlib.contextmanager
def local_server() -> Iterator[LocalServer]:
    server = LocalServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()  # lets hanging answers end
        server.shutdown()
        server.server_close()
        thread.join()


def send(body: bytes, promised: int | None = None) -> Answer:
    """This body; `promised` bytes announced, if that is to be more than comes."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body) if promised is None else promised))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def hang(handler: BaseHTTPRequestHandler) -> None:
    """Never answer."""
    handler.server.closing.wait()


def hang_after(body: bytes) -> Answer:
    """Begin to answer, and stop without closing the connection."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        send(body, promised=len(body) + 1)(handler)
        handler.server.closing.wait()

    return answer


def closed_port() -> int:
    """A port of this machine on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
