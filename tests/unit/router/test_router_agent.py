"""A router's life: it sees orders, bids what it can pay, keeps true to what the network decides, survives its trade."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from abci_app.evm.connext import DestinationStatus
from abci_app.machine.connext import compute_bid_digest, compute_transfer_id, recover_address
from abci_app.machine.state import keys
from abci_app.machine.state.codec import Address
from abci_app.machine.state.records import Bid, Domain, Liquidity, QueueTag
from abci_app.router.agent import Agent
from abci_app.router.config import load_home
from abci_app.router.errors import ConfigInvalid, LedgerFailed
from abci_app.router.ledger import BidState, Ledger, SignedBid
from tests.kit.gateway.gateway_kit import FakeNode, find_free_port, serve
from tests.kit.machine.driver import LIQUIDITY, ROUTERS, A, B, bid_of, bundle, executed, local_of, withdraw
from tests.kit.router.router_kit import Log, World, collecting, make_world, running, wait_until

ROUTER, RIVAL = ROUTERS[0], ROUTERS[1]


def open_ledger(world: World) -> Ledger:
    """A copy of what is on disk now: the agent holds the file itself."""
    copy = world.home / "copy.sqlite"
    copy.write_bytes((world.home / "ledger.sqlite").read_bytes())
    return Ledger(copy)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr("abci_app.router.agent.SWEEP_S", 0.2)
    monkeypatch.setattr("abci_app.router.agent.REFRESH_S", 0.1)
    monkeypatch.setattr("abci_app.router.bidder.BACKOFF_FIRST_S", 0.2)
    monkeypatch.setattr("abci_app.router.bid_reconciler.RESUBMIT_S", 0.5)
    with make_world(tmp_path) as made:
        yield made


def wait_watching(log: Log, world: World) -> None:
    """Wait until the agent has looked at both chains, so that orders from now on are new to it."""
    wait_until(lambda: all(server.faults.calls["eth_getBlockByNumber"] > 1 for server in world.chains.values()), log)


def test_it_bids_early_and_serves_what_it_won(world: World) -> None:
    with running(world.save()) as (_, log):
        wait_watching(log, world)
        info = world.info(amount=1000)
        [transfer_id] = world.order(info)
        wait_until(lambda: log.of("bid"), log.lines)
        [bid] = world.bids()
        assert [signed.path_length for signed in bid.signatures] == [1, 2, 4]
        for signed in bid.signatures:
            assert recover_address(compute_bid_digest(transfer_id, signed.path_length), signed.signature) == ROUTER
        world.accept(info)
        world.node.commit()
        assert world.node.network.transfer(transfer_id).attempts[0].routers == (ROUTER,)
        [line] = log.of("bid", transfer_id="0x" + transfer_id.hex(), share="1000", code="OK")
        assert line["level"] == "info"
        world.node.commit({B: [executed(transfer_id, ROUTER)]})
        wait_until(lambda: log.of("bid_closed", status="EXECUTED"), log.lines)


def test_an_early_bid_is_repeated_until_the_node_has_seen_the_transfer(world: World) -> None:
    with running(world.save()) as (_, log):
        wait_watching(log, world)
        info = world.info()
        [transfer_id] = world.order(info, is_seen=False)
        wait_until(lambda: world.node.asked_unseen >= 2, log.lines)
        assert world.bids() == [] and not world.served.engine.broadcast  # refused before the engine hears of it
        world.node.seen.add(transfer_id)
        wait_until(lambda: log.of("bid"), log.lines)
        assert len(world.bids()) == len(log.of("bid")) == 1 and not log.of("waiting")


def test_with_liquidity_for_one_of_two_it_bids_on_one(world: World) -> None:
    world.chains[B].chain.balances[ROUTER, local_of(B)] = 1200
    with running(world.save()) as (_, log):
        wait_watching(log, world)
        first, second = world.info(amount=1000), world.info(amount=1000)
        ids = world.order(first, second)
        wait_until(lambda: world.bids() and log.of("not_bidding", cause="liquidity_short"), log.lines)
        [bid] = world.bids()
        [refusal] = log.of("not_bidding")
        assert {"0x" + bid.transfer_id.hex(), refusal["transfer_id"]} == {"0x" + one.hex() for one in ids}
        assert refusal["reason"] == "liquidity_short: 200 free of 1000 asked for"


def test_what_others_won_no_longer_counts(world: World) -> None:
    world.chains[B].chain.balances[ROUTER, local_of(B)] = 1200
    with running(world.save()) as (_, log):
        wait_watching(log, world)
        first, second = world.info(amount=1000), world.info(amount=1000)
        world.order(first, second)
        wait_until(lambda: world.bids() and log.of("not_bidding"), log.lines)
        [bid] = world.bids()
        other = next(info for info in (first, second) if compute_transfer_id(info) != bid.transfer_id)
        other_id = compute_transfer_id(other)
        # A rival with an older tag wins the first; the second is then affordable, and found by the sweep.
        world.node.network.change_or_write(keys.queue_tag(B, local_of(B), ROUTER), QueueTag(1 << 70, 1))
        world.node.mempool += [bundle(bid.transfer_id, RIVAL)]
        world.accept(first, second)
        world.node.commit()
        assert world.node.network.transfer(bid.transfer_id).attempts[0].routers == (RIVAL,)
        wait_until(lambda: log.of("bid_elsewhere"), log.lines)
        wait_until(lambda: any(one.transfer_id == other_id for one in world.bids()), log.lines)


def test_open_bids_count_across_a_restart(world: World) -> None:
    world.chains[B].chain.balances[ROUTER, local_of(B)] = 1200
    home = world.save()
    with running(home) as (_, log):
        wait_watching(log, world)
        world.order(world.info(amount=1000))
        wait_until(world.bids, log.lines)
    with running(home) as (_, log):
        world.order(world.info(amount=1000))
        wait_until(lambda: log.of("not_bidding", cause="liquidity_short"), log.lines)
        assert len(world.bids()) == 1


def test_what_it_missed_while_it_was_away_is_bid_on(world: World) -> None:
    info = world.info()
    world.order(info)
    world.accept(info)
    with running(world.save()) as (_, log):
        wait_until(world.bids, log.lines)
        assert world.bids()[0].transfer_id == compute_transfer_id(info)


def test_a_bid_that_the_mempool_lost_is_submitted_again(world: World) -> None:
    with running(world.save()) as (_, log):
        wait_watching(log, world)
        info = world.info()
        world.order(info)
        wait_until(world.bids, log.lines)
        first = world.bids()[:1]
        world.node.mempool.clear()
        world.node.commit({A: []})
        world.accept(info)
        wait_until(lambda: len(log.of("bid")) == 2, log.lines)
        assert world.bids() == first


def test_a_bid_made_by_other_means_counts_too(world: World) -> None:
    world.chains[B].chain.balances[ROUTER, local_of(B)] = 1200
    info = world.info(amount=1000)
    transfer_id = compute_transfer_id(info)
    # Nobody is feasible on the network's books, so that the transfer stays undecided.
    world.node.network.change(keys.liquidity(B, local_of(B), ROUTER), Liquidity, balance=0)
    world.accept(info)
    world.node.mempool.append(bundle(transfer_id, ROUTER))
    world.node.commit()
    with running(world.save()) as (_, log):
        wait_until(lambda: log.of("bid_adopted"), log.lines)
        world.order(world.info(amount=1000))
        wait_until(lambda: log.of("not_bidding", cause="liquidity_short"), log.lines)
        world.node.mempool.append(withdraw(transfer_id, ROUTER))
        world.node.commit()
        wait_until(lambda: log.of("bid_closed"), log.lines)
        assert world.bids() == []


@pytest.mark.parametrize("corrupt", ["no_contract", "would_revert", "not_pending"])
def test_it_says_once_why_it_does_not_bid(world: World, corrupt: str) -> None:
    with running(world.save()) as (_, log):
        wait_watching(log, world)
        info = world.info(call_data=b"\x01") if corrupt == "no_contract" else world.info()
        chain = world.chains[B].chain
        if corrupt == "would_revert":
            chain.reverting.add(info.to)
        if corrupt == "not_pending":
            chain.statuses[compute_transfer_id(info)] = DestinationStatus.RECONCILED
        world.order(info)
        world.accept(info)
        wait_until(lambda: log.of("not_bidding", cause=corrupt), log.lines)
        time.sleep(1.0)  # some sweeps come by
        assert len(log.of("not_bidding")) == 1 and world.bids() == []


def test_a_chain_that_hangs_holds_up_its_own_orders_only(world: World) -> None:
    """Those that it would pay, and those that it would have to vouch for: on a node's word alone nothing is signed."""
    with running(world.save()) as (_, log):
        wait_watching(log, world)
        world.chains[B].faults.hang()
        there, back = world.info(), world.info(origin=B, destination=A)
        world.order(there)
        world.order(back)
        world.accept(back)
        wait_until(lambda: log.of("waiting", part="watch-2222") and log.of("waiting", part="bid-2222"), log.lines)
        assert world.bids() == []
        world.chains[B].faults.behave()
        wanted = {compute_transfer_id(there), compute_transfer_id(back)}
        wait_until(lambda: {bid.transfer_id for bid in world.bids()} == wanted, log.lines)


def test_what_a_node_invents_is_not_signed_for(world: World) -> None:
    """Its caller as the delegate, a sequencer's key beside it: the router's signature would be all that is missing."""
    with running(world.save()) as (_, log):
        wait_watching(log, world)
        world.accept(world.info(), is_real=False)
        wait_until(lambda: log.of("not_bidding", cause="not_on_origin"), log.lines)
        real = world.info()
        world.accept(real)
        wait_until(world.bids, log.lines)
        assert {bid.transfer_id for bid in world.bids()} == {compute_transfer_id(real)}
        assert {bid.transfer_id for bid in open_ledger(world).list_unfinished()} == {compute_transfer_id(real)}


def test_an_order_of_a_chain_that_is_not_watched_is_not_signed_for(world: World) -> None:
    config = world.config()
    watched = tuple(chain for chain in config.chains if chain.domain == B)
    with running(world.save(config=replace(config, chains=watched))) as (_, log):
        world.accept(world.info())
        wait_until(lambda: log.of("not_bidding", cause="origin_not_watched"), log.lines)
        assert world.bids() == []


@pytest.mark.parametrize("is_real", [True, False])
def test_a_bid_that_only_a_node_knows_of_is_counted_and_not_signed(world: World, is_real: bool) -> None:
    """Its claim that this router's bid stands must not make the router sign it, nor hand it over later. Where the
    order was never made, not even the claim is kept: a node could fill ledger and liquidity with such."""
    info = world.info(amount=1000)
    transfer_id = compute_transfer_id(info)
    with running(world.save()) as (_, log):
        wait_watching(log, world)
        # No one is feasible, so that it stays undecided; the network has a bid that this router never made.
        world.node.network.change(keys.liquidity(B, local_of(B), ROUTER), Liquidity, balance=0)
        world.chains[B].chain.reverting.add(info.to)
        world.accept(info, is_real=is_real)
        world.node.mempool.append(bundle(transfer_id, ROUTER))
        world.node.commit()
        if is_real:
            wait_until(lambda: log.of("bid_adopted") or log.of("not_bidding"), log.lines)
            wait_until(lambda: log.of("bid_adopted"), log.lines)
            [adopted] = open_ledger(world).list_unfinished()
            assert (adopted.transfer_id, adopted.share, adopted.signatures) == (transfer_id, 1000, ())
        else:
            wait_until(lambda: log.of("not_bidding", cause="not_on_origin"), log.lines)
            assert open_ledger(world).list_unfinished() == []
        stranger = Address(b"\x99" * 20)
        world.node.network.change(keys.bid(transfer_id, ROUTER), Bid, router=stranger)  # and now it has none any more
        world.node.commit()
        cause = "would_revert" if is_real else "not_on_origin"
        wait_until(lambda: log.of("not_bidding", transfer_id="0x" + transfer_id.hex(), cause=cause), log.lines)
        assert world.bids() == []


def test_a_node_that_takes_bids_and_drops_them_is_passed_over(world: World) -> None:
    swallower = FakeNode(world.node.network)
    swallower.publish()
    with serve(swallower) as first, running(world.save(first.address, world.served.address)) as (_, log):
        wait_watching(log, world)
        info = world.info()
        swallower.seen.add(compute_transfer_id(info))
        world.order(info)
        wait_until(lambda: log.of("bid"), log.lines)
        assert len(swallower.mempool) == 1 and world.bids() == []
        world.accept(info)
        swallower.publish()
        wait_until(world.bids, log.lines)


def test_a_closed_bid_that_stands_after_all_counts(world: World) -> None:
    """Closed because nobody knew its transfer for long, and then a mempool still had it."""
    world.chains[B].chain.balances[ROUTER, local_of(B)] = 1200
    home, info = world.save(), world.info(amount=1000)
    transfer_id = compute_transfer_id(info)
    ledger = Ledger(home.ledger)
    signatures = tuple(signed.signature for signed in bid_of(transfer_id, ROUTER).signatures)
    ledger.record(SignedBid(transfer_id, B, local_of(B), 1000, (1,), signatures, BidState.CLOSED))
    ledger.close()
    world.node.network.change(keys.liquidity(B, local_of(B), ROUTER), Liquidity, balance=0)
    world.accept(info)
    world.node.mempool.append(bundle(transfer_id, ROUTER))
    world.node.commit()
    with running(home) as (_, log):
        wait_until(lambda: log.of("bid_submitted"), log.lines)
        world.order(world.info(amount=1000))
        wait_until(lambda: log.of("not_bidding", cause="liquidity_short"), log.lines)
        [again] = open_ledger(world).list_unfinished()
        assert (again.state, again.signatures) == (BidState.SUBMITTED, signatures)


def test_connext_is_where_it_was_first(world: World) -> None:
    """Without a word in the configuration the first node is believed, and from then on the ledger."""
    config = world.config()
    home = world.save(config=replace(config, chains=tuple(replace(chain, connext=b"") for chain in config.chains)))
    with running(home) as (_, log):
        assert {line["domain"] for line in log.of("pinned")} == {A, B}
    with running(home) as (_, log):
        assert log.of("pinned") == []
    ledger = Ledger(home.ledger)
    ledger.save_pin(A, b"\xee" * 20)
    ledger.close()
    agent = Agent(home)
    with pytest.raises(ConfigInvalid, match="set connext in config"):
        agent.start()
    agent.stop()


def test_a_connext_that_is_not_the_configured_one_is_refused(world: World) -> None:
    config = world.config()
    wrong = tuple(replace(chain, connext=b"\xee" * 20) for chain in config.chains)
    home = world.save(config=replace(config, chains=wrong))
    agent = Agent(home)
    with pytest.raises(ConfigInvalid, match="domain 1111 has Connext 0x0457"):
        agent.start()
    agent.stop()
    assert not home.ledger.exists()


def test_a_node_that_moves_connext_later_is_not_believed(world: World) -> None:
    with running(world.save()) as (_, log):
        wait_watching(log, world)
        world.node.network.change(keys.domain(B), Domain, connext=Address(b"\xee" * 20))
        world.node.commit()
        wait_until(lambda: log.of("node_contradicts", level="warning"), log.lines)
        info = world.info()
        world.order(info)
        wait_until(world.bids, log.lines)  # it goes on with what was true
        time.sleep(0.5)
        assert len(log.of("node_contradicts")) == 1 and not log.of("failed")


def test_a_chain_that_is_away_at_the_start_may_come_later(world: World) -> None:
    world.chains[B].faults.is_absent = True
    with running(world.save()) as (_, log):
        assert log.of("waiting", part="chain-2222", level="warning") and log.of("started", level="info")
        wait_until(lambda: log.of("waiting", part="watch-2222"), log.lines)
        world.chains[B].faults.behave()
        wait_until(lambda: log.of("recovered", part="watch-2222", level="info"), log.lines)
        info = world.info()
        wait_watching(log, world)
        world.order(info)
        wait_until(world.bids, log.lines)


def test_a_chain_that_turns_out_to_be_another_ends_it(world: World) -> None:
    world.chains[B].faults.is_absent = True
    with running(world.save()) as (agent, log):
        world.chains[B].chain.chain_id = 1
        world.chains[B].faults.behave()
        with pytest.raises(ConfigInvalid, match="chain id 1"):
            agent.wait()
        assert log.of("failed", level="error")


def test_the_next_node_is_asked_where_one_is_away(world: World) -> None:
    away = f"127.0.0.1:{find_free_port()}"
    with running(world.save(away, world.served.address)) as (_, log):
        wait_watching(log, world)
        world.order(world.info())
        wait_until(world.bids, log.lines)


def test_it_waits_for_a_node_and_can_be_stopped_meanwhile(world: World) -> None:
    agent = Agent(world.save(f"127.0.0.1:{find_free_port()}"))
    with collecting() as log:
        thread = threading.Thread(target=agent.start)
        thread.start()
        wait_until(lambda: log.of("waiting", part="node"), log.lines)
        agent.ask_stop()
        thread.join(10)
        assert not thread.is_alive()
        agent.wait()
        agent.stop()
        assert not load_home(world.home).ledger.exists() and not log.of("started")


def test_it_stops_within_three_seconds_whatever_hangs(world: World) -> None:
    agent = Agent(world.save())
    with collecting() as log:
        agent.start()
        wait_watching(log, world)
        for server in world.chains.values():
            server.faults.hang()
        world.order(world.info())
        time.sleep(0.3)
        started = time.monotonic()
        agent.stop()
        assert time.monotonic() - started < 3
        assert not log.of("failed")


def test_a_ledger_that_cannot_be_written_ends_it(world: World) -> None:
    with running(world.save()) as (agent, log):
        wait_watching(log, world)
        assert agent._ledger is not None
        agent._ledger.close()
        with pytest.raises(LedgerFailed):
            agent.wait()
        assert len(log.of("failed")) >= 1


def test_an_order_that_the_network_never_heard_of_is_let_go(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("abci_app.router.bid_reconciler.UNKNOWN_S", -1)
    with running(world.save()) as (_, log):
        wait_watching(log, world)
        world.order(world.info())
        wait_until(lambda: log.of("bid_closed", status="UNKNOWN"), log.lines)


# --- the process ----------------------------------------------------------------------------------------------------


def start_process(world: World) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "abci_app.cli.main", "router", "--home", str(world.home)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def read_bids(home: Path) -> list[tuple[int, bytes]]:
    """State and signatures of all bids on disk, while no router runs."""
    database = sqlite3.connect(home / "ledger.sqlite")
    rows = database.execute("SELECT state, signatures FROM bids").fetchall()
    database.close()
    return rows


def test_killed_after_signing_it_submits_the_same_signatures(world: World) -> None:
    world.save()
    info = world.info()
    world.accept(info)
    engine = world.served.engine
    engine.hang = threading.Event()  # signed, on disk, on its way, never taken
    process = start_process(world)
    try:
        wait_until(lambda: engine.calls or process.poll() is not None)
        assert process.poll() is None, process.communicate()
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=30)
    [(state, signatures)] = read_bids(world.home)
    assert state == BidState.SIGNED

    # No check would pass any more: what is signed is submitted all the same.
    world.chains[B].chain.balances[ROUTER, local_of(B)] = 0
    engine.junk = b"{}"
    engine.hang.set()
    wait_until(lambda: engine.calls == engine.answered)
    engine.hang, engine.junk = None, None
    assert world.bids() == []
    process = start_process(world)
    try:
        wait_until(world.bids)
    finally:
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=30)
    [bid] = world.bids()
    assert b"".join(signed.signature for signed in bid.signatures) == signatures
    assert (process.returncode, err) == (0, "")
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["event"] for line in lines if line["event"] in ("bid", "stopped")] == ["bid", "stopped"]
    [(state, again)] = read_bids(world.home)
    assert (state, again) == (BidState.SUBMITTED, signatures)


def test_sigterm_ends_it_cleanly_and_soon(world: World) -> None:
    world.save()
    process = start_process(world)
    try:
        first = process.stdout.readline() if process.stdout else ""
        assert json.loads(first)["event"] == "started"
        for server in world.chains.values():
            server.faults.hang()
        time.sleep(0.3)
        started = time.monotonic()
    finally:
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=30)
    assert time.monotonic() - started < 5 and (process.returncode, err) == (0, "")
    assert json.loads(out.splitlines()[-1])["event"] == "stopped"


def test_bids_are_replaced_only_when_nothing_counted_on_them(world: World) -> None:
    """A closed bid whose transfer is undecided after all is checked anew before it leaves."""
    home = world.save()
    info = world.info(amount=LIQUIDITY)
    transfer_id = compute_transfer_id(info)
    ledger = Ledger(home.ledger)
    signatures = tuple(signed.signature for signed in bid_of(transfer_id, ROUTER).signatures)
    ledger.record(SignedBid(transfer_id, B, local_of(B), 5, (1,), signatures, BidState.CLOSED))
    ledger.close()
    world.chains[B].chain.balances[ROUTER, local_of(B)] = 1
    world.accept(info)
    with running(home) as (_, log):
        wait_until(lambda: log.of("not_bidding", cause="liquidity_short"), log.lines)
        assert world.bids() == []
