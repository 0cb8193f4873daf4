"""One answer of the query service → tables for people."""

from collections.abc import Iterable

from abci_app.cli.tables import print_fields, print_table, show_amount, show_hex, show_short, show_time
from abci_app.pb import query_pb2 as pb


def show_status(answer: pb.StatusResponse) -> None:
    """Print chain, height, validators and counters."""
    print_fields([
        ("chain", answer.chain_id), ("height", answer.height), ("time", show_time(answer.time_s)),
        ("app hash", show_hex(answer.app_hash)), ("epoch", answer.epoch),
        ("attestation", show_hex(answer.attestation) or "no key"), ("accepted", answer.next_acceptance - 1),
        ("decided", answer.next_sequence - 1), ("unattested", answer.unattested_batches),
    ])
    print_table("validators", ("attestation", "power", "consensus key"), (
        (show_hex(one.attestation), one.power, show_short(one.consensus_key)) for one in answer.validators
    ))
    print_table("counters of this node", ("name", "value"), ((one.name, one.value) for one in answer.counters))


def show_domains(answer: pb.DomainsResponse) -> None:
    """Print domains, lanes and assets."""
    print_fields([("height", answer.height)])
    print_table("domains", ("domain", "chain", "status", "segment", "block", "time", "reports", "paths"), (
        (
            one.domain, one.chain_id, _show_standing(one), one.segment, one.cursor_block,
            show_time(one.cursor_timestamp_s), len(one.reports), one.max_routers,
        )
        for one in answer.domains
    ))
    print_table("contracts", ("domain", "Connext", "gate"), (
        (one.domain, show_short(one.connext), show_short(one.gate)) for one in answer.domains
    ))
    print_table("lanes", ("origin", "destination", "status", "next", "held"), (
        (one.origin, one.destination, one.status, one.next_sequence, "held" if one.held else "")
        for one in answer.lanes
    ))
    print_table("assets", ("home", "canonical id", "domain", "token", "dec"), (
        (
            one.canonical_domain, show_short(one.canonical_id), local.domain, show_hex(local.address),
            local.decimals if local.listed else "off",
        )
        for one in answer.assets for local in one.locals
    ))


def _show_standing(domain: pb.Domain) -> str:
    if domain.connext_paused:
        return f"{domain.status}, paused"
    return domain.status if domain.eligible else f"{domain.status}, cut"


def show_transfer(answer: pb.TransferResponse) -> None:
    """Print a transfer with its attempts and bids."""
    one = answer.transfer
    print_fields([
        ("transfer", show_hex(one.transfer_id)), ("status", one.status), ("acceptance", one.acceptance),
        ("lane", f"{one.origin} → {one.destination}"), ("amount", one.amount), ("token", show_hex(one.local)),
        ("calldata", "yes" if one.has_call_data else "no"), ("origin tx", show_hex(one.origin_tx)),
        ("accepted", f"block {one.accepted_height}, {show_time(one.accepted_time_s)}"),
        ("executed by", " ".join(map(show_short, one.executed_by)) or "-"),
        ("executed tx", _show_tx(one.executed_tx)), ("reconciled tx", _show_tx(one.reconciled_tx)),
    ])
    columns = ("no", "kind", "seq", "lane seq", "routers", "block", "signed", "end", "valid until")
    print_table("attempts", columns, (
        (
            each.number, each.kind, each.sequence, each.lane_sequence, "\n".join(map(show_short, each.routers)),
            each.decided_height, f"{each.signatures}{'' if each.attested_height else '?'}", each.end,
            show_time(each.valid_until_s),
        )
        for each in one.attempts
    ))
    print_table("bids", ("router", "paths", "block", ""), (
        (show_hex(bid.router), _show_paths(bid.path_lengths), bid.height, "withdrawn" if bid.withdrawn else "")
        for bid in answer.bids
    ))


def show_transfers(answer: pb.TransfersResponse) -> None:
    """Print one line a transfer."""
    print_fields([("height", answer.height)])
    print_table("transfers", ("no", "transfer", "lane", "amount", "status", "tries", "routers"), (
        (
            one.acceptance, show_short(one.transfer_id), f"{one.origin}→{one.destination}", show_amount(one.amount),
            one.status, len(one.attempts), "\n".join(map(show_short, _list_routers(one))),
        )
        for one in answer.transfers
    ))
    if answer.truncated:
        print(f"more: use --from {answer.next_acceptance}")


def show_auction(answer: pb.AuctionResponse) -> None:
    """Print what decided, and for every bidder why it won or lost."""
    places = {winner.router: place for place, winner in enumerate(answer.winners, start=1)}
    print_fields([
        ("transfer", show_hex(answer.transfer_id)), ("attempt", answer.attempt),
        ("state", f"{_describe_auction(answer)} block {answer.height}"),
        ("amount", answer.amount),
        ("path", f"{answer.path_length} of at most {answer.max_routers}" if answer.path_length else "none"),
        ("share", answer.share), ("winners", " ".join(map(show_short, places)) or "-"),
    ])
    if answer.reason:
        print_fields([("reason", answer.reason)])
    virtual = int(answer.virtual_before or 0)
    print_table("bidders", ("router", "paths", "free", "turn", "outcome"), (
        (
            show_short(one.router), _show_paths(one.path_lengths),
            show_amount(int(one.balance) - int(one.reserved)),
            show_amount(max(virtual, int(one.finish)) - virtual >> 32),
            f"won, place {places[one.router]}" if one.router in places
            else one.code_name.removeprefix("INFEASIBLE_").lower(),
        )
        for one in answer.candidates
    ))
    if answer.candidates:
        print("\nturn: start tag above the queue's virtual time; the least go first")


def _describe_auction(answer: pb.AuctionResponse) -> str:
    if not answer.recorded:
        return "open at"
    return "decided in" if answer.path_length else "nobody could serve it; so since"


def show_router(answer: pb.RouterResponse) -> None:
    """Print a router's standing and liquidity."""
    print_fields([("height", answer.height), ("router", show_hex(answer.router))])
    print_table("domains", ("domain", "approved", "eligible", "faults", "cooling until block"), (
        (
            one.domain, _show_yes(one.approved), _show_yes(one.eligible), one.faults,
            one.cool_down_until if one.cool_down_until > answer.height else "-",
        )
        for one in answer.domains
    ))
    print_table("liquidity", ("domain", "token", "balance", "reserved"), (
        (one.domain, show_hex(held.local), show_amount(held.balance), show_amount(held.reserved))
        for one in answer.domains for held in one.liquidity
    ))


def show_decisions(answer: pb.DecisionsResponse) -> None:
    """Print one line a decision."""
    print_fields([("height", answer.height)])
    print_table("decisions", ("seq", "block", "lane and place", "transfer", "try", "kind", "routers"), (
        (
            one.sequence, one.height, f"{one.origin}→{one.destination} #{one.lane_sequence}",
            show_short(one.transfer_id), one.attempt, one.kind, "\n".join(map(show_short, one.routers)),
        )
        for one in answer.decisions
    ))


def show_batch(answer: pb.BatchResponse) -> None:
    """Print a batch with its leaves and signatures."""
    one = answer.batch
    attested = f"in block {one.attested_height}" if one.attested_height else "not yet"
    print_fields([
        ("batch", one.height), ("epoch", one.epoch), ("root", show_hex(one.root)), ("digest", show_hex(one.digest)),
        ("attested", attested),
    ])
    print_table("leaves", ("leaf", "destination", "gate", "lane", "sequences", "hash"), (
        (
            index, leaf.destination, show_short(leaf.gate), leaf.lane, " ".join(map(str, leaf.sequences)),
            show_short(leaf.hash),
        )
        for index, leaf in enumerate(one.leaves)
    ))
    _show_attestations(list(one.attestations))


def show_execution(answer: pb.ExecutionResponse) -> None:
    """Print a leaf's execution payload in short; its bytes are for programs."""
    signed = sum(each.power for each in answer.attestations)
    print_fields([
        ("batch", answer.batch_height), ("epoch", answer.epoch), ("root", show_hex(answer.root)),
        ("destination", answer.leaf.destination), ("gate", show_hex(answer.leaf.gate)),
        ("power", f"{signed} of {answer.total_power}"), ("proof", f"{len(answer.proof)} siblings"),
    ])
    print_table("decisions", ("seq", "transfer", "kind", "routers", "valid until", "sequencer"), (
        (
            entry.decision.sequence, show_short(entry.decision.transfer_id), entry.decision.kind,
            "\n".join(map(show_short, entry.decision.routers)), show_time(entry.decision.valid_until_s),
            show_short(entry.sequencer),
        )
        for entry in answer.entries
    ))
    _show_attestations(list(answer.attestations))


def _show_attestations(attestations: list[pb.Attestation]) -> None:
    print_table("signatures", ("validator", "power", "signature"), (
        (show_hex(one.attestation), one.power, show_short(one.signature)) for one in attestations
    ))


def _list_routers(transfer: pb.Transfer) -> list[bytes]:
    if transfer.executed_by:
        return list(transfer.executed_by)
    return list(transfer.attempts[-1].routers) if transfer.attempts else []


def _show_tx(tx_hash: bytes) -> str:
    return show_hex(tx_hash) if any(tx_hash) else "-"


def _show_paths(lengths: Iterable[int]) -> str:
    return " ".join(map(str, lengths)) or "-"


def _show_yes(holds: bool) -> str:
    return "yes" if holds else "no"
