// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {TransferInfo} from "../interfaces/IConnext.sol";
import {DecisionHash} from "../libraries/DecisionHash.sol";
import {ValidatorSets} from "../libraries/ValidatorSets.sol";

/// @notice The gate's libraries within reach of a test, for vectors that name other chains and other gates.
contract HashHarness {
    function computeTransferId(TransferInfo calldata params) external pure returns (bytes32) {
        return DecisionHash.computeTransferId(params);
    }

    function hashDecision(
        uint64 sequence,
        bytes32 transferId,
        address[] calldata routers,
        uint64 validUntil,
        uint64 gasLimit,
        bytes32 callHash
    ) external pure returns (bytes32) {
        bytes32 routersHash = DecisionHash.hashRouters(routers);
        return DecisionHash.hashDecision(sequence, transferId, routersHash, validUntil, gasLimit, callHash);
    }

    function computeRoot(bytes32[] memory nodes) external pure returns (bytes32) {
        return DecisionHash.computeRoot(nodes);
    }

    function hashLeaf(
        uint256 chainId,
        address gate,
        uint64 height,
        uint64 lane,
        uint64 laneFloor,
        uint256 count,
        bytes32 decisionsRoot
    ) external pure returns (bytes32) {
        return DecisionHash.hashLeaf(chainId, gate, height, lane, laneFloor, count, decisionsRoot);
    }

    function climb(bytes32 leaf, bytes32[] calldata siblings, uint256 pathBits) external pure returns (bytes32) {
        return DecisionHash.climb(leaf, siblings, pathBits);
    }

    function computeDomainSeparator(bytes32 salt) external pure returns (bytes32) {
        return DecisionHash.computeDomainSeparator(salt);
    }

    function hashBatch(bytes32 domainSeparator, uint64 epoch, uint64 height, bytes32 root)
        external
        pure
        returns (bytes32)
    {
        return DecisionHash.hashBatch(domainSeparator, epoch, height, root);
    }

    /// @notice Writes a set as code and demands a quorum of it.
    function requireQuorum(
        address[] calldata members,
        uint64[] calldata powers,
        bytes32 digest,
        uint256 signers,
        bytes calldata signatures
    ) external {
        address pointer = ValidatorSets.write(members, powers, 1);
        ValidatorSets.requireQuorum(ValidatorSets.read(pointer), digest, signers, signatures);
    }
}
