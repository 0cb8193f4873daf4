// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {ExecuteArgs, IConnext, TransferInfo} from "./IConnext.sol";

/// @title The only approved relayer of a Connext diamond
/// @notice Lets `execute` through for what more than two thirds of the validators' power have decided, and for nothing
/// else. Any plain account may submit: one without code, EIP-7702 delegations included, in a transaction of its own. A
/// contract could swap before and after the execution and take the whole slippage tolerance of a transfer, or give up
/// where that does not pay. The gate holds no funds and owns nothing; what routers pay is bound by their own signatures.
/// Bytes of decisions, leaves, root and digest: docs/protocol.md section 7.
interface IConsensusGate {
    /// @notice What a quorum signed, as far as it concerns one leaf. Times are Unix seconds.
    struct Batch {
        /// Epoch of the validator set that signed.
        uint64 epoch;
        /// Consensus height of the decisions.
        uint64 height;
        /// Lane of the leaf; 0 is the unordered one.
        uint64 lane;
        /// Every sequence of an ordered lane below it is executed or over; 0 on lane 0.
        uint64 laneFloor;
        /// Path from the leaf to the batch's root, lowest first.
        bytes32[] siblings;
        /// Bit i is set where siblings[i] stands on the left.
        uint256 pathBits;
        /// Bit i is set where member i of the set signed.
        uint256 signers;
        /// 65 bytes r, s, v for each bit of `signers`, in ascending order.
        bytes signatures;
    }

    /// @notice One decision of the leaf, with all that Connext asks for. All entries of a leaf are given, in its order.
    struct Entry {
        /// Global sequence of the decision.
        uint64 sequence;
        /// Last second in which it may be executed.
        uint64 validUntil;
        /// Gas that `execute` gets, exactly.
        uint64 gasLimit;
        ExecuteArgs args;
    }

    /// @notice A leaf went through; every entry without an event of its own was executed.
    event BatchExecuted(uint64 indexed height, address indexed submitter, uint256 executed, uint256 entries);
    /// @notice `execute` refused one transfer. A hint: anyone can cause it with wrong router signatures.
    /// @param reason First bytes of what it reverted with.
    event TransferFailed(bytes32 indexed transferId, uint64 indexed sequence, bytes reason);
    /// @notice A decision came after its time and was passed over.
    event DecisionExpired(bytes32 indexed transferId, uint64 indexed sequence, uint64 validUntil);
    /// @notice A decision that could not be executed any more was passed over, as the submitter asked.
    event DecisionSkipped(bytes32 indexed transferId, uint64 indexed sequence);
    /// @notice Reconciled transfers were executed without a decision.
    event ReconciledExecuted(address indexed submitter, uint256 executed, uint256 entries);
    /// @notice A validator set took over.
    event ValidatorSetInstalled(uint64 indexed epoch, uint64 expiresAt, uint256 members);

    /// @notice Connext's address has no code.
    error ConnextMissing(address connext);
    /// @notice The hash of the consensus chain id is zero.
    error ZeroSalt();
    /// @notice A set needs at least one member.
    error EmptySet();
    /// @notice A set has at most 256 members.
    error SetTooLarge(uint256 members);
    /// @notice As many powers as members.
    error PowersMismatch(uint256 members, uint256 powers);
    /// @notice Member `index` is the zero address, or not above the one before.
    error MemberNotAscending(uint256 index);
    /// @notice Member `index` has no power.
    error ZeroPower(uint256 index);
    /// @notice The set's total power does not fit 64 bits.
    error PowerTooLarge();
    /// @notice The set would be expired already, or its expiry does not fit 64 bits.
    error SetTimeInvalid(uint256 expiresAt);

    /// @notice The gate is already at work.
    error Reentered();
    /// @notice The caller has code, or was called itself in this transaction.
    error CallerNotPlain(address caller);
    /// @notice Ordered lanes are not open on this gate.
    error LaneNotOpen(uint64 lane);
    /// @notice Lane 0 has no floor.
    error LaneFloorNotZero(uint64 laneFloor);
    /// @notice The batch was signed in another epoch than the current one.
    error EpochMismatch(uint64 given, uint64 current);
    /// @notice The validator set was not renewed in time.
    error SetExpired(uint64 expiresAt);
    /// @notice There is nothing to execute.
    error NoEntries();
    /// @notice Bits of the path above its length.
    error PathBitsSurplus(uint256 pathBits);
    /// @notice Bits of `signers` beyond the set.
    error SignerUnknown(uint256 signers);
    /// @notice `signatures` has another length than 65 bytes for each signer.
    error SignaturesLength(uint256 given, uint256 expected);
    /// @notice The signature of member `index` has s in the upper half.
    error SignatureHighS(uint256 index);
    /// @notice The signature of member `index` is not theirs, or not of this batch.
    error SignatureInvalid(uint256 index);
    /// @notice Two thirds of the power, or less, have signed.
    error QuorumMissing(uint256 signed, uint256 total);
    /// @notice Less gas than entry `index` was promised; nothing was executed.
    error InsufficientGas(uint256 index, uint256 required);
    /// @notice Connext refuses everything now, for this reason; nothing was executed.
    error Systemic(bytes4 reason);
    /// @notice Entry `index` has callData, which needs a decision.
    error CallDataNotEmpty(uint256 index);

    /// @notice Executes a leaf of decisions. One that fails, or is expired, never blocks the others.
    /// @param skipExecuted Ask Connext first, and pass over what it would refuse by its status.
    /// @dev Reverts as a whole, with nothing executed, unless a plain account calls it and a quorum of the current epoch
    /// signed exactly this leaf; and when gas is short or Connext refuses everything.
    function executeBatch(Batch calldata batch, Entry[] calldata entries, bool skipExecuted) external;

    /// @notice Executes transfers that the message layer has reconciled and that carry no callData; needs no decision,
    /// because nobody's liquidity and nobody's code is at stake. Only plain accounts may call it: swaps are at stake.
    function executeReconciled(TransferInfo[] calldata transfers) external;

    /// @notice The diamond behind this gate.
    function connext() external view returns (IConnext);

    /// @notice Separates the digests of this consensus network from all others.
    function domainSeparator() external view returns (bytes32);

    /// @notice The current validator set: members ascending, `expiresAt` in Unix seconds.
    function validatorSet()
        external
        view
        returns (uint64 epoch, uint64 expiresAt, address[] memory members, uint64[] memory powers);
}
