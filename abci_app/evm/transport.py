"""HTTP transport of JSON-RPC with limits of time and size for a whole answer.

A socket's own timeout starts anew with every byte, so an endpoint that drips would hold a caller for days; here one
deadline covers status line, headers and body.
"""

import io
import json
import sys
import time
from http.client import HTTPResponse
from socket import socket
from typing import Any

import requests
import urllib3.connection
from requests.adapters import HTTPAdapter
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from web3 import HTTPProvider
from web3.types import RPCEndpoint, RPCResponse

from abci_app.evm.errors import RpcMalformed, RpcTooLarge, RpcUnavailable

ANSWER_BYTES_MAX = 64 * 1024 * 1024
"""No answer that we ask for comes near it; an endpoint must not fill our memory."""

POOL_SIZE = 16
"""Connections kept for threads that share a client."""

RECURSION_MAX = 1000
"""Python's own limit. py_ecc, which comes with web3, raises it to 100,000 for the whole process: some kilobytes of
nested brackets would then overrun the C stack, and the process would end without a word."""
sys.setrecursionlimit(min(sys.getrecursionlimit(), RECURSION_MAX))


class BoundedProvider(HTTPProvider):
    """HTTPProvider with a size limit and a time limit `timeout_s` for the whole answer after connecting."""

    def __init__(self, url: str, timeout_s: float) -> None:
        session = requests.Session()
        session.trust_env = False  # neither proxies nor .netrc of the environment
        for scheme in ("http://", "https://"):
            session.mount(scheme, _Adapter(pool_maxsize=POOL_SIZE))
        super().__init__(url, session=session, exception_retry_configuration=None)
        self.session = session
        self._url = url
        self.timeout_s = timeout_s

    def _make_request(self, method: RPCEndpoint, request_data: bytes) -> bytes:
        answer = bytearray()
        with self.session.post(
            self._url,
            data=request_data,
            headers={"Content-Type": "application/json"},
            timeout=self.timeout_s,
            stream=True,
            allow_redirects=False,
        ) as response:
            # An error object may come with a status of 4xx or 5xx; only a body that is none is a transport fault.
            while chunk := response.raw.read1(1 << 16, decode_content=True):
                answer += chunk
                if len(answer) > ANSWER_BYTES_MAX:
                    raise RpcTooLarge(f"answer to {method} of more than {ANSWER_BYTES_MAX} bytes")
            if response.status_code != 200 and not answer.lstrip().startswith(b"{"):
                raise RpcUnavailable(f"HTTP status {response.status_code} to {method}")
        return bytes(answer)

    @staticmethod
    def decode_rpc_response(raw_response: bytes) -> RPCResponse:
        """Parse the JSON of an answer. Raises RpcMalformed for invalid JSON, excessive nesting or oversized numbers."""
        try:
            answer: RPCResponse = json.loads(raw_response)
        except (ValueError, RecursionError) as error:
            raise RpcMalformed(f"answer that is no JSON: {str(error)[:200]}") from error
        return answer


class _DeadlineReader(io.RawIOBase):
    """Reader of a socket that raises TimeoutError after a time of the monotonic clock."""

    def __init__(self, raw: io.RawIOBase, sock: socket, deadline_s: float) -> None:
        self._raw, self._sock, self._deadline_s = raw, sock, deadline_s

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left_s = self._deadline_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("answer not complete in time")
        self._sock.settimeout(left_s)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _DeadlineResponse(HTTPResponse):
    """HTTP response with the socket's timeout as limit for the whole response."""

    def __init__(self, sock: socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        timeout_s = sock.gettimeout()
        if timeout_s is not None:
            reader = _DeadlineReader(self.fp.detach(), sock, time.monotonic() + timeout_s)
            self.fp = io.BufferedReader(reader)


class _Connection(urllib3.connection.HTTPConnection):
    response_class = _DeadlineResponse


class _SecureConnection(urllib3.connection.HTTPSConnection):
    response_class = _DeadlineResponse


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class _Adapter(HTTPAdapter):
    """requests' adapter over connections whose responses have a deadline."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
