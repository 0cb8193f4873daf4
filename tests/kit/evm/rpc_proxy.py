"""A JSON-RPC endpoint that misbehaves on request: between the observer and a real or in-memory chain.

`Faults` decides what becomes of a call and knows no transport; `RpcProxy` serves it over HTTP in front of another
endpoint. Faults may be switched from the test's thread while calls are in flight.
"""

import json
import threading
import urllib.request
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Forward = Callable[[str, list[Any]], Any]
"""Method and parameters → `result` of the endpoint behind. Raises JsonRpcError."""

HANG_S = 30.0
"""Longest that a hanging call is held: beyond every deadline of the code under test."""

EMPTY_BLOOM = "0x" + "00" * 256


class JsonRpcError(Exception):
    """An error object of JSON-RPC."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Absent(Exception):
    """The connection ends without an answer."""


class Faults:
    """What the endpoint does wrong now. All fields may be set together; `behave()` ends them all."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.released = threading.Event()
        self.behave()

    def behave(self) -> None:
        """Answer like the endpoint behind; calls that hang are let go."""
        self.is_absent = False
        self.lag_blocks = 0
        self.drop_topic0: bytes | None = None
        """Logs of this event are missing from eth_getLogs."""
        self.drop_everywhere = False
        """Dropped logs are missing from receipts and blooms too: the lie fits together."""
        self.lie_logs = False
        """The third word of every log's data, in most events an amount, is another one in eth_getLogs."""
        self.lie_everywhere = False
        """The lie stands in receipts too."""
        self.changed_hashes: dict[int, str] = {}
        """Block number → the hash that is given for it, in headers, receipts and logs alike."""
        self.refused_methods: dict[str, int] = {}
        """Method → error code."""
        self.failed_receipts = False
        self.log_range_max: int | None = None
        """eth_getLogs refuses longer ranges."""
        self.constants: dict[str, Any] = {}
        """Answers that the endpoint behind is not asked for."""
        self.junk_methods: tuple[str, ...] = ()
        self.is_hanging = False
        self.released.set()

    def hang(self) -> None:
        """Hold every call until `behave()` or for `HANG_S`."""
        self.released.clear()
        self.is_hanging = True

    def answer(self, method: str, params: list[Any], forward: Forward) -> Any:
        """`result` for a call, right or wrong. Raises JsonRpcError, Absent."""
        self.calls[method] += 1
        if self.is_absent:
            raise Absent
        if self.is_hanging and not self.released.wait(HANG_S):
            raise Absent
        if method in self.refused_methods:
            raise JsonRpcError(self.refused_methods[method], "refused by the test")
        if method in self.constants:
            return self.constants[method]
        if method in self.junk_methods:
            return {"junk": True}
        if method == "eth_getBlockByNumber":
            return self._block(params, forward)
        if method == "eth_blockNumber":
            return hex(max(int(forward(method, params), 16) - self.lag_blocks, 0))
        if method == "eth_getLogs":
            return self._logs(params, forward)
        if method == "eth_getBlockReceipts":
            receipts = forward(method, params)
            return None if receipts is None else [self._receipt(receipt) for receipt in receipts]
        if method == "eth_getTransactionReceipt":
            receipt = forward(method, params)
            return None if receipt is None else self._receipt(receipt)
        return forward(method, params)

    def _block(self, params: list[Any], forward: Forward) -> Any:
        tag = params[0]
        if self.lag_blocks:
            head = int(forward("eth_getBlockByNumber", ["latest", False])["number"], 16) - self.lag_blocks
            if tag in ("latest", "finalized"):
                block = forward("eth_getBlockByNumber", [tag, False])
                tag = hex(max(int(block["number"], 16) - self.lag_blocks, 0))
            elif int(tag, 16) > head:
                return None
        block = forward("eth_getBlockByNumber", [tag, False])
        if block is None:
            return None
        number = int(block["number"], 16)
        changes = {"hash": self._hash(number, block["hash"]), "parentHash": self._hash(number - 1, block["parentHash"])}
        if self.drop_everywhere:
            changes["logsBloom"] = EMPTY_BLOOM
        return {**block, **changes}

    def _logs(self, params: list[Any], forward: Forward) -> Any:
        first, last = int(params[0]["fromBlock"], 16), int(params[0]["toBlock"], 16)
        if self.log_range_max is not None and last - first + 1 > self.log_range_max:
            raise JsonRpcError(-32602, f"at most {self.log_range_max} blocks")
        return [self._log(log, self.lie_logs) for log in forward("eth_getLogs", params) if not self._is_dropped(log)]

    def _receipt(self, receipt: dict[str, Any]) -> dict[str, Any]:
        logs = [
            self._log(log, self.lie_everywhere)
            for log in receipt["logs"]
            if not (self.drop_everywhere and self._is_dropped(log))
        ]
        changes = {"logs": logs, "blockHash": self._hash(int(receipt["blockNumber"], 16), receipt["blockHash"])}
        return {**receipt, **changes, **({"status": "0x0"} if self.failed_receipts else {})}

    def _log(self, log: dict[str, Any], lie: bool) -> dict[str, Any]:
        data, end = log["data"], 2 + 3 * 64
        if lie and len(data) >= end:
            data = data[:end - 1] + ("1" if data[end - 1] == "0" else "0") + data[end:]
        return {**log, "data": data, "blockHash": self._hash(int(log["blockNumber"], 16), log["blockHash"])}

    def _is_dropped(self, log: dict[str, Any]) -> bool:
        return self.drop_topic0 is not None and log["topics"][:1] == ["0x" + self.drop_topic0.hex()]

    def _hash(self, number: int, real: str) -> str:
        return self.changed_hashes.get(number, real)


class RpcProxy:
    """An HTTP server on 127.0.0.1 before the endpoint at `upstream_url`; `faults` says what goes wrong."""

    def __init__(self, upstream_url: str) -> None:
        self.faults = Faults()
        self._upstream_url = upstream_url
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                proxy._serve(self)

            def log_message(self, format: str, *args: object) -> None:
                return

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, request: Any, client_address: Any) -> None:
                return  # the caller's deadline came first and it hung up

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def __enter__(self) -> "RpcProxy":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End the server; nobody listens on its port any more."""
        self.faults.behave()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        request = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        answer: dict[str, Any] = {"jsonrpc": "2.0", "id": request["id"]}
        try:
            answer["result"] = self.faults.answer(request["method"], request["params"], self._forward)
        except JsonRpcError as error:
            answer["error"] = {"code": error.code, "message": str(error)}
        except Absent:
            handler.close_connection = True
            return
        body = json.dumps(answer).encode()
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def _forward(self, method: str, params: list[Any]) -> Any:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        request = urllib.request.Request(self._upstream_url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=20) as response:
            answer = json.load(response)
        if answer.get("error"):
            raise JsonRpcError(answer["error"]["code"], answer["error"]["message"])
        return answer["result"]
