"""A method that an endpoint may lack: a clear answer is remembered for a while, a passing refusal is not."""

import time
from collections.abc import Callable, Hashable

from abci_app.evm.errors import EvmError, MethodMissing, RpcRefused

REFUSALS_MAX = 3
"""Refusals in a row of one question, none of which says that the method is missing, before it counts as missing."""

ASK_AGAIN_S = 600.0
"""After this time a missing method is asked for again: another endpoint may stand behind the same URL."""

CODE_INVALID_PARAMS = -32602
"""JSON-RPC's code, with which an endpoint refuses parameters that it does not know."""


class OptionalMethod:
    """What is known of one method, or of one of its parameters, at one endpoint. One thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._missing_until_s: float | None = None
        self._refused: Hashable = None
        self._refusals = 0

    @property
    def is_missing(self) -> bool:
        """Whether not to ask now."""
        return self._missing_until_s is not None and self._clock() < self._missing_until_s

    def note_missing(self) -> bool:
        """Do without the method for ASK_AGAIN_S; return whether this is the first time."""
        is_first = self._missing_until_s is None
        self._missing_until_s, self._refusals = self._clock() + ASK_AGAIN_S, 0
        return is_first

    def is_refused_for_good(self, error: EvmError, question: Hashable = None) -> bool:
        """Tell whether to do without: the method or a parameter is not known, or one question is refused repeatedly."""
        is_unknown = isinstance(error, RpcRefused) and error.code == CODE_INVALID_PARAMS
        self._refusals = self._refusals + 1 if question == self._refused else 1
        self._refused = question
        return isinstance(error, MethodMissing) or is_unknown or self._refusals >= REFUSALS_MAX
