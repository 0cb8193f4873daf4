"""ABI fragments and their codec: published selectors and topics, vectors, and bytes that do not fit."""

import json
from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import encode

from abci_app.evm.codec import decode_revert, known_errors, load_interface, parse_interface
from abci_app.evm.connext import (
    CONNEXT,
    Connext,
    ExecuteArgs,
    encode_execute,
    encode_xcall,
    router_balance_override,
    sequencer_override,
    transfer_info_from_args,
)
from abci_app.evm.connext_events import EVENT_NAMES, TOPICS, decode_event
from abci_app.evm.errors import DecodeFailed, EncodeFailed
from abci_app.evm.rpc import Rpc
from abci_app.evm.types import ZERO_ADDRESS, Log
from abci_app.machine.connext import compute_transfer_id, keccak
from abci_app.machine.state.records import TransferInfo
from tests.kit.contracts.connext_reads import compute_canonical_key, relayer_override

ROOT = Path(__file__).parents[3]
VECTORS = json.loads((ROOT / "tests/vectors/connext_vectors.json").read_text())
PACKAGE = ROOT / "contracts/node_modules/@connext/smart-contracts"

SELECTORS = {
    "execute": "63e3e7d2",
    "xcall(uint32,address,address,address,uint256,uint256,bytes)": "8aac16ba",
    "xcall(uint32,address,address,address,uint256,uint256,bytes,uint256)": "93f18ac5",
    "addSequencer": "8a336231",
    "removeSequencer": "6989ca7c",
    "approvedSequencers": "159e041f",
    "approvedRelayers": "8cba8b6a",
    "maxRoutersPerTransfer": "9bf6d875",
    "LIQUIDITY_FEE_NUMERATOR": "0951d6d8",
    "routerBalances": "41258b5c",
    "getRouterApproval": "1407093b",
    "transferStatus": "bfd79030",
    "routedTransfers": "1a8bc0e1",
    "paused": "5c975abb",
    "nonce": "affed0e0",
    "domain": "c2fb26a6",
    "addRouterLiquidity": "54064594",
    "addRouterLiquidityFor": "2d3f9ef6",
    "forceUpdateSlippage": "54126711",
    "forceReceiveLocal": "cb8058ba",
}
TOPIC0 = {
    "XCalled": "ed8e6ba697dd65259e5ce532ac08ff06d1a3607bcec58f8f0937fe36a5666c54",
    "Executed": "0b07a8b0b083f8976b3c832b720632f49cb8ba1e7a99e1b145f51a47d3391cb7",
    "Reconciled": "30bf44531c04b96173a40012c90db840a147cf7d50a3e160f5227f1af2faa3a0",
    "ExternalCalldataExecuted": "b1a4ab59facaedd6d3a71da3902e0a1fa5b99750c0e20cd878334378a41cb335",
    "TransferRelayerFeesIncreased": "f90d3aafcedf55a0da208dd26d915e0ce1870ee9221586012487a0b366106f65",
    "SlippageUpdated": "b243c3cea6cd1bbfd64d5d0765f13734ca7b87fdf14e017391fe12a8891434ca",
    "ForceReceiveLocal": "2510041334ede909998b9aefcca4300fc36c670dd00e1f7f0afffaca56adcb39",
    "AavePortalMintUnbacked": "2d3ba0fa5be2ef8cb1ec8920a07a6cbccc2397b18ca3e70f48ea695500b8f218",
    "AavePortalRepayment": "54b01a5ae4ec60eeeef60570103ba1a5de0999725219c02b2baf1b706625bb08",
    "RouterLiquidityAdded": "cc3100122c1752fe0f6bfa5503175bc53eb00b5f2d774e81efedcd2b10a6d24b",
    "RouterLiquidityRemoved": "facf3161e9675ca1ca84a16d238bc838c7e2084c302cf411d9da7ac0391f6486",
    "RouterAdded": "bc68405e644da2aaf25623ce2199da82c6dfd2e1de102b400eba6a091704d4f4",
    "RouterRemoved": "bee3e974bb6a6f44f20096ede047c191eef60322e65e4ee4bd3392230a8716d5",
    "MaxRoutersPerTransferUpdated": "a7fe33308fb33ae6f3259e3c7c954ae3d6cd7f428cd17f653413c2cdc691666d",
    "LiquidityFeeNumeratorUpdated": "eb6222a0b32216f861511e9aba88faa9549b749c2e0ad47df4e288565de5ceae",
    "RelayerAdded": "d756b9aee10d6f2c80dc42c5031beb0e0847f6e1d6ba50199bdfc3f0de5cc0cc",
    "RelayerRemoved": "0bdcf1d6f29aa87af8131cc81dcbb295fcf98d71cfcdc79cc5d965317bae1d0a",
    "SequencerAdded": "3860a100215fe93b6b95ed1ae0870e538f85a73b30d073f63fefc60e08b0c124",
    "SequencerRemoved": "4860b0a180d4b5969c2757493a999f05d0b22318320f154a02170aa239e24b13",
    "Paused": "9e87fac88ff661f02d44f95383c817fece4bce600a3dab7a54406878b965e752",
}


def unhex(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def transfer_info(fields: dict[str, Any]) -> TransferInfo:
    """TransferInfo of a vector: hex becomes bytes, digits become integers."""
    return transfer_info_from_args(
        {
            name: unhex(value)
            if isinstance(value, str) and value.startswith("0x")
            else (value if isinstance(value, bool) else int(value))
            for name, value in fields.items()
        }
    )


def make_log(topics: list[bytes], data: bytes) -> Log:
    return Log(ZERO_ADDRESS, tuple(topics), data, 5, bytes(32), bytes(32), 0, 3, False)


def xcalled_log(info: TransferInfo) -> Log:
    event = CONNEXT.event("XCalled")
    types = [parameter.type for parameter in event.inputs if not parameter.indexed]
    fields = tuple(getattr(info, name) for name in TransferInfo.__dataclass_fields__)
    data = encode(types, [fields, b"\x01" * 20, 5, b"\x02" * 20, b"body"])
    return make_log([event.topic0, b"\xaa" * 32, (7).to_bytes(32, "big"), b"\xbb" * 32], data)


@pytest.mark.parametrize(("name", "selector"), SELECTORS.items())
def test_selectors_are_the_published_ones(name: str, selector: str) -> None:
    assert CONNEXT.function(name).selector.hex() == selector


@pytest.mark.parametrize(("name", "topic0"), TOPIC0.items())
def test_topics_are_the_published_ones(name: str, topic0: str) -> None:
    assert TOPICS[name].hex() == topic0
    assert EVENT_NAMES[bytes.fromhex(topic0)] == name


def test_execute_calldata_is_that_of_a_real_transfer() -> None:
    vector = VECTORS["transferId"][0]
    info = transfer_info(vector["params"])
    assert compute_transfer_id(info) == unhex(vector["transferId"])
    args = ExecuteArgs(info, (), (), ZERO_ADDRESS, b"")
    assert encode_execute(args) == unhex(vector["slowPathExecuteCalldata"])
    decoded = CONNEXT.function("execute").decode_input(encode_execute(args))["args"]
    assert transfer_info_from_args(decoded["params"]) == info


@pytest.mark.parametrize("vector", VECTORS["canonicalKey"], ids=lambda vector: vector["key"][:10])
def test_canonical_keys(vector: dict[str, Any]) -> None:
    canonical_id = unhex(vector["canonical"]).rjust(32, b"\x00")
    assert compute_canonical_key(canonical_id, vector["domain"]) == unhex(vector["key"])


def test_an_event_comes_back_as_it_went_in() -> None:
    info = transfer_info(VECTORS["transferId"][0]["params"])
    event = decode_event(xcalled_log(info))
    assert event.name == "XCalled"
    assert event.arguments == {
        "transferId": b"\xaa" * 32,
        "nonce": 7,
        "messageHash": b"\xbb" * 32,
        "params": info,
        "asset": b"\x01" * 20,
        "amount": 5,
        "local": b"\x02" * 20,
        "messageBody": b"body",
    }


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda log: make_log([], log.data), id="no topics"),
        pytest.param(lambda log: make_log([bytes(32), *log.topics[1:]], log.data), id="unknown topic"),
        pytest.param(lambda log: make_log(list(log.topics[:3]), log.data), id="a topic short"),
        pytest.param(lambda log: make_log(list(log.topics), log.data[:-64]), id="data cut"),
        pytest.param(lambda log: make_log(list(log.topics), b""), id="no data"),
        pytest.param(lambda log: make_log(list(log.topics), b"\xff" * len(log.data)), id="pointers far outside"),
        pytest.param(
            lambda log: make_log(list(log.topics), log.data[:32] + b"\x01" + log.data[33:]), id="dirty address"
        ),
    ],
)
def test_a_log_that_does_not_fit_is_refused(change: Any) -> None:
    good = xcalled_log(transfer_info(VECTORS["transferId"][0]["params"]))
    decode_event(good)
    with pytest.raises(DecodeFailed):
        decode_event(change(good))


def test_many_pointers_to_one_place_are_refused() -> None:
    """Two hundred signatures, all the same megabyte; an answer has room for enough of them to fill any memory."""
    event = next(event for event in CONNEXT.events.values() if event.name == "Executed")
    copies, blob = 200, 1 << 20
    pointers = b"".join((32 * copies).to_bytes(32, "big") for _ in range(copies))
    signatures = copies.to_bytes(32, "big") + pointers + blob.to_bytes(32, "big") + bytes(blob)
    info = encode(["uint256"] * 14, [*[0] * 6, 13 * 32, *[0] * 7])
    empty = bytes(32)
    heads = encode(["uint256"] * 5, [160, 160 + len(info), 192 + len(info), 0, 192 + len(info) + len(signatures)])
    args = heads + info + empty + signatures + empty
    log = Log(
        ZERO_ADDRESS, (event.topic0, *[bytes(32)] * 3), encode(["uint256"] * 4, [128, 0, 0, 0]) + args,
        1, bytes(32), bytes(32), 0, 0, False,
    )
    with pytest.raises(DecodeFailed, match="overlap"):
        decode_event(log)


def test_an_indexed_address_with_dirt_above_it_is_refused() -> None:
    topic0 = TOPICS["RouterAdded"]
    caller = encode(["address"], [b"\x02" * 20])
    assert decode_event(make_log([topic0, b"\x00" * 12 + b"\x01" * 20], caller)).arguments["router"] == b"\x01" * 20
    with pytest.raises(DecodeFailed):
        decode_event(make_log([topic0, b"\x01" * 32], caller))


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("nonsense", ()),
        ("xcall", ()),
        ("addSequencer", ()),
        ("addSequencer", (b"\x01" * 19,)),
        ("addSequencer", (5,)),
        ("setMaxRoutersPerTransfer", (-1,)),
        ("setMaxRoutersPerTransfer", (2**256,)),
    ],
)
def test_arguments_that_do_not_fit_are_refused(name: str, arguments: tuple[Any, ...]) -> None:
    with pytest.raises(EncodeFailed):
        CONNEXT.encode(name, *arguments)


def test_xcall_refuses_a_domain_above_32_bits() -> None:
    fields: dict[str, Any] = {"to": b"\x01" * 20, "asset": b"\x02" * 20, "delegate": b"\x03" * 20}
    fields |= {"amount": 1, "slippage_bps": 0}
    assert encode_xcall(destination_domain=2**32 - 1, **fields)[:4].hex() == "8aac16ba"
    with pytest.raises(EncodeFailed):
        encode_xcall(destination_domain=2**32, **fields)


@pytest.mark.parametrize(
    ("data", "name", "arguments"),
    [
        ("7c32a2b3", "BridgeFacet__execute_unapprovedSender", ()),
        ("08c379a0" + encode(["string"], ["!allowed"]).hex(), "Error", ("!allowed",)),
        ("4e487b71" + encode(["uint256"], [0x11]).hex(), "Panic", (0x11,)),
        ("", None, ()),
        ("12345678", None, ()),
        ("08c379a0ff", None, ()),
    ],
)
def test_reverts_are_named(data: str, name: str | None, arguments: tuple[Any, ...]) -> None:
    assert decode_revert(bytes.fromhex(data)) == (name, arguments)


@pytest.mark.parametrize("name", ["AssetLogic__getConfig_notRegistered", "InboxFacet__reconcile_alreadyReconciled"])
def test_errors_that_the_facets_do_not_declare_are_known(name: str) -> None:
    assert known_errors()[keccak(f"{name}()".encode())[:4]].name == name


@pytest.mark.parametrize(("ask", "kind"), [("transfer_status", "DestinationStatus"), ("role", "Role")])
def test_a_number_that_connext_does_not_have_does_not_decode(
    monkeypatch: pytest.MonkeyPatch, ask: str, kind: str
) -> None:
    connext = Connext(Rpc("http://127.0.0.1:1"), ZERO_ADDRESS)
    monkeypatch.setattr(Rpc, "call", lambda self, to, data, **_: (9).to_bytes(32, "big"))
    with pytest.raises(DecodeFailed, match=f"{kind} 9"):
        getattr(connext, ask)(bytes(32 if ask == "transfer_status" else 20))


def test_overrides_name_the_mapping_entry() -> None:
    connext, account = b"\x01" * 20, b"\x02" * 20
    for override, slot in ((sequencer_override, 31), (relayer_override, 11)):
        key = keccak(account.rjust(32, b"\x00") + slot.to_bytes(32, "big"))
        one = "0x" + (1).to_bytes(32, "big").hex()
        assert override(connext, account) == {"0x" + connext.hex(): {"stateDiff": {"0x" + key.hex(): one}}}


def test_a_router_balance_override_names_the_entry_of_router_and_asset() -> None:
    connext, router, local = b"\x01" * 20, b"\x02" * 20, b"\x03" * 20
    inner = keccak(router.rjust(32, b"\x00") + (10).to_bytes(32, "big"))
    key = keccak(local.rjust(32, b"\x00") + inner)
    amount = "0x" + (10**24).to_bytes(32, "big").hex()
    expected = {"0x" + connext.hex(): {"stateDiff": {"0x" + key.hex(): amount}}}
    assert router_balance_override(connext, router, local, 10**24) == expected


@pytest.mark.parametrize(
    ("name", "artifacts"),
    [
        ("connext", ["core/connext/facets/*Facet.sol/*Facet.json"]),
        ("root_manager", ["messaging/RootManager.sol/RootManager.json"]),
        ("spoke_connector", ["messaging/connectors/admin/AdminSpokeConnector.sol/AdminSpokeConnector.json"]),
        ("merkle_tree_manager", ["messaging/MerkleTreeManager.sol/MerkleTreeManager.json"]),
        ("watcher_manager", ["messaging/WatcherManager.sol/WatcherManager.json"]),
        ("erc20", ["core/connext/helpers/BridgeToken.sol/BridgeToken.json"]),
        ("lp_token", ["core/connext/helpers/LPToken.sol/LPToken.json"]),
        ("diamond_init", ["core/connext/facets/upgrade-initializers/DiamondInit.sol/DiamondInit.json"]),
    ],
)
def test_fragments_say_what_the_artifacts_say(name: str, artifacts: list[str]) -> None:
    published: dict[Any, Any] = {}
    for pattern in artifacts:
        for path in (PACKAGE / "artifacts/contracts").glob(pattern):
            interface = parse_interface(json.loads(path.read_text())["abi"])
            published |= {function.signature: function for function in interface.functions.values()}
            published |= interface.events
    ours = load_interface(name)
    entries = {function.signature: function for function in ours.functions.values()} | dict(ours.events)
    assert entries
    assert {key: entry for key, entry in entries.items() if published.get(key) != entry} == {}


def test_error_fragments_stand_in_the_sources() -> None:
    sources = "\n".join(path.read_text() for path in sorted((PACKAGE / "contracts").rglob("*.sol")))
    missing = [
        error.name for error in load_interface("errors").errors.values() if f"error {error.name}(" not in sources
    ]
    assert missing == []
