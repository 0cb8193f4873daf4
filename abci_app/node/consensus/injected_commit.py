"""The injected commit: built from the engine's extended commit, checked against the block's own commit (COM-1, COM-2).

The consensus signatures are verified with the keys in our own state, over CometBFT's canonical vote extension.
"""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from abci_app.abci import messages as pb
from abci_app.abci.framing import encode_frame
from abci_app.machine.codes import Code, Rejected, invariant
from abci_app.machine.observation.extension import CommitEntry, InjectedCommit, VoteFlag, decode_commit, parse_extension
from abci_app.machine.state import keys
from abci_app.machine.state.records import ChainState, Member, ValidatorSet
from abci_app.machine.state.view import StateDelta

SIGNATURE_BYTES = 64


def build_commit(state: StateDelta, last_commit: pb.ExtendedCommitInfo) -> InjectedCommit:
    """Return the commit that a proposer injects: entries with a valid extension complete, the others pruned.

    An entry that others would not verify is pruned here, so that one bad vote costs its own voter only.
    """
    chain, members = get_last_set(state)
    invariant(len(last_commit.votes) == len(members), "the engine's last commit is of another validator set")
    entries = []
    for member, vote in zip(members, last_commit.votes, strict=True):
        flag = VoteFlag(vote.block_id_flag)
        entry = CommitEntry(flag, bytes(vote.vote_extension), bytes(vote.extension_signature))
        worth = (
            flag is VoteFlag.COMMIT
            and parse_extension(entry.extension) is not None
            and is_signed(member, chain.chain_id, chain.height, last_commit.round, entry)
        )
        entries.append(entry if worth else prune(entry))
    return InjectedCommit(last_commit.round, tuple(entries))


def prune(entry: CommitEntry) -> CommitEntry:
    """Return the entry with its flag only, which is always legal."""
    return CommitEntry(entry.flag, b"", b"")


def check_commit(state: StateDelta, raw: bytes, proposed: pb.CommitInfo) -> InjectedCommit:
    """Return the injected commit of a proposed block; ``Rejected`` with the code of the first rule it breaks."""
    commit = decode_commit(raw)
    chain, members = get_last_set(state)
    if commit.round != proposed.round:
        raise Rejected(Code.COMMIT_ROUND_MISMATCH, f"round {commit.round}, the block's commit has {proposed.round}")
    flags = [entry.flag for entry in commit.entries]
    if flags != [vote.block_id_flag for vote in proposed.votes] or len(flags) != len(members):
        raise Rejected(Code.COMMIT_FLAGS_MISMATCH, f"{len(flags)} flags are not those of the block's commit")
    for index, (member, entry) in enumerate(zip(members, commit.entries, strict=True)):
        if entry.signature and not is_signed(member, chain.chain_id, chain.height, commit.round, entry):
            raise Rejected(Code.COMMIT_SIGNATURE_INVALID, f"entry {index} is not signed by its validator")
    return commit


def get_last_set(state: StateDelta) -> tuple[ChainState, tuple[Member, ...]]:
    """Return the chain after height H-1 and V(H-1), whose votes block H carries."""
    chain = state.must(keys.CHAIN, ChainState)
    return chain, state.must(keys.epoch(chain.epoch_last), ValidatorSet).members


def is_signed(member: Member, chain_id: str, height: int, commit_round: int, entry: CommitEntry) -> bool:
    """Tell whether the member's consensus key signed this extension at this height and round."""
    if len(entry.signature) != SIGNATURE_BYTES:
        return False
    try:
        key = Ed25519PublicKey.from_public_bytes(member.consensus_key)
        key.verify(entry.signature, make_sign_bytes(chain_id, height, commit_round, entry.extension))
    except (InvalidSignature, ValueError):  # ValueError: the key is no point of the curve
        return False
    return True


def make_sign_bytes(chain_id: str, height: int, commit_round: int, extension: bytes) -> bytes:
    """Return what a consensus key signs: CometBFT's CanonicalVoteExtension behind a uvarint of its length."""
    canonical = pb.CanonicalVoteExtension(extension=extension, height=height, round=commit_round, chain_id=chain_id)
    return encode_frame(canonical.SerializeToString(deterministic=True))
