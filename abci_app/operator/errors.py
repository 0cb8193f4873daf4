"""The one error of this package, and the codes that it carries."""

from enum import StrEnum


class Cause(StrEnum):
    """Why an operator's command refuses; the text is for programs and stays as it is."""

    DESCRIPTION_INVALID = "DESCRIPTION_INVALID"
    """The network's description is no TOML or JSON of the documented form."""
    FILE_INVALID = "FILE_INVALID"
    """A file cannot be read or written, or is not of its kind."""
    CHAIN_UNREADABLE = "CHAIN_UNREADABLE"
    """An endpoint or a contract behind it gives no usable answer."""
    CHAIN_MISMATCH = "CHAIN_MISMATCH"
    """The endpoint serves another EVM chain."""
    DOMAIN_MISMATCH = "DOMAIN_MISMATCH"
    """Connext on this chain has another domain."""
    BLOCK_NOT_FINAL = "BLOCK_NOT_FINAL"
    """The block named in the description is above the last final one."""
    BLOCK_REPLACED = "BLOCK_REPLACED"
    """The block changed while it was read."""
    GATE_MISMATCH = "GATE_MISMATCH"
    """The gate belongs to another network, Connext or validator set."""
    GATE_DEPLOYED = "GATE_DEPLOYED"
    """The description has a gate for the chain already."""
    CODE_MISSING = "CODE_MISSING"
    """There is no contract at an address."""
    CODE_DIFFERS = "CODE_DIFFERS"
    """The gate's code is not what this version deploys."""
    APPROVAL_MISSING = "APPROVAL_MISSING"
    """Connext's owner has not yet made every call that a gate needs."""
    KEY_INVALID = "KEY_INVALID"
    """A key file is missing, open to others, or no key."""
    FUNDS_TOO_LOW = "FUNDS_TOO_LOW"
    """The account cannot pay for the transaction."""
    CREATION_REFUSED = "CREATION_REFUSED"
    """The gate's constructor reverts."""
    TRANSACTION_FAILED = "TRANSACTION_FAILED"
    """The transaction was mined and made no gate."""
    TRANSACTION_PENDING = "TRANSACTION_PENDING"
    """The transaction was sent and is not known to be mined; it may be later."""
    ASSET_UNKNOWN = "ASSET_UNKNOWN"
    """Connext knows an asset on no chain of the description."""
    GENESIS_INVALID = "GENESIS_INVALID"
    """The state machine refuses app_state (GEN-1, GEN-2)."""
    APP_STATE_DIFFERS = "APP_STATE_DIFFERS"
    """CometBFT's genesis holds another app_state, or none."""
    COMETBFT_GENESIS_INVALID = "COMETBFT_GENESIS_INVALID"
    """CometBFT's genesis has values with which the node does not start or nothing is decided."""


class OperatorError(Exception):
    """A refusal: its text is the cause and the reason, one line."""

    def __init__(self, cause: Cause, reason: str) -> None:
        super().__init__(f"{cause}: {reason}")
        self.cause = cause
        self.reason = reason
