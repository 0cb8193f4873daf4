// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// @notice Terms of a transfer, fixed by `xcall` on its origin; keccak256 of their ABI encoding is the transferId.
struct TransferInfo {
    uint32 originDomain;
    uint32 destinationDomain;
    uint32 canonicalDomain;
    address to;
    address delegate;
    bool receiveLocal;
    bytes callData;
    uint256 slippage;
    address originSender;
    uint256 bridgedAmt;
    uint256 normalizedIn;
    uint256 nonce;
    bytes32 canonicalId;
}

/// @notice Argument of `execute`. Slow path: no routers, no signatures.
struct ExecuteArgs {
    TransferInfo params;
    address[] routers;
    bytes[] routerSignatures;
    address sequencer;
    bytes sequencerSignature;
}

/// @notice What the destination knows of a transfer.
enum DestinationTransferStatus {
    None,
    Reconciled,
    Executed,
    Completed
}

/// @title What the gate needs of a Connext diamond (2.4.0)
interface IConnext {
    /// @notice Somebody else than an approved relayer or the transfer's delegate called `execute`.
    error BridgeFacet__execute_unapprovedSender();
    /// @notice The whole diamond is paused.
    error BaseConnextFacet__whenNotPaused_paused();
    /// @notice The call came from inside another `execute`.
    error BaseConnextFacet__nonReentrant_reentrantCall();

    /// @notice Pays a transfer out; approved relayers only.
    function execute(ExecuteArgs calldata args) external returns (bytes32 transferId);

    /// @notice Where a transfer stands on its destination.
    function transferStatus(bytes32 transferId) external view returns (DestinationTransferStatus);
}
