"""The engine's Query: one raw key of the committed state, with an ICS-23 proof where it is asked for.

Path "key", the key in ``data``; height 0 is the latest. A height's app hash stands in the header of the next one.
"""

from hashlib import sha256

from abci_app.abci import messages as pb
from abci_app.gateway.codes import AnswerCode
from abci_app.machine.state.proofs import encode_ics23, to_ics23
from abci_app.node.view import Published

PATHS = ("key", "/key")
PROOF_TYPE = "ics23:routing"


def answer_query(published: Published, request: pb.RequestQuery) -> pb.ResponseQuery:
    """Return the value, or code NOT_FOUND for another path and a height that is not kept (any more, or yet)."""
    if request.path not in PATHS:
        return refuse(f"no path {request.path!r}; there is: key")
    committed = published.at(request.height) if request.height else published.latest()
    if committed is None:
        return refuse(f"the state of height {request.height} is not kept")
    key = bytes(request.data)
    value = committed.view.get(key)
    response = pb.ResponseQuery(key=key, value=value or b"", height=committed.height)
    if value is None:
        response.log = "does not exist"
    if request.prove:
        proof = encode_ics23(to_ics23(committed.tree.prove(key), committed.view.get))
        response.proof_ops.ops.add(type=PROOF_TYPE, key=sha256(key).digest(), data=proof)
    return response


def refuse(reason: str) -> pb.ResponseQuery:
    """Return an error answer with code NOT_FOUND."""
    return pb.ResponseQuery(code=AnswerCode.NOT_FOUND, log=reason, codespace="routing")
