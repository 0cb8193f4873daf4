"""The node's own CometBFT, as far as submitting needs it: ``broadcast_tx_sync`` over its JSON-RPC."""

import base64
import http.client
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from abci_app.gateway.reads import QueryError
from abci_app.machine.codes import Code

CALL_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Checked:
    """CheckTx's answer."""

    code: int
    log: str


class Engine:
    """One CometBFT RPC endpoint; a connection per call, so that it is safe from any thread."""

    def __init__(self, rpc_url: str) -> None:
        parts = urlsplit(rpc_url.replace("tcp://", "http://"))
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 26657

    def broadcast(self, tx: bytes) -> Checked:
        """Hand ``tx`` to the mempool and return CheckTx's answer; raises ``QueryError`` where there is none."""
        answer = self._call("broadcast_tx_sync", {"tx": base64.b64encode(tx).decode()})
        error = answer.get("error")
        if error is not None:
            reason = str(error.get("data") or error.get("message") or error)
            if "already exists in cache" in reason:
                return Checked(Code.OK, "already in the mempool")
            code = Code.MEMPOOL_FULL if "mempool is full" in reason else Code.ENGINE_UNAVAILABLE
            raise QueryError(code, reason[:300])
        result = answer["result"]
        return Checked(int(result["code"]), str(result.get("log", "")))

    def _call(self, method: str, params: dict[str, str]) -> dict[str, Any]:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        connection = http.client.HTTPConnection(self._host, self._port, timeout=CALL_TIMEOUT_S)
        try:
            connection.request("POST", "/", body, {"Content-Type": "application/json"})
            answer = json.loads(connection.getresponse().read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise QueryError(Code.ENGINE_UNAVAILABLE, f"CometBFT at {self._host}:{self._port}: {error}") from error
        finally:
            connection.close()
        if not isinstance(answer, dict):
            raise QueryError(Code.ENGINE_UNAVAILABLE, "CometBFT answered with something that is no object")
        return answer
