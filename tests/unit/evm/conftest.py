"""Endpoints of a test, with their clients."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from abci_app.evm.rpc import Rpc
from tests.kit.evm.endpoint import Answer, Endpoint


@pytest.fixture
def serve() -> Iterator[Callable[..., tuple[Endpoint, Rpc]]]:
    """Start an endpoint with a client that does not wait between attempts."""
    started: list[tuple[Endpoint, Rpc, threading.Thread]] = []

    def start(answer: Answer | dict[str, Any], **options: Any) -> tuple[Endpoint, Rpc]:
        fixed = answer if callable(answer) else lambda *_: answer
        endpoint = Endpoint(fixed)
        thread = threading.Thread(target=endpoint.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        settings: dict[str, Any] = {"timeout_s": 2.0, "retry_delays_s": ()} | options
        rpc = Rpc(endpoint.url, **settings)
        started.append((endpoint, rpc, thread))
        return endpoint, rpc

    yield start
    for endpoint, rpc, thread in started:
        rpc.close()
        endpoint.shutdown()
        thread.join(5)
        endpoint.server_close()
