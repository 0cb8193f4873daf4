"""One faulty validator: a whole node that does, call by call, what a test's file tells it to.

    python -m tests.kit.byzantine.faulty_node HOME

``HOME/faults.json`` holds Orders and may change at any time; ``HOME/faults.jsonl`` gets a line for each fault done.
"""

import base64
import json
import sys
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from abci_app.abci import messages as pb
from abci_app.cli.start import make_gateway
from abci_app.daemon.files import replace_file
from abci_app.machine.block_parts import split_block
from abci_app.machine.state import keys
from abci_app.machine.state.codec import Hash, decode
from abci_app.machine.state.records import ChainState, ValidatorSet
from abci_app.node.app import RoutingApplication
from abci_app.node.errors import NodeError
from abci_app.node.run import run_node
from abci_app.node.view import list_domains
from testnet.processes.cometbft import consensus_key
from tests.kit.byzantine.accepted_faults import ACCEPTED_FAULTS, overfill, read_tx
from tests.kit.byzantine.commit_faults import COMMIT_FAULTS, TX_FAULTS
from tests.kit.byzantine.extension_faults import EXTENSION_FAULTS, Voice
from tests.kit.byzantine.segment_faults import SEGMENT_FAULTS, Fault
from tests.kit.byzantine.stage import Memory, Stage

ORDERS, DONE = "faults.json", "faults.jsonl"
REFUSED = {**SEGMENT_FAULTS, **COMMIT_FAULTS, **TX_FAULTS}
OVERSIZED = "more bytes than a block"
PROPOSAL_FAULTS: dict[str, Fault] = {
    **{name: fault for name, (_, fault) in REFUSED.items()}, **ACCEPTED_FAULTS, OVERSIZED: overfill,
}


@dataclass(frozen=True)
class Orders:
    """What to do wrong. Proposals go through their list, the least used first; the rest holds for every call."""

    proposals: list[str] = field(default_factory=list)
    extensions: list[str] = field(default_factory=list)
    """Names of EXTENSION_FAULTS, a height each in turn."""
    refuses_proposals: bool = False
    refuses_extensions: bool = False
    admits_all: bool = False
    """CheckTx takes everything, so that the engine gossips it."""
    lies_about_state: bool = False
    """FinalizeBlock answers another app hash."""


def give_orders(home: Path, orders: Orders) -> None:
    """Tell the faulty node of a home what to do from now on."""
    replace_file(home / ORDERS, json.dumps(asdict(orders)))


def read_done(home: Path) -> list[dict[str, object]]:
    """Every fault done so far: {"height", "fault"}."""
    path = home / DONE
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


class FaultyApplication(RoutingApplication):
    """The real application, but for what its orders say."""

    home: Path

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self._used: Counter[str] = Counter()
        self._memory = Memory()
        self._voice = Voice(self.signer)
        private_key = json.loads((self.home.parent / "cometbft/config/priv_validator_key.json").read_text())
        seed = base64.b64decode(private_key["priv_key"]["value"])[:32]
        self._consensus_key = Ed25519PrivateKey.from_private_bytes(seed)
        self._public_key = Hash(consensus_key(self.home.parent / "cometbft").public_key)

    def orders(self) -> Orders:
        path = self.home / ORDERS
        return Orders(**json.loads(path.read_text())) if path.exists() else Orders()

    def prepare_proposal(self, request: pb.RequestPrepareProposal) -> pb.ResponsePrepareProposal:
        honest = super().prepare_proposal(request)
        stage = self.make_stage(request, list(honest.txs))
        if stage is None:
            return honest
        try:
            for name in sorted(self.orders().proposals, key=lambda name: self._used[name]):
                block = PROPOSAL_FAULTS[name](stage)
                if block is not None:
                    self._used[name] += 1
                    self.note(request.height, name)
                    return pb.ResponsePrepareProposal(txs=block)
            return honest
        finally:
            self.remember(stage)

    def make_stage(self, request: pb.RequestPrepareProposal, honest: list[bytes]) -> Stage | None:
        parts = split_block(honest)
        if parts.commit is None:
            return None
        view = self._committed().view
        chain = decode(ChainState, view.get(keys.CHAIN) or b"")
        members = decode(ValidatorSet, view.get(keys.epoch(chain.epoch_last)) or b"").members
        own = [member.consensus_key for member in members].index(self._public_key)
        return Stage(
            request, parts, list_domains(view), self._memory, chain.chain_id, self._consensus_key, own,
        )

    def remember(self, stage: Stage) -> None:
        """Keep what can be replayed later."""
        for index, entry in enumerate(stage.commit.entries):
            if entry.signature:
                self._memory.entries[index] = entry

    def extend_vote(self, request: pb.RequestExtendVote) -> pb.ResponseExtendVote:
        names = self.orders().extensions
        honest = super().extend_vote(request)
        if not names:
            return honest
        name = names[request.height % len(names)]
        self.note(request.height, name)
        given = EXTENSION_FAULTS[name](self._voice, self._committed().view, honest.vote_extension)
        return pb.ResponseExtendVote(vote_extension=given)

    def verify_vote_extension(self, request: pb.RequestVerifyVoteExtension) -> pb.ResponseVerifyVoteExtension:
        if self.orders().refuses_extensions:
            self.note(request.height, "extension refused")
            return pb.ResponseVerifyVoteExtension(status=pb.ResponseVerifyVoteExtension.REJECT)
        return super().verify_vote_extension(request)

    def process_proposal(self, request: pb.RequestProcessProposal) -> pb.ResponseProcessProposal:
        if self.orders().refuses_proposals:
            self.note(request.height, "proposal refused")
            return pb.ResponseProcessProposal(status=pb.ResponseProcessProposal.REJECT)
        return super().process_proposal(request)

    def check_tx(self, request: pb.RequestCheckTx) -> pb.ResponseCheckTx:
        return pb.ResponseCheckTx() if self.orders().admits_all else super().check_tx(request)

    def finalize_block(self, request: pb.RequestFinalizeBlock) -> pb.ResponseFinalizeBlock:
        response = super().finalize_block(request)
        self._memory.txs += [tx for tx in split_block(list(request.txs)).rest if read_tx(tx) is not None]
        del self._memory.txs[:-100]
        if self.orders().lies_about_state:
            self.note(request.height, "app hash forged")
            response.app_hash = bytes(32)
        return response

    def note(self, height: int, fault: str) -> None:
        """Say what was done, for the test."""
        with (self.home / DONE).open("a") as file:
            file.write(json.dumps({"height": height, "fault": fault}) + "\n")


def main(home: Path) -> None:
    """Run the faulty node of this home until SIGTERM."""
    FaultyApplication.home = home
    try:
        run_node(home, [make_gateway], application=FaultyApplication)
    except NodeError as error:
        sys.exit(f"node: {error}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
