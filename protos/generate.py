"""Generates the Python stubs in clients/python from the contracts in this folder.

Run it by `make protos`, which gives it the pinned toolchain of toolchain.txt. With `--check` nothing is
written: the exit code is 1 when the committed stubs are not what the contracts generate.
"""

from __future__ import annotations

import argparse
import filecmp
import shutil
import sys
import tempfile
from importlib.resources import files
from pathlib import Path

from google.api import annotations_pb2
from grpc_tools import protoc

PROTOS = Path(__file__).parent
STUBS = PROTOS.parent / "clients/python/src"


def compiled(contracts: Path, *outputs: str) -> None:
    """Has protoc write these outputs of every contract below a folder."""
    failed = protoc.main(
        [
            "protoc",
            f"-I{contracts}",
            f"-I{files('grpc_tools') / '_proto'}",
            # google/api and google/rpc, as googleapis-common-protos ships them.
            f"-I{Path(annotations_pb2.__file__).parents[2]}",
            *outputs,
            *sorted(str(path.relative_to(contracts)) for path in (contracts / "celeriac").rglob("*.proto")),
        ]
    )
    if failed:
        raise SystemExit("protoc refused the contracts, see above")


def generate(into: Path) -> None:
    """Writes messages (.py, .pyi) and services (.py, .pyi) of every contract below `into`."""
    compiled(
        PROTOS,
        f"--python_out={into}",
        f"--pyi_out={into}",
        f"--grpc_python_out={into}",
        f"--mypy_grpc_out=quiet:{into}",
    )
    for folder in {path.parent for path in into.rglob("*_pb2.py")}:
        while folder != into / "celeriac":
            (folder / "__init__.py").touch()
            folder = folder.parent


def generated_areas(root: Path) -> dict[Path, Path]:
    """Every file below the generated areas of `root`, keyed by its path relative to `root`."""
    return {
        path.relative_to(root): path
        for path in (root / "celeriac").rglob("*")
        if path.is_file() and path.suffix in {".py", ".pyi"} and "__pycache__" not in path.parts
        if len(path.relative_to(root / "celeriac").parts) > 2
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, compare")
    check = parser.parse_args().check
    with tempfile.TemporaryDirectory() as scratch:
        fresh_root = Path(scratch)
        generate(fresh_root)
        fresh, committed = generated_areas(fresh_root), generated_areas(STUBS)
        stale = sorted(
            str(path)
            for path in fresh.keys() | committed.keys()
            if path not in fresh
            or path not in committed
            or not filecmp.cmp(fresh[path], committed[path], shallow=False)
        )
        if check:
            if stale:
                sys.exit("stubs differ from the contracts (run `make protos`):\n  " + "\n  ".join(stale))
            return
        for path in committed.keys() - fresh.keys():
            (STUBS / path).unlink()
        for path in fresh:
            (STUBS / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(fresh[path], STUBS / path)
            (STUBS / path.parts[0] / path.parts[1] / "__init__.py").touch()
    print(f"{len(fresh)} files generated, {len(stale)} of them changed")


if __name__ == "__main__":
    main()
