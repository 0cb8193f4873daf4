"""Reports of validators about one domain, as a block carries them."""

from collections.abc import Sequence

from abci_app.machine.connext import keccak
from abci_app.machine.observation.extension import DomainReport, InjectedCommit
from abci_app.machine.params import Params
from abci_app.machine.state.codec import Hash
from tests.kit.machine.driver import Network

PARAMS = Params(lease_s=30)
D1, D2, D3, D4 = (Hash(keccak(b"digest %d" % number)) for number in range(4))


def make_commit(net: Network, reports: dict[int, Sequence[DomainReport]]) -> InjectedCommit:
    """Make the commit in which members, by place, carry these reports."""
    return net.commit_of({member: ((), tuple(each)) for member, each in reports.items()})
