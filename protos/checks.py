"""Checks the contracts in this folder: do they keep the rules, and does what was released still hold?

    python -m protos.checks lint      what protos/buf.yaml and protos/rules.py ask of the contracts
    python -m protos.checks breaking  nothing that protos/released.binpb promises is gone or changed
    python -m protos.checks release   makes today's contracts the promise

Faults go to standard error, one a line, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet

from protos.generate import PROTOS, compiled
from protos.promises import broken
from protos.rules import breaches

RULES = PROTOS / "buf.yaml"
RELEASED = PROTOS / "released.binpb"
ADVICE = {
    "lint": "the rules and their reasons are in protos/buf.yaml and protos/rules.py",
    "breaking": "add beside what is there, or begin a v2; `make protos-release` changes the promise itself",
}
BUF = Path(sys.executable).with_name("buf")


def lint(contracts: Path) -> list[str]:
    """What the contracts below a folder do against the rules."""
    with tempfile.TemporaryDirectory() as scratch:
        image = _image(contracts, Path(scratch) / "contracts.binpb")
        return [
            *_buf("lint", image),
            *breaches(FileDescriptorSet.FromString(image.read_bytes())),
        ]


def breaking(contracts: Path, released: Path) -> list[str]:
    """What a client of the released contracts would miss in those below a folder."""
    with tempfile.TemporaryDirectory() as scratch:
        image = _image(contracts, Path(scratch) / "contracts.binpb")
        now, before = (FileDescriptorSet.FromString(each.read_bytes()) for each in (image, released))
        return [*_buf("breaking", image, "--against", released), *broken(now, before)]


def release(contracts: Path, into: Path) -> None:
    """Writes the contracts' descriptors, without their comments."""
    compiled(contracts, "--include_imports", f"--descriptor_set_out={into}")


def _image(contracts: Path, into: Path) -> Path:
    compiled(contracts, "--include_imports", "--include_source_info", f"--descriptor_set_out={into}")
    return into


def _buf(command: str, image: Path, *options: str | Path) -> list[str]:
    ran = subprocess.run(
        [BUF, command, image, "--config", RULES, *options], capture_output=True, text=True, check=False
    )
    # 100: there are faults, on standard output. Anything else but 0: buf could not do its work.
    if ran.returncode not in {0, 100}:
        raise SystemExit(f"buf {command} failed: {ran.stderr}")
    return ran.stdout.splitlines()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["lint", "breaking", "release"])
    what = parser.parse_args().what
    if what == "release":
        release(PROTOS, RELEASED)
    elif faults := lint(PROTOS) if what == "lint" else breaking(PROTOS, RELEASED):
        sys.exit("\n".join([*faults, ADVICE[what]]))


if __name__ == "__main__":
    main()
