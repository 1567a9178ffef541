"""The generated files of clients/typescript.

src/stubs/celeriac/…, src/stubs/google/…   messages and services, as connect-es takes them
src/contracts/…                            the interfaces that callers see
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from protos import typescript
from protos.described import Contracts
from protos.node import CLIENT, environment, installed_packages

GENERATED = CLIENT / "src/stubs", CLIENT / "src/contracts"
# What the contracts import, and the details of errors. Those of google.protobuf come with @bufbuild/protobuf.
GOOGLE = (
    "google/api/annotations.proto",
    "google/api/client.proto",
    "google/api/field_behavior.proto",
    "google/api/http.proto",
    "google/api/launch_stage.proto",
    "google/api/resource.proto",
    "google/rpc/error_details.proto",
    "google/type/latlng.proto",
)


def generate(into: Path, contracts: Contracts, compiled: Callable[..., None]) -> dict[Path, Path]:
    """Writes all files below `into`; gives them, keyed by where they belong. Raises NoNode.

    `compiled` runs protoc with outputs, and with more contracts than our own.
    """
    stubs, interfaces = into / "stubs", into / "contracts"
    stubs.mkdir(parents=True)
    # protoc starts the plugin, which asks the PATH for node.
    os.environ["PATH"] = environment()["PATH"]
    compiled(
        f"--plugin=protoc-gen-es={installed_packages() / '.bin/protoc-gen-es'}",
        f"--es_out={stubs}",
        "--es_opt=target=ts,import_extension=js",
        *GOOGLE,
    )
    for path, text in typescript.modules(contracts).items():
        (interfaces / path).parent.mkdir(parents=True, exist_ok=True)
        (interfaces / path).write_text(text)
    return {CLIENT / "src" / file.relative_to(into): file for file in into.rglob("*.ts")}


def committed() -> set[Path]:
    return {file for folder in GENERATED for file in folder.rglob("*.ts")}
