"""The checker sees what is wrong: a settled network passes, each single wrong balance or missing event is named."""

from dataclasses import astuple

import pytest

from abci_app.machine.connext import compute_transfer_id
from testnet.audit import checks, raw_logs
from testnet.connext.merkle import keccak
from tests.kit.observer.fake_chain import address, encode_log, make_info, word

ONE, TWO = 1111, 2222
AMOUNT, LIQUIDITY = 1_000_003, 9_000_000
ROUTERS = (address(10), address(11))
INFO = make_info(0, bridged_amt=AMOUNT, to=address(1), call_data=b"hello")
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


SENDER, RECIPIENT, OWNER = ("0x" + who.hex() for who in (INFO.origin_sender, address(1), address(4)))
DEBIT = AMOUNT * 9995 // 10000
ABROAD = 77
"""What circulates on ONE besides what was sent back."""


def move(sender, to, amount, tx_hash="0x" + "ee" * 32):
    """A token's Transfer."""
    return {
        "address": TOKEN, "data": f"0x{amount:064x}", "transactionHash": tx_hash, "blockNumber": "0x1",
        "topics": [raw_logs.ERC20_TRANSFER, *("0x" + "00" * 12 + who[2:] for who in (sender, to))],
    }


class FakeChain:
    """What a chain would answer on a settled network of one transfer ONE → TWO, shared by two routers."""

    def __init__(self, domain):
        self.by_topic = {
            ONE: {
                raw_logs.XCALLED: [xcalled()],
                raw_logs.ERC20_TRANSFER: [
                    move(raw_logs.ZERO, SENDER, AMOUNT + ABROAD),
                    move(SENDER, CONNEXT, AMOUNT, xcalled()["transactionHash"]),
                    move(CONNEXT, raw_logs.ZERO, AMOUNT, xcalled()["transactionHash"]),
                ],
            },
            TWO: {
                raw_logs.EXECUTED: [executed()], raw_logs.RECONCILED: [reconciled()],
                raw_logs.LIQUIDITY_ADDED: [added(router) for router in ROUTERS],
                raw_logs.ERC20_TRANSFER: [
                    move(raw_logs.ZERO, OWNER, 10 * LIQUIDITY),
                    move(OWNER, CONNEXT, 2 * LIQUIDITY + AMOUNT + ABROAD),
                    move(CONNEXT, RECIPIENT, DEBIT, executed()["transactionHash"]),
                ],
            },
        }[domain]
        self.routers = {
            ROUTERS[0].hex(): LIQUIDITY - DEBIT // 2 + AMOUNT // 2,
            ROUTERS[1].hex(): LIQUIDITY - (DEBIT - DEBIT // 2) + (AMOUNT - AMOUNT // 2),
        }
        self.tokens = {
            ONE: {SENDER: ABROAD},
            TWO: {
                OWNER: 8 * LIQUIDITY - AMOUNT - ABROAD, RECIPIENT: DEBIT,
                CONNEXT: sum(self.routers.values()) + ABROAD,
            },
        }[domain]
        self.recorded = (1, keccak(b"hello"))

    def head(self):
        return 9

    def logs(self, contract, topic0, last_block):
        return self.by_topic.get(topic0, [])

    def router_balance(self, connext, router, local, block):
        return self.routers[router[2:]]

    def token_balance(self, token, holder, block):
        return self.tokens.get(holder, 0)

    def total_supply(self, token, block):
        return sum(self.tokens.values())

    def recorded_calls(self, recorder, block):
        return self.recorded

    def move(self, sender, to, amount, tx_hash="0x" + "ee" * 32):
        """Move tokens, logged and true."""
        self.by_topic[raw_logs.ERC20_TRANSFER].append(move(sender, to, amount, tx_hash))
        for who, change in ((sender, -amount), (to, amount)):
            if who != raw_logs.ZERO:
                self.tokens[who] = self.tokens.get(who, 0) + change


def run(monkeypatch, corrupt=lambda one, two: None):
    chains = {"one": FakeChain(ONE), "two": FakeChain(TWO)}
    corrupt(chains["one"], chains["two"])
    monkeypatch.setattr(checks, "RawChain", chains.__getitem__)
    places = {
        ONE: checks.Place(ONE, "one", CONNEXT, GATE, {"USDC": TOKEN}),
        TWO: checks.Place(TWO, "two", CONNEXT, GATE, {"USDC": TOKEN}, (RECIPIENT,)),
    }
    return checks.check_network(places, {"USDC": TWO})


def test_a_settled_network_passes(monkeypatch):
    report = run(monkeypatch)
    assert report.problems == []
    assert report.checked >= 12


def corrupt_balance(one, two):
    two.routers[ROUTERS[1].hex()] += 1


def pay_twice(one, two):
    """The contract logs one payout and makes two, out of others' liquidity."""
    two.move(CONNEXT, RECIPIENT, DEBIT)


def pay_in_part(one, two):
    two.move(RECIPIENT, CONNEXT, 1)
    two.by_topic[raw_logs.ERC20_TRANSFER][2] = move(CONNEXT, RECIPIENT, DEBIT - 1, executed()["transactionHash"])
    two.by_topic[raw_logs.ERC20_TRANSFER].pop()


def take_more_from_the_sender(one, two):
    one.move(SENDER, OWNER, 5, xcalled()["transactionHash"])


def set_field(name, value):
    return lambda one, two: setattr(two, name, value)


CORRUPTIONS = {
    "no payout": (lambda one, two: two.by_topic.pop(raw_logs.EXECUTED), "payouts"),
    "logged twice": (lambda one, two: two.by_topic[raw_logs.EXECUTED].append(executed()), "payouts"),
    "paid twice": (pay_twice, "that ever left Connext"),
    "paid too little": (lambda one, two: two.by_topic.update({raw_logs.EXECUTED: [executed(5)]}), "paid amount"),
    "never arrived": (lambda one, two: two.by_topic.pop(raw_logs.RECONCILED), "arrivals"),
    "others repaid": (lambda one, two: two.by_topic.update({raw_logs.RECONCILED: [reconciled(())]}), "repaid routers"),
    "never ordered": (lambda one, two: one.by_topic.pop(raw_logs.XCALLED), "an xcall of this id"),
    "paid on the origin": (lambda one, two: one.by_topic.update(two.by_topic) or two.by_topic.clear(), "paid on"),
    "router short": (corrupt_balance, "router 0xad"),
    "token not moved": (pay_in_part, "USDC moved to"),
    "sender charged too much": (take_more_from_the_sender, "USDC paid by"),
    "recipient poor": (lambda one, two: two.tokens.update({RECIPIENT: DEBIT - 1}), f"USDC of {RECIPIENT[:10]}"),
    "sender rich": (lambda one, two: one.tokens.update({SENDER: ABROAD + 1}), f"USDC of {SENDER[:10]}"),
    "gate holds funds": (lambda one, two: two.move(OWNER, GATE, 1), "held by the gate"),
    "gate holds what no log says": (lambda one, two: two.tokens.update({GATE: 1}), f"USDC of {GATE[:10]}"),
    "minted in secret": (lambda one, two: one.tokens.update({OWNER: 5}), "USDC in all"),
    "unbacked": (lambda one, two: one.move(raw_logs.ZERO, SENDER, 1), "supply abroad"),
    "never called": (set_field("recorded", (0, bytes(32))), "calls"),
    "called twice": (set_field("recorded", (2, keccak(b"hello"))), "calls"),
    "called with something else": (set_field("recorded", (1, keccak(b"hullo"))), "hash of its call data"),
}


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_each_single_fault_is_named(monkeypatch, name):
    corrupt, words = CORRUPTIONS[name]
    problems = run(monkeypatch, corrupt).problems
    assert any(words in problem for problem in problems), problems
