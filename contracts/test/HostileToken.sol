// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @notice Test token: transfers normally until `poison` selects a failure mode.
contract HostileToken {
    string public constant name = "Hostile";
    string public constant symbol = "HOST";
    uint8 public constant decimals = 18;

    mapping(address => uint256) public balanceOf;
    uint256 public bombBytes;
    bytes4 public refusal;

    /// @param bytes_ Length of what it reverts with, 0 for the selector alone.
    function poison(uint256 bytes_, bytes4 selector) external {
        (bombBytes, refusal) = (bytes_, selector);
    }

    function mint(address account, uint256 amount) external {
        balanceOf[account] += amount;
    }

    function burn(address account, uint256 amount) external {
        balanceOf[account] -= amount;
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        uint256 length = bombBytes;
        if (length != 0) {
            assembly {
                revert(0, length)
            }
        }
        bytes4 selector = refusal;
        if (selector != 0) {
            assembly {
                mstore(0, selector)
                revert(0, 4)
            }
        }
        return _move(msg.sender, to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) external returns (bool) {
        return _move(from, to, amount);
    }

    function _move(address from, address to, uint256 amount) private returns (bool) {
        balanceOf[from] -= amount;
        balanceOf[to] += amount;
        return true;
    }
}
