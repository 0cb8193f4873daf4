"""The checker sees what is wrong: a settled network passes, each single wrong balance or missing event is named."""

from dataclasses import astuple

import pytest

from abci_app.machine.connext import compute_transfer_id
from testnet import checks, raw_logs
from tests.unit.observer.fake_chain import address, encode_log, make_info, word

ONE, TWO = 1111, 2222
AMOUNT, LIQUIDITY = 1_000_003, 9_000_000
ROUTERS = (address(10), address(11))
INFO = make_info(0, bridged_amt=AMOUNT, to=address(1))
TRANSFER = compute_transfer_id(INFO)
TOKEN, GATE, CONNEXT = "0x" + address(5).hex(), "0x" + address(8).hex(), "0x" + address(9).hex()


def raw(name, arguments, block=1):
    """A log as JSON-RPC shows it."""
    log = encode_log(name, arguments, block=block)
    return {
        "address": CONNEXT, "topics": ["0x" + topic.hex() for topic in log.topics], "data": "0x" + log.data.hex(),
        "transactionHash": "0x" + log.tx_hash.hex(), "blockNumber": hex(block),
    }


def xcalled():
    return raw("XCalled", {
        "transferId": TRANSFER, "nonce": 0, "messageHash": word(1), "params": INFO, "asset": address(5),
        "amount": AMOUNT, "local": address(5), "messageBody": b"body",
    })


def executed(amount=AMOUNT * 9995 // 10000):
    args = (astuple(INFO), ROUTERS, (b"\x05" * 65,) * 2, address(7), b"\x06" * 65)
    return raw("Executed", {
        "transferId": TRANSFER, "to": address(1), "asset": address(5), "args": args, "local": address(5),
        "amount": amount, "caller": address(8),
    })


def reconciled(routers=ROUTERS):
    return raw("Reconciled", {
        "transferId": TRANSFER, "originDomain": ONE, "local": address(5), "routers": routers, "amount": AMOUNT,
        "caller": address(6),
    })


def added(router):
    return raw("RouterLiquidityAdded", {
        "router": router, "local": address(5), "key": word(3), "amount": LIQUIDITY, "caller": address(6),
    })


class FakeChain:
    """What a chain would answer on a settled network of one transfer ONE → TWO, shared by two routers."""

    def __init__(self, domain):
        debit = AMOUNT * 9995 // 10000
        self.by_topic = {
            ONE: {raw_logs.XCALLED: [xcalled()]},
            TWO: {
                raw_logs.EXECUTED: [executed()], raw_logs.RECONCILED: [reconciled()],
                raw_logs.LIQUIDITY_ADDED: [added(router) for router in ROUTERS],
            },
        }[domain]
        self.balances = {
            ROUTERS[0].hex(): LIQUIDITY - debit // 2 + AMOUNT // 2,
            ROUTERS[1].hex(): LIQUIDITY - (debit - debit // 2) + (AMOUNT - AMOUNT // 2),
        }
        self.moved, self.gate_holds = debit, 0
        # Home is TWO: abroad (ONE) circulates what is locked at home beyond the routers' liquidity.
        self.locked = sum(self.balances.values()) + 77
        self.supply = 77

    def head(self):
        return 9

    def logs(self, contract, topic0, last_block):
        return self.by_topic.get(topic0, [])

    def receipt(self, tx_hash):
        return {"logs": [{
            "address": TOKEN, "data": hex(self.moved),
            "topics": [raw_logs.ERC20_TRANSFER, "0x" + "00" * 32, "0x" + address(1).rjust(32, b"\0").hex()],
        }]}

    def router_balance(self, connext, router, local, block):
        return self.balances[router[2:]]

    def token_balance(self, token, holder, block):
        return self.gate_holds if holder == GATE else self.locked

    def total_supply(self, token, block):
        return self.supply


def run(monkeypatch, spoil=lambda one, two: None):
    chains = {"one": FakeChain(ONE), "two": FakeChain(TWO)}
    spoil(chains["one"], chains["two"])
    monkeypatch.setattr(checks, "RawChain", chains.__getitem__)
    places = {
        ONE: checks.Place(ONE, "one", CONNEXT, GATE, {"USDC": TOKEN}),
        TWO: checks.Place(TWO, "two", CONNEXT, GATE, {"USDC": TOKEN}),
    }
    return checks.check_network(places, {"USDC": TWO})


def test_a_settled_network_passes(monkeypatch):
    report = run(monkeypatch)
    assert report.problems == []
    assert report.checked >= 12


def spoil_balance(one, two):
    two.balances[ROUTERS[1].hex()] += 1
    two.locked += 1


SPOILS = {
    "no payout": (lambda one, two: two.by_topic.pop(raw_logs.EXECUTED), "payouts"),
    "paid twice": (lambda one, two: two.by_topic[raw_logs.EXECUTED].append(executed()), "payouts"),
    "paid too little": (lambda one, two: two.by_topic.update({raw_logs.EXECUTED: [executed(5)]}), "paid amount"),
    "never arrived": (lambda one, two: two.by_topic.pop(raw_logs.RECONCILED), "arrivals"),
    "others repaid": (lambda one, two: two.by_topic.update({raw_logs.RECONCILED: [reconciled(())]}), "repaid routers"),
    "never ordered": (lambda one, two: one.by_topic.clear(), "an xcall of this id"),
    "paid on the origin": (lambda one, two: one.by_topic.update(two.by_topic) or two.by_topic.clear(), "paid on"),
    "router short": (spoil_balance, "router 0xad"),
    "token not moved": (lambda one, two: setattr(two, "moved", 1), "token moved"),
    "gate holds funds": (lambda one, two: setattr(two, "gate_holds", 1), "held by the gate"),
    "unbacked": (lambda one, two: setattr(one, "supply", 78), "supply abroad"),
}


@pytest.mark.parametrize("name", SPOILS)
def test_each_single_fault_is_named(monkeypatch, name):
    spoil, words = SPOILS[name]
    problems = run(monkeypatch, spoil).problems
    assert any(words in problem for problem in problems), problems
