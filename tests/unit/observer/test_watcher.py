"""Threads, quorum and publishing: what the node reads while endpoints misbehave."""

import logging
import threading
import time
from collections.abc import Callable, Mapping

import pytest

from abci_app.evm.rpc import Rpc
from abci_app.machine.state.codec import DomainId, TransferId
from abci_app.machine.state.records import Domain
from abci_app.observer.endpoint_follower import StepOutcome
from abci_app.observer.snapshot import EMPTY_OBSERVATION, SeenTransfer
from abci_app.observer.watcher import DomainConfig, Watcher
from tests.kit.evm.rpc_proxy import Faults
from tests.kit.observer.fake_chain import DOMAIN, OTHER_DOMAIN, FakeChain, FakeRpc, xcalled

SEEN = SeenTransfer(DOMAIN, OTHER_DOMAIN)


class Endpoints:
    """Fake endpoints by name, all of one chain unless said otherwise."""

    def __init__(self, chain: FakeChain, names: str) -> None:
        self.chains = dict.fromkeys(names, chain)
        self.faults = {name: Faults() for name in names}

    def connect(self, name: str) -> Rpc:
        return FakeRpc(self.chains[name], self.faults[name])


def make_watcher(
    endpoints: Endpoints, quorum: int, domains: Mapping[DomainId, Domain], **options: object
) -> Watcher:
    """A watcher of DOMAIN through all endpoints."""
    config = DomainConfig(DOMAIN, tuple(endpoints.chains), quorum)
    return Watcher([config], lambda: domains, connect=endpoints.connect, **options)  # type: ignore[arg-type]


def settle(watcher: Watcher) -> None:
    for _ in range(6):
        watcher.step(DOMAIN)


def numbers(watcher: Watcher, domain: DomainId = DOMAIN) -> list[int]:
    found = watcher.observation().domains.get(domain)
    return [] if found is None else [segment.number for segment in found.segments]


def wait_until(condition: Callable[[], bool], limit_s: float = 20.0) -> None:
    """Look every 10 ms; fail after the limit."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def transfer_id(nonce: int) -> TransferId:
    identity: TransferId = xcalled(nonce)[1]["transferId"]
    return identity


def chain_with_transfer() -> FakeChain:
    chain = FakeChain()
    chain.add(xcalled(0))
    chain.grow(2)
    return chain


# -- quorum -----------------------------------------------------------------------------------------------------------


def test_observation_is_empty_before_the_first_step() -> None:
    chain = chain_with_transfer()
    watcher = make_watcher(Endpoints(chain, "a"), 1, {DOMAIN: chain.domain()})
    assert watcher.observation() is EMPTY_OBSERVATION


def test_one_endpoint_is_published() -> None:
    chain = chain_with_transfer()
    watcher = make_watcher(Endpoints(chain, "a"), 1, {DOMAIN: chain.domain()})
    settle(watcher)
    assert numbers(watcher) == [1, 2]
    assert watcher.observation().transfers == {transfer_id(0): SEEN}


def test_an_observation_never_changes() -> None:
    chain = chain_with_transfer()
    watcher = make_watcher(Endpoints(chain, "a"), 1, {DOMAIN: chain.domain()})
    settle(watcher)
    before = watcher.observation()
    domains, transfers = dict(before.domains), dict(before.transfers)
    chain.add(xcalled(1))
    settle(watcher)
    assert watcher.observation() is not before
    assert (before.domains, before.transfers) == (domains, transfers)


def test_two_of_three_outvote_a_lie(caplog: pytest.LogCaptureFixture) -> None:
    chain = chain_with_transfer()
    endpoints = Endpoints(chain, "abc")
    endpoints.faults["b"].lie_logs = endpoints.faults["b"].lie_everywhere = True
    watcher = make_watcher(endpoints, 2, {DOMAIN: chain.domain()})
    settle(watcher)
    assert numbers(watcher) == [1, 2]
    fields = vars(caplog.records[0])
    assert (fields["domain"], fields["endpoint"], fields["cause"]) == (DOMAIN, "quorum", "endpoints-disagree")
    assert fields["reason"].startswith("segment 1: 1 × ")

    alone = make_watcher(Endpoints(chain, "a"), 1, {DOMAIN: chain.domain()})
    settle(alone)
    assert watcher.observation() == alone.observation()


def test_two_that_differ_say_nothing_from_there_on() -> None:
    """A lie whose parts fit together shows in nothing but the other endpoint."""
    chain = FakeChain()
    chain.grow(2)
    chain.add(xcalled(0))
    endpoints = Endpoints(chain, "ab")
    endpoints.faults["b"].lie_logs = endpoints.faults["b"].lie_everywhere = True
    watcher = make_watcher(endpoints, 2, {DOMAIN: chain.domain()})
    settle(watcher)
    assert numbers(watcher) == [1]


@pytest.mark.parametrize("fault", ["is_absent", "lie_logs", "failed_receipts"])
def test_a_quorum_goes_on_without_the_bad_endpoint(fault: str) -> None:
    chain = chain_with_transfer()
    endpoints = Endpoints(chain, "abc")
    setattr(endpoints.faults["a"], fault, True)
    watcher = make_watcher(endpoints, 2, {DOMAIN: chain.domain()})
    settle(watcher)
    assert numbers(watcher) == [1, 2]

    setattr(endpoints.faults["b"], fault, True)
    fresh = make_watcher(endpoints, 2, {DOMAIN: chain.domain()})
    settle(fresh)
    assert numbers(fresh) == []
    assert fresh.observation().transfers == {}


# -- the log line that latency is measured from -----------------------------------------------------------------------


def test_a_final_transfer_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="abci_app.observer")
    chain = FakeChain()
    chain.add(xcalled(0), xcalled(1))
    chain.add(xcalled(2))
    watcher = make_watcher(Endpoints(chain, "ab"), 2, {DOMAIN: chain.domain()}, wall_clock=lambda: 12.34567)
    settle(watcher)
    chain.grow(3)
    settle(watcher)
    ids = [transfer_id(nonce) for nonce in range(3)]
    fields = [vars(record) for record in caplog.records if record.msg == "observed"]
    assert [{name: line[name] for name in ("domain", "block", "transfers", "ts")} for line in fields] == [
        {"domain": DOMAIN, "block": 2, "transfers": ids[:2], "ts": 12.346},
        {"domain": DOMAIN, "block": 3, "transfers": ids[2:], "ts": 12.346},
    ]


# -- threads ----------------------------------------------------------------------------------------------------------


def test_a_hanging_endpoint_stalls_nobody_else() -> None:
    """Neither its own domain, which has a quorum without it, nor another domain."""
    chain, other = chain_with_transfer(), chain_with_transfer()
    endpoints = Endpoints(chain, "abc")
    endpoints.chains["d"], endpoints.faults["d"] = other, Faults()
    domains = {DOMAIN: chain.domain(), OTHER_DOMAIN: other.domain(domain=OTHER_DOMAIN)}
    watcher = Watcher(
        [DomainConfig(DOMAIN, ("a", "b", "c"), 2), DomainConfig(OTHER_DOMAIN, ("d",))], lambda: domains,
        connect=endpoints.connect, poll_s=0.01,
    )
    endpoints.faults["a"].hang()
    watcher.start()
    try:
        wait_until(lambda: numbers(watcher) == [1, 2] and numbers(watcher, OTHER_DOMAIN) == [1, 2])
        endpoints.faults["d"].hang()
        chain.grow(2)
        wait_until(lambda: numbers(watcher) == [1, 2, 3])
        other.grow(2)
        assert numbers(watcher, OTHER_DOMAIN) == [1, 2]
        endpoints.faults["d"].behave()
        wait_until(lambda: numbers(watcher, OTHER_DOMAIN) == [1, 2, 3])
    finally:
        for faults in endpoints.faults.values():
            faults.behave()
        watcher.stop()


def test_stop_ends_the_threads_and_withdraws() -> None:
    chain = chain_with_transfer()
    before = set(threading.enumerate())
    watcher = make_watcher(Endpoints(chain, "ab"), 1, {DOMAIN: chain.domain()}, poll_s=0.01)
    watcher.start()
    wait_until(lambda: numbers(watcher) == [1, 2])
    assert len(set(threading.enumerate()) - before) == 2
    with pytest.raises(RuntimeError):
        watcher.start()
    watcher.stop()
    watcher.stop()
    assert set(threading.enumerate()) - before == set()
    assert watcher.observation() is EMPTY_OBSERVATION


def test_a_bug_is_logged_and_survived(caplog: pytest.LogCaptureFixture) -> None:
    chain = chain_with_transfer()
    calls = []

    def read_domains() -> Mapping[DomainId, Domain]:
        calls.append(1)
        if len(calls) == 1:
            raise ZeroDivisionError("a bug")
        return {DOMAIN: chain.domain()}

    endpoints = Endpoints(chain, "a")
    watcher = Watcher([DomainConfig(DOMAIN, ("a",))], read_domains, connect=endpoints.connect)
    watcher.start()
    try:
        wait_until(lambda: numbers(watcher) == [1, 2])
    finally:
        watcher.stop()
    assert next(record.exc_text or "" for record in caplog.records if record.msg == "step failed").endswith("a bug")


def test_pauses_grow_with_doubts_in_a_row() -> None:
    chain = chain_with_transfer()
    watcher = make_watcher(Endpoints(chain, "a"), 1, {DOMAIN: chain.domain()}, poll_s=0.2, chance=lambda: 0.5)
    assert [watcher.pause_s(StepOutcome.BACK_OFF, count) for count in (1, 2, 3, 100)] == [0.1, 0.2, 0.5, 2.0]
    assert watcher.pause_s(StepOutcome.POLL, 0) == 0.2
    assert watcher.pause_s(StepOutcome.AGAIN, 0) == 0.0


@pytest.mark.parametrize(("urls", "quorum"), [((), 1), (("a",), 0), (("a",), 2), (("a", "a"), 1)])
def test_configurations_that_are_refused(urls: tuple[str, ...], quorum: int) -> None:
    with pytest.raises(ValueError, match="domain 1111"):
        DomainConfig(DOMAIN, urls, quorum)


def test_a_domain_twice_is_refused() -> None:
    endpoints = Endpoints(chain_with_transfer(), "ab")
    configs = [DomainConfig(DOMAIN, ("a",)), DomainConfig(DOMAIN, ("b",))]
    with pytest.raises(ValueError, match="twice"):
        Watcher(configs, dict, connect=endpoints.connect)


# -- before the start -------------------------------------------------------------------------------------------------


def test_an_endpoint_of_another_chain_is_refused_before_the_start() -> None:
    chain = chain_with_transfer()
    watcher = make_watcher(Endpoints(chain, "ab"), 1, {DOMAIN: chain.domain(chain_id=1)})
    with pytest.raises(ValueError, match=r"domain 1111: a: chain id 31337, the domain's is 1$"):
        watcher.check()


def test_the_right_chain_an_absent_endpoint_and_an_unknown_domain_are_not() -> None:
    chain = chain_with_transfer()
    endpoints = Endpoints(chain, "ab")
    endpoints.faults["b"].is_absent = True
    make_watcher(endpoints, 1, {DOMAIN: chain.domain()}).check()
    make_watcher(endpoints, 1, {}).check()
