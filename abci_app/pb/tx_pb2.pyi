from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Transaction(_message.Message):
    __slots__ = ("bid_bundle", "withdraw", "transfer_info")
    BID_BUNDLE_FIELD_NUMBER: _ClassVar[int]
    WITHDRAW_FIELD_NUMBER: _ClassVar[int]
    TRANSFER_INFO_FIELD_NUMBER: _ClassVar[int]
    bid_bundle: BidBundle
    withdraw: Withdraw
    transfer_info: TransferInfoSubmission
    def __init__(self, bid_bundle: _Optional[_Union[BidBundle, _Mapping]] = ..., withdraw: _Optional[_Union[Withdraw, _Mapping]] = ..., transfer_info: _Optional[_Union[TransferInfoSubmission, _Mapping]] = ...) -> None: ...

class BidBundle(_message.Message):
    __slots__ = ("bids",)
    BIDS_FIELD_NUMBER: _ClassVar[int]
    bids: _containers.RepeatedCompositeFieldContainer[Bid]
    def __init__(self, bids: _Optional[_Iterable[_Union[Bid, _Mapping]]] = ...) -> None: ...

class Bid(_message.Message):
    __slots__ = ("transfer_id", "router", "signatures")
    TRANSFER_ID_FIELD_NUMBER: _ClassVar[int]
    ROUTER_FIELD_NUMBER: _ClassVar[int]
    SIGNATURES_FIELD_NUMBER: _ClassVar[int]
    transfer_id: bytes
    router: bytes
    signatures: _containers.RepeatedCompositeFieldContainer[PathSignature]
    def __init__(self, transfer_id: _Optional[bytes] = ..., router: _Optional[bytes] = ..., signatures: _Optional[_Iterable[_Union[PathSignature, _Mapping]]] = ...) -> None: ...

class PathSignature(_message.Message):
    __slots__ = ("path_length", "signature")
    PATH_LENGTH_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    path_length: int
    signature: bytes
    def __init__(self, path_length: _Optional[int] = ..., signature: _Optional[bytes] = ...) -> None: ...

class Withdraw(_message.Message):
    __slots__ = ("transfer_id", "router", "signature")
    TRANSFER_ID_FIELD_NUMBER: _ClassVar[int]
    ROUTER_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    transfer_id: bytes
    router: bytes
    signature: bytes
    def __init__(self, transfer_id: _Optional[bytes] = ..., router: _Optional[bytes] = ..., signature: _Optional[bytes] = ...) -> None: ...

class TransferInfoSubmission(_message.Message):
    __slots__ = ("transfer_info",)
    TRANSFER_INFO_FIELD_NUMBER: _ClassVar[int]
    transfer_info: bytes
    def __init__(self, transfer_info: _Optional[bytes] = ...) -> None: ...
