from abci_app.pb import tx_pb2 as _tx_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Wait(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    WAIT_NONE: _ClassVar[Wait]
    WAIT_CHECKED: _ClassVar[Wait]
    WAIT_COMMITTED: _ClassVar[Wait]
WAIT_NONE: Wait
WAIT_CHECKED: Wait
WAIT_COMMITTED: Wait

class SubmitRequest(_message.Message):
    __slots__ = ("tx", "wait", "timeout_ms")
    TX_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_MS_FIELD_NUMBER: _ClassVar[int]
    tx: bytes
    wait: Wait
    timeout_ms: int
    def __init__(self, tx: _Optional[bytes] = ..., wait: _Optional[_Union[Wait, str]] = ..., timeout_ms: _Optional[int] = ...) -> None: ...

class SubmitResponse(_message.Message):
    __slots__ = ("code", "code_name", "reason", "tx_hash", "height", "data")
    CODE_FIELD_NUMBER: _ClassVar[int]
    CODE_NAME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    TX_HASH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    code: int
    code_name: str
    reason: str
    tx_hash: bytes
    height: int
    data: bytes
    def __init__(self, code: _Optional[int] = ..., code_name: _Optional[str] = ..., reason: _Optional[str] = ..., tx_hash: _Optional[bytes] = ..., height: _Optional[int] = ..., data: _Optional[bytes] = ...) -> None: ...

class SubmitBidsRequest(_message.Message):
    __slots__ = ("bids", "wait", "timeout_ms")
    BIDS_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_MS_FIELD_NUMBER: _ClassVar[int]
    bids: _containers.RepeatedCompositeFieldContainer[_tx_pb2.Bid]
    wait: Wait
    timeout_ms: int
    def __init__(self, bids: _Optional[_Iterable[_Union[_tx_pb2.Bid, _Mapping]]] = ..., wait: _Optional[_Union[Wait, str]] = ..., timeout_ms: _Optional[int] = ...) -> None: ...

class SubmitBidsResponse(_message.Message):
    __slots__ = ("answers",)
    class Answer(_message.Message):
        __slots__ = ("code", "code_name", "reason", "tx_hash", "height")
        CODE_FIELD_NUMBER: _ClassVar[int]
        CODE_NAME_FIELD_NUMBER: _ClassVar[int]
        REASON_FIELD_NUMBER: _ClassVar[int]
        TX_HASH_FIELD_NUMBER: _ClassVar[int]
        HEIGHT_FIELD_NUMBER: _ClassVar[int]
        code: int
        code_name: str
        reason: str
        tx_hash: bytes
        height: int
        def __init__(self, code: _Optional[int] = ..., code_name: _Optional[str] = ..., reason: _Optional[str] = ..., tx_hash: _Optional[bytes] = ..., height: _Optional[int] = ...) -> None: ...
    ANSWERS_FIELD_NUMBER: _ClassVar[int]
    answers: _containers.RepeatedCompositeFieldContainer[SubmitBidsResponse.Answer]
    def __init__(self, answers: _Optional[_Iterable[_Union[SubmitBidsResponse.Answer, _Mapping]]] = ...) -> None: ...
