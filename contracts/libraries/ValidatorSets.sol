// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {LibBytes} from "solady/src/utils/LibBytes.sol";
import {SSTORE2} from "solady/src/utils/SSTORE2.sol";

import {IConsensusGate} from "../interfaces/IConsensusGate.sol";

/// @title Validator sets kept as contract code
/// @notice Code of a set: expiry and total power, 8 bytes each, then 20 bytes of address and 8 of power for each member,
/// ascending by address. One read of it costs 2,600 gas and 3 a word, whatever its size.
library ValidatorSets {
    uint256 internal constant MEMBERS_MAX = 256;

    uint256 private constant HEADER_BYTES = 16;
    uint256 private constant MEMBER_BYTES = 28;
    uint256 private constant SIGNATURE_BYTES = 65;

    /// @dev Half of secp256k1's order: of the two signatures (s and order - s) only the lower one counts.
    uint256 private constant S_MAX = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0;

    /// @notice Checks a set and writes it as code. Total power is below 2^64, so no later sum overflows.
    function write(address[] memory members, uint64[] memory powers, uint64 expiresAt) internal returns (address) {
        uint256 count = members.length;
        if (count == 0) revert IConsensusGate.EmptySet();
        if (count > MEMBERS_MAX) revert IConsensusGate.SetTooLarge(count);
        if (powers.length != count) revert IConsensusGate.PowersMismatch(count, powers.length);

        bytes memory body;
        address previous = address(0);
        uint256 total = 0;
        for (uint256 i = 0; i < count; ++i) {
            if (members[i] <= previous) revert IConsensusGate.MemberNotAscending(i);
            if (powers[i] == 0) revert IConsensusGate.ZeroPower(i);
            body = abi.encodePacked(body, members[i], powers[i]);
            previous = members[i];
            total += powers[i];
        }
        if (total > type(uint64).max) revert IConsensusGate.PowerTooLarge();
        return SSTORE2.write(abi.encodePacked(expiresAt, uint64(total), body));
    }

    /// @notice Refuses anything but signatures over `digest` by members with more than two thirds of the power.
    function requireQuorum(bytes memory set, bytes32 digest, uint256 signers, bytes calldata signatures)
        internal
        pure
    {
        uint256 count = memberCount(set);
        if (count < MEMBERS_MAX && signers >> count != 0) revert IConsensusGate.SignerUnknown(signers);

        uint256 signed = 0;
        uint256 offset = 0;
        for (uint256 i = 0; i < count; ++i) {
            if ((signers >> i) & 1 == 0) continue;
            if (offset + SIGNATURE_BYTES > signatures.length) {
                revert IConsensusGate.SignaturesLength(signatures.length, offset + SIGNATURE_BYTES);
            }
            (address member, uint64 power) = memberAt(set, i);
            _requireSignature(digest, signatures, offset, member, i);
            signed += power;
            offset += SIGNATURE_BYTES;
        }
        if (offset != signatures.length) revert IConsensusGate.SignaturesLength(signatures.length, offset);
        uint256 total = totalPower(set);
        if (3 * signed <= 2 * total) revert IConsensusGate.QuorumMissing(signed, total);
    }

    function read(address pointer) internal view returns (bytes memory set) {
        return SSTORE2.read(pointer);
    }

    function expiry(bytes memory set) internal pure returns (uint64) {
        return uint64(bytes8(LibBytes.load(set, 0)));
    }

    function totalPower(bytes memory set) internal pure returns (uint64) {
        return uint64(bytes8(LibBytes.load(set, 8)));
    }

    function memberCount(bytes memory set) internal pure returns (uint256) {
        return (set.length - HEADER_BYTES) / MEMBER_BYTES;
    }

    /// @dev `index` must be below `memberCount`; it is not checked again.
    function memberAt(bytes memory set, uint256 index) internal pure returns (address member, uint64 power) {
        uint256 word = uint256(LibBytes.load(set, HEADER_BYTES + MEMBER_BYTES * index));
        member = address(uint160(word >> 96));
        power = uint64(word >> 32);
    }

    /// @dev A failed recovery gives the zero address, which no set holds.
    function _requireSignature(
        bytes32 digest,
        bytes calldata signatures,
        uint256 offset,
        address member,
        uint256 index
    ) private pure {
        bytes32 r = LibBytes.loadCalldata(signatures, offset);
        bytes32 s = LibBytes.loadCalldata(signatures, offset + 32);
        uint8 v = uint8(signatures[offset + 64]);
        if (uint256(s) > S_MAX) revert IConsensusGate.SignatureHighS(index);
        if (ecrecover(digest, v, r, s) != member) revert IConsensusGate.SignatureInvalid(index);
    }
}
