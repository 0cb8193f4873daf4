// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @notice What Connext calls at the end of a transfer with callData.
interface IXReceiver {
    function xReceive(bytes32, uint256, address, address, uint32, bytes calldata callData)
        external
        returns (bytes memory);
}

/// @notice Keeps what it got.
contract Recorder is IXReceiver {
    bytes32 public lastCallData;
    uint256 public calls;

    function xReceive(bytes32, uint256, address, address, uint32, bytes calldata callData)
        external
        returns (bytes memory)
    {
        lastCallData = keccak256(callData);
        ++calls;
        return "";
    }
}

/// @notice Burns gas to the amount that callData names, then returns.
contract GasUser is IXReceiver {
    uint256 public calls;

    function xReceive(bytes32, uint256, address, address, uint32, bytes calldata callData)
        external
        returns (bytes memory)
    {
        uint256 end = gasleft() - abi.decode(callData, (uint256));
        while (gasleft() > end) {}
        ++calls;
        return "";
    }
}

/// @notice Refuses every transfer.
contract Refuser is IXReceiver {
    function xReceive(bytes32, uint256, address, address, uint32, bytes calldata) external pure returns (bytes memory) {
        revert("not today");
    }
}

/// @notice Uses all the gas it gets.
contract GasBurner is IXReceiver {
    function xReceive(bytes32, uint256, address, address, uint32, bytes calldata) external pure returns (bytes memory) {
        while (true) {}
        return "";
    }
}

/// @notice Makes the call that its callData names, and keeps what came of it.
contract Caller is IXReceiver {
    bool public called;
    bool public success;
    bytes public returned;

    function xReceive(bytes32, uint256, address, address, uint32, bytes calldata callData)
        external
        returns (bytes memory)
    {
        (address target, bytes memory data) = abi.decode(callData, (address, bytes));
        called = true;
        (success, returned) = target.call(data);
        return "";
    }
}

/// @notice Makes several calls in one transaction, all of which must succeed.
contract Twice {
    function callAll(address target, bytes[] calldata calls) external {
        for (uint256 i = 0; i < calls.length; ++i) {
            (bool success,) = target.call(calls[i]);
            require(success, "a call failed");
        }
    }
}
