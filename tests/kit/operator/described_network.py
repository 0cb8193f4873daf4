"""The small world's network before its genesis: two chains that answer over JSON-RPC, and its description."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from eth_abi.abi import encode as abi_encode

from abci_app.evm.codec import load_interface
from abci_app.evm.connext import CONNEXT
from abci_app.evm.gate import GATE
from abci_app.evm.types import to_hex
from abci_app.machine.connext import keccak
from abci_app.machine.decisions.batches import compute_domain_separator
from abci_app.machine.genesis.json_form import to_json
from abci_app.machine.state.codec import DomainId
from tests.kit.evm.endpoint import Endpoint
from tests.kit.machine.small_world import (
    CANONICAL_ID,
    CHAIN_ID,
    DESTINATION,
    LIQUIDITY,
    LOCALS,
    ORIGIN,
    POWERS,
    ROUTERS,
    valid_domain,
    valid_validator,
)

FINAL, HEAD = 100, 102
TOKEN = load_interface("erc20")
VALIDATORS = [valid_validator(number) for number in range(len(POWERS))]


class DescribedChain:
    """One chain: Connext, the gate and a token, whose views answer what `values` has. Tests change fields."""

    def __init__(self, domain: DomainId) -> None:
        genesis = valid_domain(domain)
        self.genesis = genesis
        self.chain_id = genesis.chain_id
        self.asked: list[tuple[str, str]] = []
        """(function, block) of every call."""
        self.replaced = False
        """Block G has another hash whenever it is looked at again."""
        members = sorted((bytes(each.attestation), each.power) for each in VALIDATORS)
        token = LOCALS[domain]
        self.values: dict[tuple[bytes, str], tuple[Any, ...]] = {
            (genesis.connext, "domain"): (domain,),
            (genesis.connext, "nonce"): (genesis.next_nonce,),
            (genesis.connext, "maxRoutersPerTransfer"): (genesis.max_routers,),
            (genesis.connext, "LIQUIDITY_FEE_NUMERATOR"): (genesis.fee_numerator,),
            (genesis.connext, "paused"): (False,),
            (genesis.connext, "routerAllowlistRemoved"): (False,),
            (genesis.connext, "owner"): (b"\x0e" * 20,),
            (genesis.connext, "getLocalAndAdoptedToken"): (token, token),
            (genesis.connext, "routerBalances"): (LIQUIDITY,),
            (genesis.connext, "getRouterApproval"): (True,),
            (token, "decimals"): (6,),
            (genesis.gate, "connext"): (genesis.connext,),
            (genesis.gate, "domainSeparator"): (compute_domain_separator(CHAIN_ID),),
            (genesis.gate, "validatorSet"): (1, 2**40, [one for one, _ in members], [power for _, power in members]),
        }

    def connext(self, name: str, *values: Any) -> None:
        """Change what a view of Connext answers."""
        self.values[self.genesis.connext, name] = values

    def gate(self, name: str, *values: Any) -> None:
        """Change what a view of the gate answers."""
        self.values[self.genesis.gate, name] = values

    def answer(self, _: Endpoint, method: str, params: list[Any]) -> Any:
        """Result or error of one request."""
        if method == "eth_chainId":
            return {"result": hex(self.chain_id)}
        if method == "eth_blockNumber":
            return {"result": hex(HEAD)}
        if method == "eth_getBlockByNumber":
            return {"result": self._block(FINAL if params[0] == "finalized" else int(params[0], 16))}
        assert method == "eth_call"
        return self._call(bytes.fromhex(params[0]["to"][2:]), bytes.fromhex(params[0]["data"][2:]), params[1])

    def _block(self, number: int) -> dict[str, Any]:
        is_again = any(self.asked)
        block_hash = keccak(b"another" if self.replaced and is_again else b"block %d" % number)
        return {
            "number": hex(number), "hash": to_hex(block_hash), "parentHash": to_hex(bytes(32)),
            "timestamp": hex(1_700_000_000 + number - FINAL), "baseFeePerGas": "0x1",
        }

    def _call(self, to: bytes, data: bytes, block: str) -> Any:
        for interface in (CONNEXT, GATE, TOKEN):
            for function in interface.functions.values():
                if function.selector == data[:4] and (to, function.name) in self.values:
                    self.asked.append((function.name, block))
                    types = [output.type for output in function.outputs]
                    return {"result": to_hex(abi_encode(types, self.values[to, function.name]))}
        return {"result": "0x"}


@contextmanager
def serving(chain: DescribedChain) -> Iterator[str]:
    """Serve a chain; the value is its URL."""
    endpoint = Endpoint(chain.answer)
    thread = threading.Thread(target=endpoint.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield endpoint.url
    finally:
        endpoint.shutdown()
        thread.join(5)
        endpoint.server_close()


def describe(urls: dict[DomainId, str]) -> dict[str, Any]:
    """The small world's description as JSON values; by domain, where its chains answer."""
    return {
        "chain_id": CHAIN_ID,
        "chains": [
            {
                "rpc_url": urls[domain], "domain": domain, "chain_id": valid_domain(domain).chain_id,
                "connext": to_hex(valid_domain(domain).connext), "gate": to_hex(valid_domain(domain).gate),
                "segment_blocks": 1, "idle_blocks": 2,
            }
            for domain in (ORIGIN, DESTINATION)
        ],
        "assets": [{"canonical_domain": ORIGIN, "canonical_id": to_hex(CANONICAL_ID), "min_fast": 10}],
        "routers": [to_hex(router) for router in ROUTERS],
        "validators": [to_json(validator) for validator in VALIDATORS],
    }
