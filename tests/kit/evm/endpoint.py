"""A JSON-RPC endpoint whose answers a test decides."""

import json
import socketserver
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

Answer = Callable[["Endpoint", str, list[Any]], Any]


class Endpoint(socketserver.ThreadingTCPServer):
    """A JSON-RPC endpoint whose answers a test decides. A `bytes` answer is the whole raw HTTP answer."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, answer: Answer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.requests: list[tuple[str, list[Any]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Endpoint
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append((request["method"], request["params"]))
        answer = self.server.answer(self.server, request["method"], request["params"])
        if callable(answer):  # takes over the connection
            answer(self.wfile)
            self.close_connection = True
            return
        if not isinstance(answer, bytes):
            answer = http_answer(json.dumps({"jsonrpc": "2.0", "id": request["id"], **answer}).encode())
        self.wfile.write(answer)

    def log_message(self, *_: Any) -> None:
        pass


def http_answer(body: bytes, status: str = "200 OK") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body
