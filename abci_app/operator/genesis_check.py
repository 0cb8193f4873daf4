"""Checks of a finished genesis: the state machine's own on ``app_state``, the node's on CometBFT's file around it."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from abci_app.machine.codes import Rejected
from abci_app.machine.genesis.build import FIRST_HEIGHT, build_state
from abci_app.machine.genesis.form import Genesis
from abci_app.machine.genesis.json_form import from_json
from abci_app.machine.state.tree import Tree
from abci_app.machine.upgrades import APP_VERSION, FIRST_VERSION
from abci_app.node.genesis import BLOCK_BYTES_MIN, make_object, parse_app_state
from abci_app.operator.errors import Cause, OperatorError

KEY_TYPE = "tendermint/PubKeyEd25519"

Powers = Sequence[tuple[bytes, int]]
"""CometBFT's validators: consensus keys with powers."""


@dataclass(frozen=True, slots=True)
class CometBFTGenesis:
    """What CometBFT's genesis.json says beside ``app_state``."""

    chain_id: str
    validators: Powers
    app_state: Any
    """None where it is missing."""
    app_version: int
    """Version of the rules at the first block."""


@dataclass(frozen=True, slots=True)
class AcceptedGenesis:
    """A genesis that the state machine accepts."""

    chain_id: str
    app_hash: bytes
    """Before the first block."""
    domains: int
    assets: int
    routers: int
    validators: int
    power: int


def check_app_state(
    app_state: dict[str, Any], chain_id: str, validators: Powers | None = None, app_version: int = APP_VERSION
) -> AcceptedGenesis:
    """Return what an ``app_state`` amounts to. Raises OperatorError for what InitChain refuses (GEN-1, GEN-2).

    Without ``validators`` its own count as CometBFT's.
    """
    try:
        own = list_validators(app_state) if validators is None else validators
        state = build_state(app_state, chain_id, own, FIRST_HEIGHT, app_version)
    except Rejected as rejection:
        raise OperatorError(Cause.GENESIS_INVALID, rejection.reason) from rejection
    counts = {name: len(app_state[name]) for name in ("domains", "assets", "routers", "validators")}
    return AcceptedGenesis(chain_id, Tree.build(state).root, **counts, power=sum(power for _, power in own))


def list_validators(app_state: dict[str, Any]) -> Powers:
    """Return the keys and powers that an ``app_state`` lists. Raises Rejected(GENESIS_INVALID)."""
    genesis = from_json(Genesis, app_state, "app_state")
    return [(bytes(each.consensus_key), each.power) for each in genesis.validators]


def load_app_state(path: Path) -> dict[str, Any]:
    """Read a file with ``app_state`` alone. Raises OperatorError."""
    try:
        return parse_app_state(path.read_bytes())
    except OSError as error:
        raise OperatorError(Cause.FILE_INVALID, f"{path}: {error.strerror}") from error
    except Rejected as rejection:
        raise OperatorError(Cause.GENESIS_INVALID, f"{path}: {rejection.reason}") from rejection


def load_cometbft_genesis(path: Path) -> CometBFTGenesis:
    """Read CometBFT's genesis.json and check it as the node does. Raises OperatorError."""
    try:
        fields = json.loads(path.read_bytes(), object_pairs_hook=make_object)
    except OSError as error:
        raise OperatorError(Cause.FILE_INVALID, f"{path}: {error.strerror}") from error
    except (ValueError, Rejected) as error:
        raise OperatorError(Cause.COMETBFT_GENESIS_INVALID, f"{path}: no JSON object: {error}") from error
    try:
        return parse_cometbft_genesis(fields)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"{path}: not of CometBFT's form: {type(error).__name__}: {error}"
        raise OperatorError(Cause.COMETBFT_GENESIS_INVALID, reason) from error


def parse_cometbft_genesis(fields: dict[str, Any]) -> CometBFTGenesis:
    """Return what a genesis.json says. Raises OperatorError, or KeyError, TypeError, ValueError for another form."""
    params = fields["consensus_params"]
    height = int(fields.get("initial_height", FIRST_HEIGHT))
    _require(height in (0, FIRST_HEIGHT), "initial_height", f"is {height}, must be {FIRST_HEIGHT}")
    enabled = int(params["abci"]["vote_extensions_enable_height"])
    _require(
        enabled == FIRST_HEIGHT, "consensus_params.abci.vote_extensions_enable_height",
        f"is {enabled}, must be {FIRST_HEIGHT}: before it nothing is decided",
    )
    size = int(params["block"]["max_bytes"])
    _require(
        size == -1 or size >= BLOCK_BYTES_MIN, "consensus_params.block.max_bytes",
        f"is {size}, must be at least {BLOCK_BYTES_MIN}",
    )
    version = int(params.get("version", {}).get("app", 0)) or FIRST_VERSION
    _require(version <= APP_VERSION, "consensus_params.version.app", f"is {version}, must be at most {APP_VERSION}")
    validators = []
    for index, each in enumerate(fields.get("validators") or ()):
        _require(each["pub_key"]["type"] == KEY_TYPE, f"validators[{index}].pub_key.type", f"must be {KEY_TYPE}")
        validators.append((base64.b64decode(each["pub_key"]["value"], validate=True), int(each["power"])))
    return CometBFTGenesis(str(fields["chain_id"]), validators, fields.get("app_state"), version)


def check_together(app_state: dict[str, Any], cometbft: CometBFTGenesis) -> AcceptedGenesis:
    """Check ``app_state`` with the file that is to carry it, and that it does. Raises OperatorError."""
    checked = check_app_state(app_state, cometbft.chain_id, cometbft.validators, cometbft.app_version)
    if cometbft.app_state is None:
        raise OperatorError(Cause.APP_STATE_DIFFERS, "CometBFT's genesis has no app_state")
    if cometbft.app_state != app_state:
        raise OperatorError(Cause.APP_STATE_DIFFERS, "CometBFT's genesis has another app_state")
    return checked


def _require(condition: bool, where: str, what: str) -> None:
    if not condition:
        raise OperatorError(Cause.COMETBFT_GENESIS_INVALID, f"{where}: {what}")
