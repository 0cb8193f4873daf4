"""The injected commit of a block: its vote extensions' reports and signatures go to their tallies (ORD-1, EXT-3)."""

from abci_app.machine.codes import Code, Rejected
from abci_app.machine.decisions.signatures import count_signatures
from abci_app.machine.observation.extension import InjectedCommit, VoteFlag, parse_extension
from abci_app.machine.observation.reports import count_reports
from abci_app.machine.results import Block, BlockEvent
from abci_app.machine.scope import Scope
from abci_app.machine.state import keys
from abci_app.machine.state.records import EMPTY_ADDRESS, ChainState, ValidatorSet
from abci_app.machine.state.view import StateDelta


def process_commit(delta: StateDelta, commit: InjectedCommit) -> tuple[BlockEvent, ...]:
    """Count reports, then signatures, of the vote extensions in the injected commit (ORD-1).

    ``Rejected(COMMIT_MALFORMED)``, before anything is written, unless there is one entry per validator of V(H-1).
    Consensus signatures were verified by ProcessProposal; what an extension holds never makes a commit invalid.
    """
    chain = delta.must(keys.CHAIN, ChainState)
    voters = delta.must(keys.epoch(chain.epoch_last), ValidatorSet).members
    if len(commit.entries) != len(voters):
        raise Rejected(Code.COMMIT_MALFORMED, f"{len(commit.entries)} entries for {len(voters)} validators")

    scope = Scope.open(delta, Block(chain.height + 1, chain.time_s, EMPTY_ADDRESS, ()))
    extensions = [
        (voter, extension)
        for voter, entry in zip(voters, commit.entries, strict=True)
        if entry.flag is VoteFlag.COMMIT and (extension := parse_extension(entry.extension)) is not None
    ]
    count_reports(scope, [(voter, extension.reports) for voter, extension in extensions])
    count_signatures(scope, [(voter, extension.signatures) for voter, extension in extensions])
    return tuple(scope.events)
