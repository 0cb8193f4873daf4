"""Four real validators of unequal power; every application checks every extension's consensus signature.

The servers run in threads of this process, as they do in a process that has other threads to run.
"""

import base64
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from abci_app.abci import ABCIServer, Application
from abci_app.abci import messages as pb
from abci_app.abci.framing import encode_frame
from testnet.processes.cometbft import Genesis
from tests.kit.process.cometbft import Engine, create_engines, start_engines

CHAIN_ID = "extensions-1"
POWERS = (1, 2, 3, 4)
HEIGHT_END = 6
FIRST_SIGNED_HEIGHT = 2
"""Extensions are enabled from height 1, so height 2's proposer is the first to hold any."""
LISTEN_TIMEOUT_S = 20.0


class Extending(Application):
    """Injects the extended commit as the block's first transaction and accepts a block only if all of it verifies."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.keys: dict[bytes, Ed25519PublicKey] = {}
        self.height = 0
        self.signed_power: dict[int, int] = {}
        self.names: set[bytes] = set()
        self.refused: list[int] = []

    def init_chain(self, request: pb.RequestInitChain) -> pb.ResponseInitChain:
        for update in request.validators:
            self.keys[update.pub_key.ed25519] = Ed25519PublicKey.from_public_bytes(update.pub_key.ed25519)
        return pb.ResponseInitChain()

    def extend_vote(self, request: pb.RequestExtendVote) -> pb.ResponseExtendVote:
        return pb.ResponseExtendVote(vote_extension=f"{self.name} at {request.height}".encode())

    def verify_vote_extension(self, request: pb.RequestVerifyVoteExtension) -> pb.ResponseVerifyVoteExtension:
        mine = request.vote_extension.endswith(f" at {request.height}".encode())
        status = pb.ResponseVerifyVoteExtension.ACCEPT if mine else pb.ResponseVerifyVoteExtension.REJECT
        return pb.ResponseVerifyVoteExtension(status=status)

    def prepare_proposal(self, request: pb.RequestPrepareProposal) -> pb.ResponsePrepareProposal:
        return pb.ResponsePrepareProposal(txs=[request.local_last_commit.SerializeToString()])

    def process_proposal(self, request: pb.RequestProcessProposal) -> pb.ResponseProcessProposal:
        commit = pb.ExtendedCommitInfo.FromString(request.txs[0])
        flags = [(vote.validator.address, vote.block_id_flag) for vote in commit.votes]
        proposed = [(vote.validator.address, vote.block_id_flag) for vote in request.proposed_last_commit.votes]
        good = flags == proposed and commit.round == request.proposed_last_commit.round
        if good and request.height >= FIRST_SIGNED_HEIGHT:
            good = all(self.is_signed(vote, request.height - 1, commit.round) for vote in commit.votes)
            signed = [vote for vote in commit.votes if vote.vote_extension]
            self.signed_power[request.height] = sum(vote.validator.power for vote in signed)
            self.names |= {vote.vote_extension.split()[0] for vote in signed}
        if not good:
            self.refused.append(request.height)
        status = pb.ResponseProcessProposal.ACCEPT if good else pb.ResponseProcessProposal.REJECT
        return pb.ResponseProcessProposal(status=status)

    def is_signed(self, vote: pb.ExtendedVoteInfo, height: int, round_: int) -> bool:
        """Whether a COMMIT vote's extension is signed by one of the keys; other votes must carry nothing."""
        if vote.block_id_flag != pb.BlockIDFlag.BLOCK_ID_FLAG_COMMIT:
            return not vote.vote_extension and not vote.extension_signature
        canonical = pb.CanonicalVoteExtension(
            extension=vote.vote_extension, height=height, round=round_, chain_id=CHAIN_ID
        )
        return any(verifies(key, vote.extension_signature, canonical) for key in self.keys.values())

    def finalize_block(self, request: pb.RequestFinalizeBlock) -> pb.ResponseFinalizeBlock:
        self.height = request.height
        return super().finalize_block(request)


def verifies(key: Ed25519PublicKey, signature: bytes, canonical: pb.CanonicalVoteExtension) -> bool:
    """Sign bytes are the message behind the uvarint of its length, which is what a frame is."""
    try:
        key.verify(signature, encode_frame(canonical.SerializeToString()))
        return True
    except InvalidSignature:
        return False


@pytest.fixture
def network(tmp_path: Path) -> Iterator[tuple[list[Extending], list[Engine]]]:
    """Four applications listening, and their engines started."""
    apps = [Extending(f"app{index}") for index in range(len(POWERS))]
    servers = [ABCIServer(app=app, address="tcp://127.0.0.1:0") for app in apps]
    with ExitStack() as stack:
        for server in servers:
            thread = threading.Thread(target=server.run)
            thread.start()
            stack.callback(thread.join, LISTEN_TIMEOUT_S)
            stack.callback(server.stop)
            assert server.wait_listening(LISTEN_TIMEOUT_S)
        genesis = Genesis(CHAIN_ID, powers=POWERS)
        engines = create_engines(tmp_path, [server.address for server in servers], genesis)
        start_engines(stack, engines)
        yield apps, engines


def test_extensions_of_real_validators_verify(network: tuple[list[Extending], list[Engine]]) -> None:
    apps, engines = network
    for engine in engines:
        engine.wait_height(HEIGHT_END)
    for app in apps:
        assert len(app.keys) == len(POWERS)
        assert app.refused == []
        assert all(3 * power > 2 * sum(POWERS) for power in app.signed_power.values())
        assert b"app3" in app.names and app.names <= {b"app0", b"app1", b"app2", b"app3"}  # no quorum without app3
    # A validator that is late may skip a proposal, but somebody checked every height that has a last commit.
    assert set().union(*(app.signed_power for app in apps)) >= set(range(FIRST_SIGNED_HEIGHT, HEIGHT_END))

    # The same check refuses another height, another round and another extension.
    app = apps[0]
    block = engines[0].rpc("block", height=str(FIRST_SIGNED_HEIGHT))["block"]
    commit = pb.ExtendedCommitInfo.FromString(base64.b64decode(block["data"]["txs"][0]))
    vote = next(vote for vote in commit.votes if vote.vote_extension)
    assert app.is_signed(vote, FIRST_SIGNED_HEIGHT - 1, commit.round)
    assert not app.is_signed(vote, FIRST_SIGNED_HEIGHT, commit.round)
    assert not app.is_signed(vote, FIRST_SIGNED_HEIGHT - 1, commit.round + 1)
    vote.vote_extension += b"!"
    assert not app.is_signed(vote, FIRST_SIGNED_HEIGHT - 1, commit.round)
