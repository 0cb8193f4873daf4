"""CometBFT as the engine of a submission: the broadcast calls of its JSON-RPC."""

import base64
import http.client
import json
from typing import Any
from urllib.parse import urlsplit

from abci_app.gateway.codes import AnswerCode
from abci_app.gateway.core.engine import Checked
from abci_app.gateway.core.reads import QueryError
from abci_app.machine.codes import Code

CALL_TIMEOUT_S = 5.0
ANSWER_BYTES_MAX = 1 << 20


class CometBftEngine:
    """The core's Engine over one CometBFT RPC endpoint; a connection per call, so that it is safe from any thread."""

    def __init__(self, rpc_url: str, timeout_s: float = CALL_TIMEOUT_S) -> None:
        parts = urlsplit(rpc_url.replace("tcp://", "http://"))
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 26657
        self._timeout_s = timeout_s

    def broadcast(self, tx: bytes, wait_checked: bool = True) -> Checked:
        """Hand ``tx`` to the mempool; return CheckTx's answer, or OK at once where nobody waits for it.

        Raises QueryError: MEMPOOL_FULL, ENGINE_UNAVAILABLE.
        """
        method = "broadcast_tx_sync" if wait_checked else "broadcast_tx_async"
        answer = self._call(method, {"tx": base64.b64encode(tx).decode()})
        error = answer.get("error")
        if error is not None:
            fields = error if isinstance(error, dict) else {"message": error}
            reason = str(fields.get("data") or fields.get("message") or error)
            if "already exists in cache" in reason:
                return Checked(Code.OK, "already in the mempool")
            code = AnswerCode.MEMPOOL_FULL if "mempool is full" in reason else AnswerCode.ENGINE_UNAVAILABLE
            raise QueryError(code, reason[:300])
        try:
            result = answer["result"]
            return Checked(int(result["code"]), str(result.get("log", "")))
        except (KeyError, TypeError, ValueError, AttributeError) as wrong:
            raise QueryError(AnswerCode.ENGINE_UNAVAILABLE, "CometBFT answered without a result") from wrong

    def _call(self, method: str, params: dict[str, str]) -> dict[str, Any]:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        connection = http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_s)
        try:
            connection.request("POST", "/", body, {"Content-Type": "application/json"})
            answer = json.loads(connection.getresponse().read(ANSWER_BYTES_MAX))
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = f"CometBFT at {self._host}:{self._port}: {error or type(error).__name__}"
            raise QueryError(AnswerCode.ENGINE_UNAVAILABLE, reason) from error
        finally:
            connection.close()
        if not isinstance(answer, dict):
            raise QueryError(AnswerCode.ENGINE_UNAVAILABLE, "CometBFT answered with something that is no object")
        return answer
