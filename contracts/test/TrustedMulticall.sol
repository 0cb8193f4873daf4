// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ExecuteArgs, IConnext} from "../interfaces/IConnext.sol";

/// @notice What batching costs when one key is trusted with everything: the yardstick of the gas benchmark.
contract TrustedMulticall {
    address private immutable _owner = msg.sender;
    IConnext private immutable _connext;

    constructor(IConnext connext) {
        _connext = connext;
    }

    function executeAll(ExecuteArgs[] calldata calls) external {
        require(msg.sender == _owner, "not the owner");
        for (uint256 i = 0; i < calls.length; ++i) {
            _connext.execute(calls[i]);
        }
    }
}
