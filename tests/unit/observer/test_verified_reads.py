"""One endpoint at the edges: blocks too large for a call, receipts that are not those of the block, odd codes."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from abci_app.evm.errors import RpcTooLarge, RpcUnavailable
from abci_app.machine.params import INDEX_WHOLE_BLOCK
from abci_app.observer.endpoint_follower import TIMEOUT_DOUBLINGS_MAX, EndpointFollower, StepOutcome
from abci_app.observer.log_projections import project
from abci_app.observer.observation_errors import ErrorCause, ObservationError
from tests.kit.observer.fake_chain import DOMAIN, FakeChain, FakeRpc, encode_log, xcalled
from tests.kit.observer.followed_chain import Setting, routine_chain

Corruption = Callable[["BentRpc", str, list[Any], Any], Any]


class BentRpc(FakeRpc):
    """An endpoint whose every answer a test may change."""

    corrupt: Corruption = staticmethod(lambda rpc, method, params, answer: answer)

    def request(self, method: str, params: Any) -> Any:
        return self.corrupt(self, method, list(params), super().request(method, params))


def follow(chain: FakeChain, corrupt: Corruption) -> tuple[Setting, BentRpc]:
    setting = Setting(chain)
    rpc = BentRpc(chain, setting.faults)
    rpc.corrupt = corrupt  # type: ignore[method-assign]
    setting.follower = EndpointFollower(
        DOMAIN, "rpc0", rpc, lambda: {DOMAIN: setting.domain}, setting.errors, lambda: setting.now_s
    )
    return setting, rpc


def takes(seconds: float) -> Corruption:
    """Receipts of a block come after so many seconds."""

    def corrupt(rpc: BentRpc, method: str, params: list[Any], answer: Any) -> Any:
        if method == "eth_getBlockReceipts" and rpc.timeout_s < seconds:
            raise RpcUnavailable(f"not complete after {rpc.timeout_s} s")
        return answer

    return corrupt


def test_a_block_that_takes_long_gets_its_time() -> None:
    """Whoever fills a block with logs must not silence every observer: the limit grows until the block is there."""
    setting, rpc = follow(routine_chain(), takes(5.0))
    limits = set()
    for _ in range(60):
        outcome = setting.follower.step()
        limits.add(rpc.timeout_s)
        if outcome is StepOutcome.POLL:
            break
    assert setting.numbers() == [1, 2, 3, 4, 5]
    assert set(setting.errors.causes) == {ErrorCause.UNAVAILABLE}
    assert limits == {1.0}, "other questions have the usual limit"


def test_patience_ends() -> None:
    longest: list[float] = []

    def corrupt(rpc: BentRpc, method: str, params: list[Any], answer: Any) -> Any:
        if method == "eth_getLogs":
            longest.append(rpc.timeout_s)
            raise RpcUnavailable("never")
        return answer

    setting, _ = follow(routine_chain(), corrupt)
    for _ in range(40):
        assert setting.follower.step() is StepOutcome.BACK_OFF
    assert max(longest) == 2**TIMEOUT_DOUBLINGS_MAX and longest[0] == 1.0
    assert setting.numbers() == []


def test_receipts_too_large_for_one_answer_are_read_one_by_one() -> None:
    def corrupt(rpc: BentRpc, method: str, params: list[Any], answer: Any) -> Any:
        if method == "eth_getBlockReceipts":
            raise RpcTooLarge("answer of more than we take")
        return answer

    setting, _ = follow(routine_chain(), corrupt)
    setting.settle()
    assert setting.numbers() == [1, 2, 3, 4, 5]
    assert setting.faults.calls["eth_getTransactionReceipt"] == 4


@pytest.mark.parametrize("code", [-32601, -32004])
def test_a_method_may_be_missing_by_either_code(code: int) -> None:
    setting = Setting(routine_chain())
    setting.faults.refused_methods = {"eth_getBlockReceipts": code}
    setting.settle()
    assert setting.numbers() == [1, 2, 3, 4, 5]


def lagging_index(rpc: BentRpc, method: str, params: list[Any], answer: Any) -> Any:
    """The header of block 3 is there; what serves logs and receipts has not seen its transactions yet."""
    if method == "eth_getLogs":
        return [log for log in answer if log["blockNumber"] != "0x3"]
    return [] if method == "eth_getBlockReceipts" and params == ["0x3"] else answer


def of_another_block(rpc: BentRpc, method: str, params: list[Any], answer: Any) -> Any:
    """The receipts of block 3 are those of a block with nothing of ours in it."""
    if method == "eth_getLogs":
        return [log for log in answer if log["blockNumber"] != "0x3"]
    if method == "eth_getBlockReceipts" and params == ["0x3"]:
        other = {"address": "0x" + "ee" * 20}
        return [
            {**receipt, "blockHash": "0x" + "77" * 32, "logs": [{**log, **other} for log in receipt["logs"]]}
            for receipt in answer
        ]
    return answer


@pytest.mark.parametrize(("corrupt", "cause"), [
    (lagging_index, ErrorCause.REFUSED), (of_another_block, ErrorCause.RECEIPT_MISMATCH),
])
def test_receipts_that_cannot_be_of_the_block_prove_nothing(corrupt: Corruption, cause: ErrorCause) -> None:
    setting, rpc = follow(routine_chain(), corrupt)
    assert setting.settle() is StepOutcome.BACK_OFF
    assert (setting.numbers(), set(setting.errors.causes)) == ([], {cause})
    rpc.corrupt = BentRpc.corrupt  # type: ignore[method-assign]
    setting.settle()
    assert setting.numbers() == [1, 2, 3, 4, 5]


def test_other_contracts_logs_may_be_as_they_like() -> None:
    """Only ours are parsed: blocks hold tens of thousands of others."""
    def corrupt(rpc: BentRpc, method: str, params: list[Any], answer: Any) -> Any:
        if method == "eth_getBlockReceipts":
            for receipt in answer:
                receipt["logs"].append({"address": "0x" + "EE" * 20, "topics": None})
                for log in receipt["logs"]:
                    log["address"] = log["address"].upper().replace("0X", "0x")
        return answer

    setting, _ = follow(routine_chain(), corrupt)
    setting.settle()
    assert setting.numbers() == [1, 2, 3, 4, 5]


def test_a_log_index_that_no_block_has_is_no_bug_of_ours() -> None:
    log = replace(encode_log(*xcalled(0)), log_index=INDEX_WHOLE_BLOCK)
    with pytest.raises(ObservationError, match="no block holds so many"):
        project([log])
    assert project([replace(log, log_index=INDEX_WHOLE_BLOCK - 1)])[0].index == INDEX_WHOLE_BLOCK - 1
