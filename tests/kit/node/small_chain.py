"""Nodes in one process under a simulated engine: real applications, stores and keys; no sockets, no CometBFT.

``Network.step`` does what an engine does for one height: one node prepares, all process, extend, verify, finalize and
commit. A test corrupts the proposal, the votes or the observations and sees what comes of it.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from abci_app.abci import messages as pb
from abci_app.machine.connext import compute_transfer_id, keccak, sign_digest
from abci_app.machine.genesis.build import compute_possession_digest
from abci_app.machine.observation.extension import VoteFlag
from abci_app.machine.observation.stream import Event, PositionedEvent, Segment, XCalled, compute_digest, encode_segment
from abci_app.machine.params import INDEX_WHOLE_BLOCK, Params
from abci_app.machine.state.codec import Address, DomainId, Hash, Signature, TransferId
from abci_app.machine.state.records import Domain, TransferInfo
from abci_app.node.app import RoutingApplication
from abci_app.node.consensus.injected_commit import make_sign_bytes
from abci_app.node.signer import Signer
from abci_app.node.store import Store
from abci_app.node.view import Published, list_domains
from abci_app.observer.snapshot import Observation, ObservedDomain, ObservedSegment, SeenTransfer
from tests.kit.machine.small_world import (
    ATTESTATION_KEYS,
    CHAIN_ID,
    DESTINATION,
    LOCALS,
    ORIGIN,
    key_address,
    valid_app_state,
    valid_info,
)

GENESIS_TIME_S = 1_700_000_010
MAX_TX_BYTES = 1_000_000
BLOCK_TIME_S = 2


def make_xcalled(info: TransferInfo) -> XCalled:
    """The event of a user's transfer, its callData inline."""
    return XCalled(
        transfer_id=compute_transfer_id(info), nonce=info.nonce, info=info, call_data_hash=None,
        call_data_length=len(info.call_data), asset=LOCALS[ORIGIN], amount=info.bridged_amt, local=LOCALS[ORIGIN],
        relayer_fees=(), tx_hash=Hash(keccak(b"tx %d" % info.nonce)),
    )


def make_info(nonce: int, **changes: object) -> TransferInfo:
    return valid_info(nonce=nonce, **changes)


class FakeChain:
    """One domain's stream as a test writes it, cut as SEG-1 wants: one block a segment, or an empty one to the grid."""

    def __init__(self, domain: Domain) -> None:
        self.domain = domain
        self.number, self.block, self.digest = domain.cursor.number, domain.cursor.block, domain.cursor.digest
        self.timestamp_s = domain.cursor.timestamp_s
        self.segments: list[ObservedSegment] = []

    def add(self, events: Sequence[Event] = (), timestamp_s: int | None = None) -> ObservedSegment:
        """The next segment: these events in the next block, or nothing up to the next multiple of ``idle_blocks``."""
        segment, self.block = self.next_segment(events, timestamp_s)
        raw = encode_segment(segment)
        self.digest = compute_digest(self.digest, raw)
        self.number, self.timestamp_s = segment.number, segment.end_timestamp_s
        self.segments.append(ObservedSegment(segment.number, raw, self.digest))
        return self.segments[-1]

    def next_segment(self, events: Sequence[Event], timestamp_s: int | None = None) -> tuple[Segment, int]:
        idle = self.domain.idle_blocks
        end = self.block + 1 if events else (self.block // idle + 1) * idle
        return Segment(
            self.domain.domain, self.domain.chain_id, self.domain.connext, self.domain.stream_version,
            self.domain.segment_blocks, idle, self.number + 1, end, INDEX_WHOLE_BLOCK,
            Hash(keccak(b"block %d" % end)), timestamp_s or self.timestamp_s + BLOCK_TIME_S * (end - self.block),
            tuple(PositionedEvent(end, index, event) for index, event in enumerate(events)),
        ), end

    def observed(self) -> ObservedDomain:
        return ObservedDomain(self.domain.domain, tuple(self.segments))


class FakeObserver:
    """What one node sees: set by the test."""

    def __init__(self) -> None:
        self.domains: dict[DomainId, ObservedDomain] = {}
        self.transfers: dict[TransferId, SeenTransfer] = {}

    def see(self, *chains: FakeChain) -> None:
        self.domains |= {chain.domain.domain: chain.observed() for chain in chains}

    def see_transfer(self, transfer_id: TransferId) -> None:
        self.transfers[transfer_id] = SeenTransfer(ORIGIN, DESTINATION)

    def observation(self) -> Observation:
        return Observation(dict(self.domains), dict(self.transfers))


class Validator:
    """One node with its keys."""

    def __init__(self, index: int, power: int, path: Path) -> None:
        self.power = power
        self.path = path
        self.consensus = Ed25519PrivateKey.from_private_bytes(bytes([64 + index]) * 32)
        self.public_key = Hash(self.consensus.public_key().public_bytes_raw())
        self.address = Address(sha256(self.public_key).digest()[:20])
        self.attestation_key = ATTESTATION_KEYS[index]
        self.observer = FakeObserver()
        self.open()

    def open(self) -> None:
        """Starts the application on what is on disk."""
        self.store = Store.open(self.path, CHAIN_ID)
        self.published = Published()
        self.app = RoutingApplication(
            CHAIN_ID, self.store, Signer(self.attestation_key), self.observer, self.published
        )

    def sign(self, extension: bytes, height: int, commit_round: int, chain_id: str = CHAIN_ID) -> bytes:
        return self.consensus.sign(make_sign_bytes(chain_id, height, commit_round, extension))


@dataclass
class Step:
    """What one height brought."""

    txs: list[bytes]
    accepted: list[bool]
    extensions: list[bytes]
    codes: list[int] = field(default_factory=list)
    datas: list[bytes] = field(default_factory=list)
    app_hashes: list[bytes] = field(default_factory=list)
    events: list[tuple[str, dict[str, str]]] = field(default_factory=list)


class Network:
    """Validators in the engine's order, and the votes of the last height."""

    def __init__(self, path: Path, powers: Sequence[int] = (4, 3, 2, 1), params: Params | None = None) -> None:
        validators = [Validator(index, power, path / f"node{index}") for index, power in enumerate(powers)]
        self.validators = sorted(validators, key=lambda each: (-each.power, each.address))
        self.height = 0
        self.last_round = 0
        self.votes: list[pb.ExtendedVoteInfo] = []
        self.init_request = pb.RequestInitChain(
            chain_id=CHAIN_ID, initial_height=1, app_state_bytes=json.dumps(self.app_state(params)).encode(),
            validators=[
                pb.ValidatorUpdate(pub_key=pb.PublicKey(ed25519=each.public_key), power=each.power)
                for each in self.validators
            ],
            consensus_params=pb.ConsensusParams(abci=pb.ABCIParams(vote_extensions_enable_height=1)),
        )
        self.genesis_hashes = [each.app.init_chain(self.init_request).app_hash for each in self.validators]
        domains = list_domains(self.committed.view)
        self.chains = {domain_id: FakeChain(domain) for domain_id, domain in domains.items()}

    def app_state(self, params: Params | None) -> dict:
        state = valid_app_state(params)
        state["validators"] = [
            {
                "consensus_key": f"0x{each.public_key.hex()}", "power": each.power,
                "attestation": f"0x{key_address(each.attestation_key).hex()}",
                "proof": f"0x{self.prove(each).hex()}",
            }
            for each in self.validators
        ]
        return state

    def prove(self, validator: Validator) -> Signature:
        return sign_digest(validator.attestation_key, compute_possession_digest(CHAIN_ID, validator.public_key))

    @property
    def committed(self):
        latest = self.validators[0].published.latest()
        assert latest is not None
        return latest

    def see(self, nodes: Iterable[int] | None = None) -> None:
        """These nodes (None: all) see both chains as they are now."""
        for index in range(len(self.validators)) if nodes is None else nodes:
            self.validators[index].observer.see(*self.chains.values())

    def prepare_request(self, proposer: int, txs: Sequence[bytes], max_tx_bytes: int = MAX_TX_BYTES):
        """What the engine asks a proposer of the next height."""
        last = pb.ExtendedCommitInfo(round=self.last_round, votes=self.votes) if self.height else None
        return pb.RequestPrepareProposal(
            max_tx_bytes=max_tx_bytes, txs=txs, local_last_commit=last, height=self.height + 1,
            proposer_address=self.validators[proposer].address,
        )

    def prepare(self, proposer: int = 0, txs: Sequence[bytes] = (), max_tx_bytes: int = MAX_TX_BYTES) -> list[bytes]:
        """What a node would propose next."""
        request = self.prepare_request(proposer, txs, max_tx_bytes)
        return list(self.validators[proposer].app.prepare_proposal(request).txs)

    def block_fields(self, txs: Sequence[bytes], proposer: int) -> dict:
        return {
            "txs": txs, "height": self.height + 1, "hash": sha256(b"".join(txs)).digest(),
            "proposer_address": self.validators[proposer].address,
            "time": pb.Timestamp(seconds=GENESIS_TIME_S + self.height + 1),
        }

    def last_commit(self) -> pb.CommitInfo:
        """The last commit as every node knows it: flags, no extensions."""
        votes = [pb.VoteInfo(validator=vote.validator, block_id_flag=vote.block_id_flag) for vote in self.votes]
        return pb.CommitInfo(round=self.last_round, votes=votes)

    def is_accepted(self, txs: Sequence[bytes], node: int = 0, proposer: int = 0) -> bool:
        """Whether a node would prevote these transactions as the next block."""
        request = pb.RequestProcessProposal(
            **self.block_fields(txs, proposer), proposed_last_commit=self.last_commit()
        )
        answer = self.validators[node].app.process_proposal(request).status
        return answer == pb.ResponseProcessProposal.ACCEPT

    def step(
        self,
        txs: Sequence[bytes] = (),
        proposer: int = 0,
        flags: Mapping[int, VoteFlag] | None = None,
        commit_round: int = 0,
        corrupt: Callable[[list[bytes]], list[bytes]] = lambda block: block,
    ) -> Step:
        """One height. Votes are COMMIT unless ``flags`` says otherwise; ``corrupt`` changes the proposal."""
        block = corrupt(self.prepare(proposer, txs))
        accepted = [self.is_accepted(block, node, proposer) for node in range(len(self.validators))]
        fields = self.block_fields(block, proposer)
        extensions = [
            each.app.extend_vote(pb.RequestExtendVote(**fields)).vote_extension for each in self.validators
        ]
        self.check_extensions(extensions)
        step = Step(block, accepted, extensions)
        answers = [each.app.finalize_block(pb.RequestFinalizeBlock(**fields)) for each in self.validators]
        for validator in self.validators:
            validator.app.commit(pb.RequestCommit())
        step.app_hashes = [answer.app_hash for answer in answers]
        step.codes = [result.code for result in answers[0].tx_results]
        step.datas = [result.data for result in answers[0].tx_results]
        step.events = [
            (event.type, {attribute.key: attribute.value for attribute in event.attributes})
            for event in answers[0].events
        ]
        self.height += 1
        self.vote(extensions, flags or {}, commit_round)
        return step

    def check_extensions(self, extensions: Sequence[bytes]) -> None:
        """Every node takes every other's extension."""
        for validator in self.validators:
            for extension in extensions:
                request = pb.RequestVerifyVoteExtension(vote_extension=extension, height=self.height + 1)
                answer = validator.app.verify_vote_extension(request).status
                assert answer == pb.ResponseVerifyVoteExtension.ACCEPT

    def vote(self, extensions: Sequence[bytes], flags: Mapping[int, VoteFlag], commit_round: int) -> None:
        """Makes the precommits of the height just committed."""
        self.last_round = commit_round
        self.votes = []
        for index, (validator, extension) in enumerate(zip(self.validators, extensions, strict=True)):
            vote = pb.ExtendedVoteInfo(validator=pb.Validator(address=validator.address, power=validator.power))
            vote.block_id_flag = flags.get(index, VoteFlag.COMMIT)
            if vote.block_id_flag == VoteFlag.COMMIT:
                vote.vote_extension = extension
                vote.extension_signature = validator.sign(extension, self.height, commit_round)
            self.votes.append(vote)

    def close(self) -> None:
        for validator in self.validators:
            validator.store.close()


