"""Was everybody paid? Expectations from raw logs, answers from the chains' own state; nothing shared with the machine.

Run on a settled network: every transfer executed once and reconciled once, users got what Connext promises, each
router's balance is what its events add up to, tokens on both sides are backed, the gates hold nothing.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from testnet import raw_logs
from testnet.raw_logs import Executed, RawChain, Reconciled, XCalled

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
        _check_transfer(report, order, executed[transfer_id], reconciled[transfer_id])
    for transfer_id in executed.keys() | reconciled.keys():
        report.expect(f"{transfer_id}: an xcall of this id", transfer_id in called, True)
    for domain, place in places.items():
        payouts = [paid for rows in executed.values() for at, paid in rows if at == domain]
        _check_payouts(report, chains[domain], payouts)
        _check_routers(report, chains[domain], place, heads[domain])
        for symbol, token in place.tokens.items():
            held = chains[domain].token_balance(token, place.gate, heads[domain])
            report.expect(f"domain {domain}: {symbol} held by the gate", held, 0)
    for symbol, home in home_domain_of.items():
        _check_backing(report, symbol, home, places, chains, heads)
    return report


def _check_transfer(
    report: Report, order: XCalled, payouts: list[tuple[int, Executed]], arrivals: list[tuple[int, Reconciled]]
) -> None:
    name = f"transfer {order.transfer_id[:10]}"
    report.expect(f"{name}: payouts", len(payouts), 1)
    report.expect(f"{name}: arrivals", len(arrivals), 1)
    for domain, paid in payouts:
        report.expect(f"{name}: paid on", domain, order.destination)
        report.expect(f"{name}: paid to", paid.to, order.to)
        fast = order.bridged_amt * FAST_NUMERATOR // FEE_DENOMINATOR
        report.expect(f"{name}: paid amount", paid.amount, fast if paid.routers else order.bridged_amt)
    for domain, arrival in arrivals:
        report.expect(f"{name}: arrived on", domain, order.destination)
        report.expect(f"{name}: arrived amount", arrival.amount, order.bridged_amt)
        named = payouts[0][1].routers if payouts else ()
        report.expect(f"{name}: repaid routers", arrival.routers, named)


def _check_payouts(report: Report, chain: RawChain, payouts: list[Executed]) -> None:
    """The token itself says the recipient got the amount, in the very transaction."""
    for paid in payouts:
        moved = sum(
            int(log["data"], 16) for log in chain.receipt(paid.tx_hash)["logs"]
            if log["address"].lower() == paid.asset.lower() and log["topics"][0] == raw_logs.ERC20_TRANSFER
            and "0x" + log["topics"][2][26:] == paid.to
        )
        report.expect(f"payout {paid.transfer_id[:10]}: token moved at least", moved >= paid.amount > 0, True)


def _check_routers(report: Report, chain: RawChain, place: Place, head: int) -> None:
    """Every router's balance is the sum of its events, by Connext's own arithmetic."""
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
    """What circulates abroad is locked at home: in Connext there, beyond the routers' own liquidity."""
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
