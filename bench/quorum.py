"""A quorum of local keys that decides whatever a measurement or a test wants: transfers, decisions, signed leaves.

Only the keys are invented: hashes, records and calldata are made by the code that validators and relayers use.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from abci_app.evm.account import Account
from abci_app.evm.connext import ExecuteArgs
from abci_app.evm.gate import GateBatch, make_batch, make_entry
from abci_app.machine.connext import compute_bid_digest, compute_sequencer_digest, compute_transfer_id, keccak
from abci_app.machine.decisions.batches import compute_digest, list_leaf_hashes, prove_leaf
from abci_app.machine.decisions.merkle import compute_root
from abci_app.machine.state.codec import Address, DomainId, Hash, Signature
from abci_app.machine.state.records import (
    EMPTY_ADDRESS,
    BatchSignature,
    Decision,
    DecisionBatch,
    DecisionKind,
    Leaf,
    Member,
    TransferInfo,
    ValidatorSet,
)
from testnet.connext.deployment import Token

HEIGHT = 77


@dataclass(frozen=True)
class Validator:
    """An attestation key and its power."""

    account: Account
    power: int


@dataclass(frozen=True)
class Quorum:
    """The validators of one epoch of one consensus network."""

    chain_id: str
    epoch: int
    validators: tuple[Validator, ...]

    def validator_set(self) -> ValidatorSet:
        """Return the set in the machine's order: power descending."""
        ordered = sorted(self.validators, key=lambda one: -one.power)
        return ValidatorSet(self.epoch, tuple(_member(one) for one in ordered))

    def sign(self, batch: DecisionBatch, signers: Sequence[int]) -> tuple[BatchSignature, ...]:
        """Sign with `validators[i]` for each i given."""
        accounts = {self.validators[i].account.address: self.validators[i].account for i in signers}
        digest = compute_digest(self.chain_id, batch)
        return tuple(
            BatchSignature(index, Signature(accounts[member.attestation].sign_digest(digest)))
            for index, member in enumerate(self.validator_set().members)
            if member.attestation in accounts
        )


def make_quorum(chain_id: str, powers: Sequence[int], epoch: int = 1) -> Quorum:
    """Return validators with keys of their own, one for each power."""
    accounts = [Account(keccak(b"validator %d of %s" % (i, chain_id.encode()))) for i in range(len(powers))]
    return Quorum(chain_id, epoch, tuple(map(Validator, accounts, powers)))


def make_transfer(
    token: Token,
    *,
    origin: int,
    destination: int,
    to: bytes,
    amount: int,
    nonce: int,
    call_data: bytes = b"",
    delegate: bytes = EMPTY_ADDRESS,
) -> TransferInfo:
    """Return the terms of a transfer as an xcall on the origin would fix them."""
    return TransferInfo(
        origin_domain=DomainId(origin),
        destination_domain=DomainId(destination),
        canonical_domain=DomainId(token.canonical_domain),
        to=Address(to),
        delegate=Address(delegate),
        receive_local=False,
        call_data=call_data,
        slippage=30,
        origin_sender=Address(to),
        bridged_amt=amount,
        normalized_in=amount * 10 ** (18 - token.decimals),
        nonce=nonce,
        canonical_id=Hash(token.canonical_id),
    )


def sign_execution(info: TransferInfo, routers: Sequence[Account], sequencer: Account | None) -> ExecuteArgs:
    """Return what Connext wants: signatures of the routers for this path length and of the sequencer over the list.

    Without a sequencer it is the slow path: neither routers nor signatures.
    """
    transfer_id, addresses = compute_transfer_id(info), tuple(Address(router.address) for router in routers)
    if sequencer is None:
        return ExecuteArgs(info, (), (), EMPTY_ADDRESS, b"")
    bid = compute_bid_digest(transfer_id, len(addresses))
    return ExecuteArgs(
        params=info,
        routers=addresses,
        router_signatures=tuple(router.sign_digest(bid) for router in routers),
        sequencer=sequencer.address,
        sequencer_signature=sequencer.sign_digest(compute_sequencer_digest(transfer_id, addresses)),
    )


def make_decision(sequence: int, args: ExecuteArgs, valid_until_s: int, gas_limit: int) -> Decision:
    """Return a decision to execute exactly this."""
    info = args.params
    return Decision(
        sequence, HEIGHT, info.origin_domain, info.destination_domain, sequence, compute_transfer_id(info), 1,
        DecisionKind.FAST if args.routers else DecisionKind.SLOW,
        tuple(Address(router) for router in args.routers), valid_until_s, gas_limit,
    )


@dataclass(frozen=True)
class Plan:
    """One leaf to decide: what is executed, until when, with how much gas each; on which chain and gate."""

    chain_id: int
    gate: bytes
    executions: tuple[ExecuteArgs, ...]
    valid_until_s: int
    gas_limits: tuple[int, ...]
    position: int = 0
    """Place of the leaf among the batch's leaves."""
    leaves: int = 1
    """Leaves in the batch; the others belong to other destinations."""


def attest(quorum: Quorum, plan: Plan, signers: Sequence[int]) -> GateBatch:
    """Decide a leaf, sign its batch by these validators, and make what executeBatch takes."""
    decisions = [
        make_decision(sequence, args, plan.valid_until_s, gas_limit)
        for sequence, (args, gas_limit) in enumerate(zip(plan.executions, plan.gas_limits, strict=True), start=101)
    ]
    gate, sequences = Address(plan.gate), tuple(decision.sequence for decision in decisions)
    ours = Leaf(decisions[0].destination, plan.chain_id, gate, 0, 0, sequences)
    leaves = [
        ours if index == plan.position else Leaf(DomainId(9000 + index), 9000 + index, gate, 0, 0, (101,))
        for index in range(plan.leaves)
    ]
    by_sequence = {decision.sequence: decision for decision in decisions}
    unsigned = DecisionBatch(HEIGHT, quorum.epoch, Hash(bytes(32)), tuple(leaves), 0, ())
    root = compute_root(list_leaf_hashes(unsigned, by_sequence))
    batch = replace(unsigned, root=root)
    signed = replace(batch, attested_height=HEIGHT + 2, signatures=quorum.sign(batch, signers))
    entries = [make_entry(decision, args) for decision, args in zip(decisions, plan.executions, strict=True)]
    proof = prove_leaf(signed, by_sequence, plan.position)
    return make_batch(signed, plan.position, proof, quorum.validator_set(), entries)


def _member(validator: Validator) -> Member:
    address = Address(validator.account.address)
    return Member(keccak(b"consensus key of " + address), validator.power, address)
