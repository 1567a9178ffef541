"""Contracts made for tests, compiled from their text."""

from __future__ import annotations

import tempfile
from importlib.resources import files
from pathlib import Path

from google.api import annotations_pb2
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc

from protos.generate import PROTOS


def compiled_contract(path: str, source: str) -> FileDescriptor:
    """Compiles the text as the file `path` ("celeriac/probe/v1/probe.proto") into the pool of this process.

    It may import Celeriac's contracts, and Google's, of which the process must have loaded the modules.
    """
    with tempfile.TemporaryDirectory() as scratch:
        file, image = Path(scratch) / path, Path(scratch) / "contracts.binpb"
        file.parent.mkdir(parents=True)
        file.write_text(source)
        folders = [scratch, PROTOS, files("grpc_tools") / "_proto", Path(annotations_pb2.__file__).parents[2]]
        failed = protoc.main(
            ["protoc", *(f"-I{folder}" for folder in folders), f"--descriptor_set_out={image}", path]
        )
        assert not failed, "protoc refused the contract, see above"
        [compiled] = FileDescriptorSet.FromString(image.read_bytes()).file
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(compiled.SerializeToString())
    return pool.FindFileByName(path)
