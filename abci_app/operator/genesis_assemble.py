"""CometBFT's genesis.json of a new network: ``app_state`` with chain id, validators and parameters around it."""

import base64
import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from abci_app.machine.codes import Rejected
from abci_app.machine.genesis.build import FIRST_HEIGHT
from abci_app.machine.upgrades import APP_VERSION
from abci_app.node.genesis import make_object
from abci_app.operator.errors import Cause, OperatorError
from abci_app.operator.genesis_check import KEY_TYPE, Powers, check_app_state, list_validators, parse_cometbft_genesis

BLOCK_BYTES_MAX = 2 * 1024 * 1024
"""Plenty for what a network decides; what a block costs every node grows with it."""
BLOCK_BYTES_LIMIT = 100 * 1024 * 1024
"""CometBFT refuses a genesis with larger blocks."""
ADDRESS_BYTES = 20
"""CometBFT's address of a key: the first bytes of its SHA-256."""


def load_template(path: Path) -> dict[str, Any]:
    """Read the genesis.json that ``cometbft init`` made. Raises OperatorError."""
    try:
        fields = json.loads(path.read_bytes(), object_pairs_hook=make_object)
    except OSError as error:
        raise OperatorError(Cause.FILE_INVALID, f"{path}: {error.strerror}") from error
    except (ValueError, Rejected) as error:
        raise OperatorError(Cause.COMETBFT_GENESIS_INVALID, f"{path}: no JSON object: {error}") from error
    if not isinstance(fields, dict):
        raise OperatorError(Cause.COMETBFT_GENESIS_INVALID, f"{path}: no JSON object")
    return fields


def assemble(
    app_state: dict[str, Any], template: dict[str, Any], chain_id: str, *,
    block_bytes_max: int = BLOCK_BYTES_MAX, genesis_time: str = "",
) -> dict[str, Any]:
    """Return the genesis.json of a network; the template gives the consensus parameters that are not set here.

    Without ``genesis_time`` (RFC 3339) it is now. Raises OperatorError for what a node would refuse.
    """
    check_app_state(app_state, chain_id)
    params = template.get("consensus_params")
    if not isinstance(params, dict) or not isinstance(params.get("block"), dict):
        raise OperatorError(Cause.COMETBFT_GENESIS_INVALID, "consensus_params: missing, or not of CometBFT's form")
    if block_bytes_max > BLOCK_BYTES_LIMIT:
        raise OperatorError(Cause.COMETBFT_GENESIS_INVALID, f"block.max_bytes: at most {BLOCK_BYTES_LIMIT}")
    genesis: dict[str, Any] = {
        "genesis_time": genesis_time or datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        "chain_id": chain_id,
        "initial_height": str(FIRST_HEIGHT),
        "consensus_params": params | {
            "block": params["block"] | {"max_bytes": str(block_bytes_max)},
            "abci": {"vote_extensions_enable_height": str(FIRST_HEIGHT)},
            "version": {"app": str(APP_VERSION)},
        },
        "validators": [_validator(key, power) for key, power in _sorted(list_validators(app_state))],
        "app_hash": "",
        "app_state": app_state,
    }
    _require_time(genesis["genesis_time"])
    parse_cometbft_genesis(genesis)
    return genesis


def _sorted(validators: Powers) -> Powers:
    """Order validators as CometBFT does: by power, descending, then by address."""
    return sorted(validators, key=lambda each: (-each[1], _address(each[0])))


def _address(consensus_key: bytes) -> bytes:
    return hashlib.sha256(consensus_key).digest()[:ADDRESS_BYTES]


def _validator(consensus_key: bytes, power: int) -> dict[str, Any]:
    public_key = {"type": KEY_TYPE, "value": base64.b64encode(consensus_key).decode()}
    return {"address": _address(consensus_key).hex().upper(), "pub_key": public_key, "power": str(power), "name": ""}


def _require_time(genesis_time: str) -> None:
    """Refuse a time that CometBFT does not read, or that is not in UTC."""
    try:
        parsed = datetime.fromisoformat(genesis_time)
    except ValueError as error:
        raise OperatorError(Cause.COMETBFT_GENESIS_INVALID, f"genesis_time: {error}") from error
    if not genesis_time.endswith("Z") or parsed.tzinfo is None:
        raise OperatorError(Cause.COMETBFT_GENESIS_INVALID, "genesis_time: must be in UTC and end with Z")
