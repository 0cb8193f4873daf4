"""Typed classes of all ABCI 2.0 messages: RequestFinalizeBlock, ResponseFinalizeBlock, ExtendedCommitInfo, …

The classes come from a private descriptor pool, so that another package's tendermint/abci/types.proto in the same
process can neither clash with them nor replace them (ADR 0001). A message of this pool is not an instance of the same
message of another pool: copy through bytes, or field by field. The fields are in pb/messages.pyi.
"""

from abci_app.abci.pb.messages import *  # noqa: F403
from abci_app.abci.pb.messages import __all__ as __all__
