"""What ``transfer_model`` keeps: transfers with their attempts and offers, and decisions."""

from dataclasses import dataclass, field

from abci_app.machine.state.codec import Address, DomainId, TransferId

Place = tuple[DomainId, Address]
"""A router on a domain."""
UNDECIDED = ("ACCEPTED", "WAITING")
PAYABLE = (*UNDECIDED, "ASSIGNED", "SLOW")


@dataclass
class Try:
    """An attempt: who, how much each, until when, and what it moved whose tag by."""

    routers: tuple[Address, ...]
    share: int
    valid_until_s: int
    charges: dict[Address, int]
    fast: bool = True
    open: bool = True


@dataclass
class Offer:
    """What one router said about one transfer."""

    lengths: set[int] = field(default_factory=set)
    withdrawn: bool = False


@dataclass
class TransferRecord:
    """A transfer and how far it came."""

    origin: DomainId
    destination: DomainId
    amount: int
    status: str
    accepted: int
    deadline: int = 0
    tries: list[Try] = field(default_factory=list)
    offers: dict[Address, Offer] = field(default_factory=dict)
    returned: dict[Address, int] = field(default_factory=dict)
    slow_count: int = 0
    slow_due_s: int = 0

    @property
    def current(self) -> Try | None:
        """The attempt that has not ended."""
        return self.tries[-1] if self.tries and self.tries[-1].open else None


@dataclass(frozen=True)
class Decided:
    """One decision as it must come out."""

    lane_sequence: int
    transfer_id: TransferId
    attempt: int
    fast: bool
    routers: tuple[Address, ...]
    valid_until_s: int
