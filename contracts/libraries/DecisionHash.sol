// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {TransferInfo} from "../interfaces/IConnext.sol";

/// @title Hashes of decisions, leaves and batches (docs/protocol.md section 7)
/// @notice A decision hashes 224 bytes, a leaf 256, an inner node 64: no kind can be taken for another.
library DecisionHash {
    bytes32 internal constant DECISION_TYPE = keccak256(
        "Decision(uint64 sequence,bytes32 transferId,bytes32 routersHash,uint64 validUntil,uint64 gasLimit,bytes32 callHash)"
    );
    bytes32 internal constant LEAF_TYPE = keccak256(
        "Leaf(uint256 chainId,address gate,uint64 height,uint64 lane,uint64 laneFloor,uint64 count,bytes32 decisionsRoot)"
    );
    bytes32 internal constant BATCH_TYPE = keccak256("DecisionBatch(uint64 epoch,uint64 height,bytes32 root)");
    bytes32 internal constant DOMAIN_TYPE = keccak256("EIP712Domain(string name,string version,bytes32 salt)");

    /// @dev What `callHash` is on the unordered lane.
    bytes32 internal constant NO_CALL = 0;

    function computeTransferId(TransferInfo calldata params) internal pure returns (bytes32) {
        return keccak256(abi.encode(params));
    }

    /// @dev Packed encoding pads the items of an array to words.
    function hashRouters(address[] calldata routers) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(routers));
    }

    function hashDecision(
        uint64 sequence,
        bytes32 transferId,
        bytes32 routersHash,
        uint64 validUntil,
        uint64 gasLimit,
        bytes32 callHash
    ) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(DECISION_TYPE, sequence, transferId, routersHash, validUntil, gasLimit, callHash)
        );
    }

    function hashLeaf(
        uint256 chainId,
        address gate,
        uint64 height,
        uint64 lane,
        uint64 laneFloor,
        uint256 count,
        bytes32 decisionsRoot
    ) internal pure returns (bytes32) {
        return keccak256(abi.encode(LEAF_TYPE, chainId, gate, height, lane, laneFloor, count, decisionsRoot));
    }

    function hashBatch(bytes32 domainSeparator, uint64 epoch, uint64 height, bytes32 root)
        internal
        pure
        returns (bytes32)
    {
        bytes32 structHash = keccak256(abi.encode(BATCH_TYPE, epoch, height, root));
        return keccak256(abi.encodePacked(hex"1901", domainSeparator, structHash));
    }

    function computeDomainSeparator(bytes32 salt) internal pure returns (bytes32) {
        return keccak256(abi.encode(DOMAIN_TYPE, keccak256("ConsensusGate"), keccak256("1"), salt));
    }

    /// @notice Root over at least one node, level by level; an odd last node moves up unchanged.
    /// @dev Works in place: `nodes` holds something else afterwards.
    function computeRoot(bytes32[] memory nodes) internal pure returns (bytes32) {
        uint256 count = nodes.length;
        while (count > 1) {
            uint256 pairs = count / 2;
            for (uint256 i = 0; i < pairs; ++i) {
                nodes[i] = _hashPair(nodes[2 * i], nodes[2 * i + 1]);
            }
            if (count % 2 == 1) nodes[pairs] = nodes[count - 1];
            count = pairs + count % 2;
        }
        return nodes[0];
    }

    /// @notice Root above a leaf; bit i of `pathBits` says that siblings[i] stands on the left.
    function climb(bytes32 leaf, bytes32[] calldata siblings, uint256 pathBits) internal pure returns (bytes32 root) {
        root = leaf;
        for (uint256 i = 0; i < siblings.length; ++i) {
            bool isLeft = (pathBits >> i) & 1 == 1;
            root = isLeft ? _hashPair(siblings[i], root) : _hashPair(root, siblings[i]);
        }
    }

    function _hashPair(bytes32 left, bytes32 right) private pure returns (bytes32) {
        return keccak256(abi.encodePacked(left, right));
    }
}
