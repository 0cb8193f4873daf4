"""The gateway's own codes: their range, apart from the machine's, and names for both."""

import pytest

from abci_app.gateway.codes import AnswerCode
from abci_app.gateway.core.submission import name_code
from abci_app.machine.codes import Code

GATEWAY_RANGE = range(60, 70)


def test_numbers_60_to_69_are_the_gateways_and_no_others() -> None:
    assert {int(code) for code in AnswerCode} <= set(GATEWAY_RANGE)
    assert {int(code) for code in Code}.isdisjoint(GATEWAY_RANGE)


def test_no_name_stands_in_both() -> None:
    assert set(Code.__members__).isdisjoint(AnswerCode.__members__)


@pytest.mark.parametrize(("code", "name"), [
    (0, "OK"), (30, "TRANSFER_UNKNOWN"), (60, "NOT_FOUND"), (61, "NOT_ATTESTED"), (62, "EXPIRED"), (63, "NO_KEY"),
    (64, "ARGUMENT_INVALID"), (65, "NOT_READY"), (66, "TIMED_OUT"), (67, "MEMPOOL_FULL"), (68, "ENGINE_UNAVAILABLE"),
])
def test_numbers_keep_their_names_on_the_wire(code: int, name: str) -> None:
    assert name_code(code) == name


@pytest.mark.parametrize("code", [15, 69, 255])
def test_a_number_that_was_never_given_is_its_own_name(code: int) -> None:
    assert name_code(code) == str(code)
