"""A counter: transaction n is the number n, big-endian in 8 bytes. The app hash is the count.

python -m examples.counter unix:///tmp/counter.sock state.json
cometbft start --proxy_app unix:///tmp/counter.sock
"""

import json
import logging
import os
import sys
from pathlib import Path

from abci_app.abci import ABCIError, ABCIServer, Application
from abci_app.abci import messages as pb


class Counter(Application):
    """Height and count; on disk what the last Commit wrote, in memory that and the block in progress."""

    def __init__(self, path: Path) -> None:
        self.path = path
        state = json.loads(path.read_text()) if path.exists() else {"height": 0, "count": 0}
        self.height, self.count = state["height"], state["count"]
        self.pending = (self.height, self.count)

    def info(self, request: pb.RequestInfo) -> pb.ResponseInfo:
        return pb.ResponseInfo(last_block_height=self.height, last_block_app_hash=self.count.to_bytes(8, "big"))

    def query(self, request: pb.RequestQuery) -> pb.ResponseQuery:
        return pb.ResponseQuery(height=self.height, key=b"count", value=str(self.count).encode())

    def check_tx(self, request: pb.RequestCheckTx) -> pb.ResponseCheckTx:
        fits = len(request.tx) == 8 and int.from_bytes(request.tx, "big") >= self.count
        return pb.ResponseCheckTx() if fits else pb.ResponseCheckTx(code=1, log=f"count is {self.count}")

    def finalize_block(self, request: pb.RequestFinalizeBlock) -> pb.ResponseFinalizeBlock:
        count, response = self.count, pb.ResponseFinalizeBlock()
        for tx in request.txs:
            is_next = tx == count.to_bytes(8, "big")
            response.tx_results.add(code=0 if is_next else 1, log="" if is_next else f"expected {count}")
            count += is_next
        self.pending = (request.height, count)
        response.app_hash = count.to_bytes(8, "big")
        return response

    def commit(self, request: pb.RequestCommit) -> pb.ResponseCommit:
        self.height, self.count = self.pending
        scratch = self.path.with_suffix(".new")
        scratch.write_text(json.dumps({"height": self.height, "count": self.count}))
        os.replace(scratch, self.path)  # whole or not at all
        return pb.ResponseCommit()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    try:
        ABCIServer(app=Counter(Path(sys.argv[2])), address=sys.argv[1]).run()
    except ABCIError as error:
        sys.exit(f"counter: {error}")
