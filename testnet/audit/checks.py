"""Was everybody paid? Expectations from raw logs, answers from the chains' own state; nothing shared with the machine.

Run on a settled network: every transfer executed once and reconciled once, users paid and got what Connext promises,
called contracts got their call data, each router's balance is what its events add up to, everybody's tokens are what
ever moved to them less what moved away, tokens on both sides are backed, the gates hold nothing.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from testnet.audit import raw_logs
from testnet.audit.raw_logs import ZERO, Executed, RawChain, Reconciled, XCalled
from testnet.connext.merkle import keccak

K = TypeVar("K", bound=Hashable)
FAST_NUMERATOR = 9_995
FEE_DENOMINATOR = 10_000


@dataclass(frozen=True)
class Place:
    """One chain to look at. Addresses are lower-case 0x hex."""

    domain: int
    rpc_url: str
    connext: str
    gate: str
    tokens: Mapping[str, str]
    """Local token by symbol."""
    recorders: tuple[str, ...] = ()
    """Contracts that keep what they are called with; others with call data are not asked."""


@dataclass
class Report:
    """What was checked and what did not hold."""

    checked: int
    problems: list[str]

    def expect(self, what: str, found: object, wanted: object) -> None:
        """Count one check; note it where it fails."""
        self.checked += 1
        if found != wanted:
            self.problems.append(f"{what}: found {found}, expected {wanted}")


def check_network(places: Mapping[int, Place], home_domain_of: Mapping[str, int]) -> Report:
    """Check both chains at their heads; ``home_domain_of`` names the canonical domain of each token symbol."""
    report = Report(0, [])
    chains = {domain: RawChain(place.rpc_url) for domain, place in places.items()}
    heads = {domain: chain.head() for domain, chain in chains.items()}
    called: dict[str, XCalled] = {}
    executed: dict[str, list[tuple[int, Executed]]] = defaultdict(list)
    reconciled: dict[str, list[tuple[int, Reconciled]]] = defaultdict(list)
    for domain, place in places.items():
        chain, head = chains[domain], heads[domain]
        for log in chain.logs(place.connext, raw_logs.XCALLED, head):
            order = raw_logs.decode_xcalled(log)
            called[order.transfer_id] = order
        for log in chain.logs(place.connext, raw_logs.EXECUTED, head):
            payout = raw_logs.decode_executed(log)
            executed[payout.transfer_id].append((domain, payout))
        for log in chain.logs(place.connext, raw_logs.RECONCILED, head):
            arrival = raw_logs.decode_reconciled(log)
            reconciled[arrival.transfer_id].append((domain, arrival))
    for transfer_id, order in called.items():
        _check_transfer(report, places, order, executed[transfer_id], reconciled[transfer_id])
    for transfer_id in executed.keys() | reconciled.keys():
        report.expect(f"{transfer_id}: an xcall of this id", transfer_id in called, True)
    for domain, place in places.items():
        orders = [order for order in called.values() if order.origin == domain]
        payouts = [paid for rows in executed.values() for at, paid in rows if at == domain]
        _check_routers(report, chains[domain], place, heads[domain])
        for symbol in place.tokens:
            _check_token(report, chains[domain], place, symbol, heads[domain], orders, payouts)
        for recorder in place.recorders:
            _check_calls(report, chains[domain], recorder, heads[domain], called, payouts)
    for symbol, home in home_domain_of.items():
        _check_backing(report, symbol, home, places, chains, heads)
    return report


def _check_transfer(
    report: Report, places: Mapping[int, Place], order: XCalled, payouts: list[tuple[int, Executed]],
    arrivals: list[tuple[int, Reconciled]],
) -> None:
    symbol = _symbol(places[order.origin], order.asset)
    name = f"transfer {order.transfer_id[:10]}"
    report.expect(f"{name}: payouts", len(payouts), 1)
    report.expect(f"{name}: arrivals", len(arrivals), 1)
    for domain, paid in payouts:
        report.expect(f"{name}: paid on", domain, order.destination)
        report.expect(f"{name}: paid to", paid.to, order.to)
        report.expect(f"{name}: paid token", _symbol(places[domain], paid.asset), symbol)
        fast = order.bridged_amt * FAST_NUMERATOR // FEE_DENOMINATOR
        report.expect(f"{name}: paid amount", paid.amount, fast if paid.routers else order.bridged_amt)
    for domain, arrival in arrivals:
        report.expect(f"{name}: arrived on", domain, order.destination)
        report.expect(f"{name}: arrived amount", arrival.amount, order.bridged_amt)
        named = payouts[0][1].routers if payouts else ()
        report.expect(f"{name}: repaid routers", arrival.routers, named)


def _symbol(place: Place, token: str) -> str:
    """Return the symbol of a local token, its address where it has none."""
    return next((symbol for symbol, address in place.tokens.items() if address == token), token)


def _check_token(
    report: Report, chain: RawChain, place: Place, symbol: str, head: int, orders: list[XCalled],
    payouts: list[Executed],
) -> None:
    """Check that the token itself says who paid and who got what, and holds for each what that adds up to."""
    token, where = place.tokens[symbol], f"domain {place.domain}: {symbol}"
    moves = [raw_logs.decode_token_move(log) for log in chain.logs(token, raw_logs.ERC20_TRANSFER, head)]
    paid = _sum_up(((one.tx_hash, one.sender), one.amount) for one in orders if one.asset == token)
    moved = _sum_up(((move.tx_hash, move.sender), move.amount) for move in moves)
    for (tx_hash, sender), wanted in paid.items():
        report.expect(f"{where} paid by {sender[:10]} in {tx_hash[:10]}", moved.get((tx_hash, sender), 0), wanted)
    paid = _sum_up(((one.tx_hash, one.to), one.amount) for one in payouts if one.asset == token)
    moved = _sum_up(((move.tx_hash, move.to), move.amount) for move in moves)
    for (tx_hash, to), wanted in paid.items():
        report.expect(f"{where} moved to {to[:10]} in {tx_hash[:10]}", moved.get((tx_hash, to), 0), wanted)
    removed = map(raw_logs.decode_liquidity_removed, chain.logs(place.connext, raw_logs.LIQUIDITY_REMOVED, head))
    allowed = _sum_up([
        *((to, amount) for (_, to), amount in paid.items()),
        *((change.to, -change.amount) for change in removed if change.local == token),
    ])
    left = _sum_up((move.to, move.amount) for move in moves if move.sender == place.connext and move.to != ZERO)
    for to in sorted({*allowed, *left}):
        report.expect(f"{where} that ever left Connext for {to[:10]}", left.get(to, 0), allowed.get(to, 0))
    balances = _sum_up([
        (place.gate, 0), *((move.to, move.amount) for move in moves), *((move.sender, -move.amount) for move in moves),
    ])
    minted = -balances.pop(ZERO, 0)
    for holder, wanted in sorted(balances.items()):
        report.expect(f"{where} of {holder[:10]}", chain.token_balance(token, holder, head), wanted)
    report.expect(f"{where} held by the gate", balances[place.gate], 0)
    report.expect(f"{where} in all", chain.total_supply(token, head), minted)


def _sum_up(amounts: Iterable[tuple[K, int]]) -> dict[K, int]:
    """Return the sum of the amounts of each key."""
    sums: dict[K, int] = defaultdict(int)
    for key, amount in amounts:
        sums[key] += amount
    return dict(sums)


def _check_calls(
    report: Report, chain: RawChain, recorder: str, head: int, called: Mapping[str, XCalled], payouts: list[Executed]
) -> None:
    """Check that a contract was called once for each transfer with call data to it, and got the last one's."""
    orders = [called[paid.transfer_id] for paid in payouts if paid.to == recorder and paid.transfer_id in called]
    expected = [order.call_data for order in orders if order.call_data]
    count, last = chain.recorded_calls(recorder, head)
    report.expect(f"contract {recorder[:10]}: calls", count, len(expected))
    wanted = keccak(expected[-1]) if expected else bytes(32)
    report.expect(f"contract {recorder[:10]}: hash of its call data", last.hex(), wanted.hex())


def _check_routers(report: Report, chain: RawChain, place: Place, head: int) -> None:
    """Check that every router's balance is the sum of its events, by Connext's own arithmetic."""
    balances: dict[tuple[str, str], int] = defaultdict(int)
    for topic, decode in (
        (raw_logs.LIQUIDITY_ADDED, raw_logs.decode_liquidity_added),
        (raw_logs.LIQUIDITY_REMOVED, raw_logs.decode_liquidity_removed),
    ):
        for log in chain.logs(place.connext, topic, head):
            change = decode(log)
            balances[change.router, change.local] += change.amount
    for log in chain.logs(place.connext, raw_logs.EXECUTED, head):
        paid = raw_logs.decode_executed(log)
        _split(balances, paid.routers, paid.local, -(paid.bridged_amt * FAST_NUMERATOR // FEE_DENOMINATOR))
    for log in chain.logs(place.connext, raw_logs.RECONCILED, head):
        arrival = raw_logs.decode_reconciled(log)
        _split(balances, arrival.routers, arrival.local, arrival.amount)
    for (router, local), wanted in sorted(balances.items()):
        found = chain.router_balance(place.connext, router, local, head)
        report.expect(f"domain {place.domain}: router {router[:10]} in {local[:10]}", found, wanted)


def _split(balances: dict[tuple[str, str], int], routers: tuple[str, ...], local: str, amount: int) -> None:
    if not routers:
        return
    sign, size = (1 if amount >= 0 else -1), abs(amount)
    each, rest = divmod(size, len(routers))
    for router in routers[:-1]:
        balances[router, local] += sign * each
    balances[routers[-1], local] += sign * (each + rest)


def _check_backing(
    report: Report, symbol: str, home: int, places: Mapping[int, Place], chains: Mapping[int, RawChain],
    heads: Mapping[int, int],
) -> None:
    """Check that what circulates abroad is locked at home: in Connext, beyond the routers' own liquidity."""
    abroad = sum(
        chains[domain].total_supply(place.tokens[symbol], heads[domain])
        for domain, place in places.items() if domain != home
    )
    place = places[home]
    locked = chains[home].token_balance(place.tokens[symbol], place.connext, heads[home])
    liquidity = sum(
        chains[home].router_balance(place.connext, router, place.tokens[symbol], heads[home])
        for router in _routers(chains[home], place, heads[home])
    )
    report.expect(f"{symbol}: locked at home beyond liquidity, against supply abroad", locked - liquidity, abroad)


def _routers(chain: RawChain, place: Place, head: int) -> list[str]:
    logs = chain.logs(place.connext, raw_logs.LIQUIDITY_ADDED, head)
    return sorted({raw_logs.decode_liquidity_added(log).router for log in logs})
