"""The injected commit of a block: its vote extensions' reports and signatures go to their tallies (ORD-1, EXT-3)."""

from abci_app.machine.codes import Code, Rejected
from abci_app.machine.decisions.signatures import count_signatures
from abci_app.machine.observation.extension import InjectedCommit, VoteFlag, parse_extension
from abci_app.machine.observation.reports import count_reports
from abci_app.machine.scope import Scope
from abci_app.machine.state import keys
from abci_app.machine.state.records import ChainState, ValidatorSet


def process_commit(scope: Scope, commit: InjectedCommit) -> None:
    """Count reports, then signatures, of the vote extensions in the injected commit (ORD-1).

    ``Rejected(COMMIT_MALFORMED)``, before anything is written, unless there is one entry per validator of V(H-1).
    Consensus signatures were verified by ProcessProposal; what an extension holds never makes a commit invalid.
    """
    chain = scope.delta.must(keys.CHAIN, ChainState)
    voters = scope.delta.must(keys.epoch(chain.epoch_last), ValidatorSet).members
    if len(commit.entries) != len(voters):
        raise Rejected(Code.COMMIT_MALFORMED, f"{len(commit.entries)} entries for {len(voters)} validators")

    extensions = [
        (voter, extension)
        for voter, entry in zip(voters, commit.entries, strict=True)
        if entry.flag is VoteFlag.COMMIT and (extension := parse_extension(entry.extension)) is not None
    ]
    count_reports(scope, [(voter, extension.reports) for voter, extension in extensions])
    count_signatures(scope, [(voter, extension.signatures) for voter, extension in extensions])
