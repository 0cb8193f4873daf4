"""ORD-6 at the engine's edge: the version of the rules in InitChain, FinalizeBlock, Info, and on disk."""

from pathlib import Path

import pytest

from abci_app.abci import messages as pb
from abci_app.machine import upgrades
from abci_app.machine.state import keys
from abci_app.machine.state.records import ChainState
from abci_app.machine.state.view import StateDelta
from abci_app.machine.upgrades import APP_VERSION, Upgrade
from abci_app.node.app import RoutingApplication
from abci_app.node.errors import NodeError
from tests.kit.machine.small_world import CHAIN_ID
from tests.kit.node.small_chain import Network

HEIGHT = 4


@pytest.fixture
def newer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that knows one more version, and has it begin on this chain at HEIGHT."""
    monkeypatch.setattr(upgrades, "APP_VERSION", APP_VERSION + 1)
    monkeypatch.setattr(upgrades, "UPGRADES", {CHAIN_ID: (Upgrade(HEIGHT, APP_VERSION + 1),)})


def version_of(node: RoutingApplication) -> int:
    committed = node.published.latest()
    assert committed is not None
    return StateDelta(committed.view).must(keys.CHAIN, ChainState).app_version


def init_request(net: Network, version: int) -> pb.RequestInitChain:
    request = pb.RequestInitChain.FromString(net.init_request.SerializeToString())
    request.consensus_params.version.app = version
    return request


def test_versions_that_this_program_does_not_know_are_refused(tmp_path: Path, newer: None) -> None:
    """ORD-6: in a genesis, and in a database that a newer program wrote."""
    net = Network(tmp_path)
    node = net.validators[0]
    with pytest.raises(NodeError, match=f"genesis has version 3 of the rules, .* up to {APP_VERSION + 1}: install"):
        node.app.init_chain(init_request(net, 3))
    for _ in range(HEIGHT - 1):
        net.step()
    assert version_of(node.app) == APP_VERSION + 1
    node.store.close()
    with pytest.MonkeyPatch.context() as older:
        older.setattr(upgrades, "APP_VERSION", APP_VERSION)
        with pytest.raises(NodeError, match=f"database has version 2 of the rules, .* up to {APP_VERSION}: install"):
            node.open()
        node.store.close()
    node.open()
    assert node.app.info(pb.RequestInfo()).app_version == APP_VERSION + 1
    net.close()


@pytest.mark.parametrize(("named", "begun"), [(0, 1), (1, 1), (2, 2)])
def test_a_chain_begins_with_the_version_of_its_genesis(tmp_path: Path, newer: None, named: int, begun: int) -> None:
    """ORD-6: not with the newest, or a newer program could not replay an older chain."""
    net = Network(tmp_path)
    node = net.validators[0].app
    answer = node.init_chain(init_request(net, named))
    assert answer.consensus_params.version.app == begun == version_of(node)
    net.close()


def test_the_engine_is_told_one_block_before_the_height(
    tmp_path: Path, newer: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ORD-6: so that headers from the height on carry the version; nothing else of the parameters is touched."""
    answers: list[pb.ResponseFinalizeBlock] = []
    original = RoutingApplication.finalize_block

    def finalize_block(node: RoutingApplication, request: pb.RequestFinalizeBlock) -> pb.ResponseFinalizeBlock:
        answers.append(original(node, request))
        return answers[-1]

    monkeypatch.setattr(RoutingApplication, "finalize_block", finalize_block)
    net = Network(tmp_path)
    versions = []
    for _ in range(HEIGHT + 1):
        answers.clear()
        net.step()
        assert len(answers) == len(net.validators)
        told = {each.consensus_param_updates.SerializeToString() for each in answers}
        assert len(told) == 1
        versions.append(told.pop())
    update = pb.RequestInitChain(consensus_params={"version": {"app": 2}}).consensus_params.SerializeToString()
    assert versions == [update if height == HEIGHT - 1 else b"" for height in range(1, HEIGHT + 2)]
    assert {each.app.info(pb.RequestInfo()).app_version for each in net.validators} == {2}
    net.close()
