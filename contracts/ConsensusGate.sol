// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {LibCall} from "solady/src/utils/LibCall.sol";

import {DestinationTransferStatus, ExecuteArgs, IConnext, TransferInfo} from "./interfaces/IConnext.sol";
import {IConsensusGate} from "./interfaces/IConsensusGate.sol";
import {DecisionHash} from "./libraries/DecisionHash.sol";
import {ValidatorSets} from "./libraries/ValidatorSets.sol";

/// @title ConsensusGate
/// @dev What it does, and when it refuses, stands in the interface.
contract ConsensusGate is IConsensusGate {
    /// @dev Enough for a custom error with arguments or a text of some 180 bytes; what is longer is cut, so that a
    /// return bomb costs its sender and not the batch.
    uint16 private constant REASON_BYTES_MAX = 256;

    /// @dev Between the look at gasleft() and the CALL: a cold account (2,600) and a few dozen instructions.
    uint256 private constant CALL_MARGIN_GAS = 5_000;

    /// @dev Without callData and routers `execute` takes 105,000, with a swap less than 200,000; nothing is lost when it
    /// is short, as the transfer stays reconciled.
    uint256 private constant RECONCILED_GAS = 600_000;

    struct CurrentSet {
        address pointer;
        uint64 epoch;
    }

    /// @inheritdoc IConsensusGate
    IConnext public immutable connext;
    /// @inheritdoc IConsensusGate
    bytes32 public immutable domainSeparator;

    CurrentSet private _current;
    bool private transient _entered;

    /// @dev Not in vain although Connext has a lock too: a receiver inside `execute` must find neither open.
    modifier nonReentrant() {
        if (_entered) revert Reentered();
        _entered = true;
        _;
        _entered = false;
    }

    /// @dev BAT-7. Both halves are needed: a contract under construction has no code, and an account with an EIP-7702
    /// delegation is the origin of its own transaction.
    modifier onlyPlainCaller() {
        if (msg.sender != tx.origin || msg.sender.code.length != 0) revert CallerNotPlain(msg.sender);
        _;
    }

    /// @param salt keccak256 of the consensus chain id.
    /// @param epoch Epoch of the first set.
    /// @param members Attestation addresses, ascending.
    /// @param powers Consensus power of each.
    /// @param setTime Consensus time of the set, in Unix seconds.
    /// @param setLifetime Seconds after `setTime` until which the set counts.
    constructor(
        IConnext connext_,
        bytes32 salt,
        uint64 epoch,
        address[] memory members,
        uint64[] memory powers,
        uint64 setTime,
        uint64 setLifetime
    ) {
        if (address(connext_).code.length == 0) revert ConnextMissing(address(connext_));
        if (salt == 0) revert ZeroSalt();
        uint256 expiresAt = uint256(setTime) + setLifetime;
        if (expiresAt <= block.timestamp || expiresAt > type(uint64).max) revert SetTimeInvalid(expiresAt);

        connext = connext_;
        domainSeparator = DecisionHash.computeDomainSeparator(salt);
        _current = CurrentSet(ValidatorSets.write(members, powers, uint64(expiresAt)), epoch);
        emit ValidatorSetInstalled(epoch, uint64(expiresAt), members.length);
    }

    /// @inheritdoc IConsensusGate
    function executeBatch(Batch calldata batch, Entry[] calldata entries, bool skipExecuted)
        external
        nonReentrant
        onlyPlainCaller
    {
        if (batch.lane != 0) revert LaneNotOpen(batch.lane);
        if (batch.laneFloor != 0) revert LaneFloorNotZero(batch.laneFloor);
        if (entries.length == 0) revert NoEntries();

        bytes32[] memory transferIds = _requireAttested(batch, entries);

        uint256 executed = 0;
        for (uint256 i = 0; i < entries.length; ++i) {
            if (_executeEntry(entries[i], i, transferIds[i], skipExecuted)) ++executed;
        }
        emit BatchExecuted(batch.height, msg.sender, executed, entries.length);
    }

    /// @inheritdoc IConsensusGate
    function executeReconciled(TransferInfo[] calldata transfers) external nonReentrant onlyPlainCaller {
        if (transfers.length == 0) revert NoEntries();
        for (uint256 i = 0; i < transfers.length; ++i) {
            if (transfers[i].callData.length != 0) revert CallDataNotEmpty(i);
        }

        uint256 executed = 0;
        ExecuteArgs memory args; // neither routers nor signatures: Connext demands that the transfer is reconciled
        for (uint256 i = 0; i < transfers.length; ++i) {
            args.params = transfers[i];
            bytes memory call = abi.encodeCall(IConnext.execute, (args));
            bytes32 transferId = DecisionHash.computeTransferId(transfers[i]);
            if (_callConnext(call, RECONCILED_GAS, i, transferId, 0)) ++executed;
        }
        emit ReconciledExecuted(msg.sender, executed, transfers.length);
    }

    /// @inheritdoc IConsensusGate
    function validatorSet()
        external
        view
        returns (uint64 epoch, uint64 expiresAt, address[] memory members, uint64[] memory powers)
    {
        bytes memory set = ValidatorSets.read(_current.pointer);
        uint256 count = ValidatorSets.memberCount(set);
        (epoch, expiresAt) = (_current.epoch, ValidatorSets.expiry(set));
        (members, powers) = (new address[](count), new uint64[](count));
        for (uint256 i = 0; i < count; ++i) {
            (members[i], powers[i]) = ValidatorSets.memberAt(set, i);
        }
    }

    /// @dev Recomputes all that was signed from the entries themselves, and returns their transferIds. The root is never
    /// an input.
    function _requireAttested(Batch calldata batch, Entry[] calldata entries)
        private
        view
        returns (bytes32[] memory transferIds)
    {
        CurrentSet memory current = _current;
        if (batch.epoch != current.epoch) revert EpochMismatch(batch.epoch, current.epoch);
        bytes memory set = ValidatorSets.read(current.pointer);
        if (block.timestamp > ValidatorSets.expiry(set)) revert SetExpired(ValidatorSets.expiry(set));
        if (batch.siblings.length < 256 && batch.pathBits >> batch.siblings.length != 0) {
            revert PathBitsSurplus(batch.pathBits);
        }

        bytes32[] memory decisions;
        (transferIds, decisions) = _hashEntries(entries);
        bytes32 decisionsRoot = DecisionHash.computeRoot(decisions);
        bytes32 leaf = DecisionHash.hashLeaf(
            block.chainid, address(this), batch.height, batch.lane, batch.laneFloor, entries.length, decisionsRoot
        );
        bytes32 root = DecisionHash.climb(leaf, batch.siblings, batch.pathBits);
        bytes32 digest = DecisionHash.hashBatch(domainSeparator, batch.epoch, batch.height, root);
        ValidatorSets.requireQuorum(set, digest, batch.signers, batch.signatures);
    }

    function _hashEntries(Entry[] calldata entries)
        private
        pure
        returns (bytes32[] memory transferIds, bytes32[] memory decisions)
    {
        transferIds = new bytes32[](entries.length);
        decisions = new bytes32[](entries.length);
        for (uint256 i = 0; i < entries.length; ++i) {
            Entry calldata entry = entries[i];
            bytes32 transferId = DecisionHash.computeTransferId(entry.args.params);
            transferIds[i] = transferId;
            decisions[i] = DecisionHash.hashDecision(
                entry.sequence,
                transferId,
                DecisionHash.hashRouters(entry.args.routers),
                entry.validUntil,
                entry.gasLimit,
                DecisionHash.NO_CALL
            );
        }
    }

    function _executeEntry(Entry calldata entry, uint256 index, bytes32 transferId, bool skipExecuted)
        private
        returns (bool)
    {
        if (block.timestamp > entry.validUntil) {
            emit DecisionExpired(transferId, entry.sequence, entry.validUntil);
            return false;
        }
        if (skipExecuted && !_isExecutable(transferId, entry.args.routers.length)) {
            emit DecisionSkipped(transferId, entry.sequence);
            return false;
        }
        bytes memory call = abi.encodeCall(IConnext.execute, (entry.args));
        return _callConnext(call, entry.gasLimit, index, transferId, entry.sequence);
    }

    /// @dev With routers Connext wants a transfer it knows nothing of, without any one that is reconciled.
    function _isExecutable(bytes32 transferId, uint256 routers) private view returns (bool) {
        DestinationTransferStatus needed =
            routers == 0 ? DestinationTransferStatus.Reconciled : DestinationTransferStatus.None;
        return connext.transferStatus(transferId) == needed;
    }

    /// @dev Forwards exactly `gasLimit`, so that no submitter can make a transfer fail by giving less. Of what is left a
    /// call gets at most 63 parts in 64.
    function _callConnext(bytes memory call, uint256 gasLimit, uint256 index, bytes32 transferId, uint64 sequence)
        private
        returns (bool success)
    {
        uint256 required = gasLimit * 64 / 63 + CALL_MARGIN_GAS;
        if (gasleft() < required) revert InsufficientGas(index, required);
        bytes memory returned;
        (success,, returned) = LibCall.tryCall(address(connext), 0, gasLimit, REASON_BYTES_MAX, call);
        if (!success) {
            _requireNotSystemic(returned);
            emit TransferFailed(transferId, sequence, returned);
        }
    }

    /// @dev Nothing was wrong with the transfer: Connext would refuse every one. Reverting keeps the batch for later.
    function _requireNotSystemic(bytes memory reason) private pure {
        bytes4 selector = bytes4(reason);
        if (
            selector == IConnext.BridgeFacet__execute_unapprovedSender.selector
                || selector == IConnext.BaseConnextFacet__whenNotPaused_paused.selector
                || selector == IConnext.BaseConnextFacet__nonReentrant_reentrantCall.selector
        ) revert Systemic(selector);
    }
}
