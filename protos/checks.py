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

from google.api import annotations_pb2
from google.api.http_pb2 import HttpRule
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from protos.generate import PROTOS, compiled
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
        return [*_buf("breaking", image, "--against", released), *_lost_paths(image, released)]


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


def _lost_paths(image: Path, released: Path) -> list[str]:
    """REST paths are a promise too, and options are what buf does not compare."""
    now = _paths(image)
    return [
        f"{method}: its path was {' '.join(path)} and must stay"
        for method, paths in _paths(released).items()
        if method in now  # buf tells of methods that are gone
        for path in sorted(paths - now[method])
    ]


def _paths(image: Path) -> dict[str, set[tuple[str, str, str]]]:
    """Verb, path and body of every binding, by the method's full name."""
    return {
        f"{file.package}.{service.name}.{method.name}": _bindings(
            method.options.Extensions[annotations_pb2.http]
        )
        for file in FileDescriptorSet.FromString(image.read_bytes()).file
        for service in file.service
        for method in service.method
    }


def _bindings(rule: HttpRule) -> set[tuple[str, str, str]]:
    verb = rule.WhichOneof("pattern")
    if verb is None:
        return set()
    more = [_bindings(binding) for binding in rule.additional_bindings]
    return {(verb.upper(), getattr(rule, verb), rule.body)}.union(*more)


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
