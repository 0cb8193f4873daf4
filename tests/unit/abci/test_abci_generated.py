"""The generator in a tree of its own: what it writes imports, is typed, and is checked to the byte."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
TX = 'syntax = "proto3"; package routing.v1; message Tx { bytes body = 1; }'
SERVICE = """syntax = "proto3"; package routing.v1; import "routing/v1/tx.proto";
message Receipt { uint32 code = 1; repeated Tx txs = 2; }
service Sample { rpc Submit(Tx) returns (Receipt); rpc Watch(Receipt) returns (stream Tx); }
"""
USE = """
import grpc
from abci_app.pb import sample_pb2, sample_pb2_grpc, tx_pb2
class Sample(sample_pb2_grpc.SampleServicer):
    def Submit(self, request, context):
        return sample_pb2.Receipt(code=1, txs=[request])
assert sample_pb2_grpc.SampleStub(grpc.insecure_channel("unix:none")).Submit
assert Sample().Submit(tx_pb2.Tx(body=b"b"), None).SerializeToString() == bytes.fromhex("080112030a0162")
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of proto/ whose routing part is a small sample."""
    shutil.copytree(ROOT / "proto", tmp_path / "proto", ignore=shutil.ignore_patterns("routing", "__pycache__"))
    (tmp_path / "proto" / "routing" / "v1").mkdir(parents=True)
    (tmp_path / "proto" / "routing" / "v1" / "tx.proto").write_text(TX)
    (tmp_path / "proto" / "routing" / "v1" / "sample.proto").write_text(SERVICE)
    (tmp_path / "abci_app").mkdir()
    (tmp_path / "abci_app" / "__init__.py").write_text("")
    return tmp_path


def generate(tree: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Runs the tree's generator."""
    command = [sys.executable, "proto/generate.py", *arguments]
    return subprocess.run(command, cwd=tree, capture_output=True, text=True, timeout=100)


def test_generated_code_runs_and_any_difference_is_reported(tree: Path) -> None:
    missing = generate(tree, "--check")
    assert missing.returncode == 1 and "out of date: abci_app/pb/sample_pb2.py" in missing.stdout
    assert not (tree / "abci_app" / "pb").exists()

    assert generate(tree).returncode == 0
    assert generate(tree, "--check").returncode == 0
    for path in sorted((ROOT / "abci_app" / "abci" / "pb").glob("*.*")):
        assert (tree / "abci_app" / "abci" / "pb" / path.name).read_bytes() == path.read_bytes(), path.name
    used = subprocess.run([sys.executable, "-c", USE], cwd=tree, capture_output=True, text=True, timeout=100)
    assert used.returncode == 0, used.stderr
    stub = (tree / "abci_app" / "pb" / "sample_pb2_grpc.pyi").read_text()
    assert "Submit: _grpc.UnaryUnaryMultiCallable[tx_pb2.Tx, sample_pb2.Receipt]" in stub
    assert "Watch: _grpc.UnaryStreamMultiCallable[sample_pb2.Receipt, tx_pb2.Tx]" in stub

    with (tree / "abci_app" / "pb" / "tx_pb2.py").open("a") as generated:
        generated.write("# edited\n")
    (tree / "abci_app" / "pb" / "left_over.py").write_text("")
    (tree / "abci_app" / "abci" / "pb" / "descriptors.bin").unlink()
    stale = generate(tree, "--check")
    assert stale.returncode == 1
    for name in ("abci/pb/descriptors.bin", "pb/left_over.py", "pb/tx_pb2.py"):
        assert f"out of date: abci_app/{name}" in stale.stdout


@pytest.mark.parametrize(
    "text, reason",
    [
        ("message Broken {", "protoc failed"),
        (TX + " service S { rpc F(stream Tx) returns (Tx); }", "client streaming"),
    ],
)
def test_a_faulty_proto_file_is_refused_and_nothing_is_written(tree: Path, text: str, reason: str) -> None:
    (tree / "proto" / "routing" / "v1" / "tx.proto").write_text(text)
    (tree / "proto" / "routing" / "v1" / "sample.proto").unlink()
    failed = generate(tree)
    assert failed.returncode != 0 and reason in failed.stderr
    assert [path.name for path in (tree / "abci_app").iterdir()] == ["__init__.py"]


def test_a_wrong_argument_is_refused(tree: Path) -> None:
    failed = generate(tree, "--chekc")
    assert failed.returncode == 1 and "usage" in failed.stderr
