"""Writes the list of error reasons in docs/gateway.md from celeriac/errors/v1/error_reason.proto.

python -m protos.reasons          writes the list
python -m protos.reasons --check  writes nothing; the exit code is 1 when the list is not the contract's
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet

from protos.generate import PROTOS, compiled

CONTRACT = "celeriac/errors/v1/error_reason.proto"
ENUM, PREFIX = "ErrorReason", "ERROR_REASON_"
PAGE = PROTOS.parent / "docs/gateway.md"
BEGIN = f"<!-- reasons: written by `make protos` from protos/{CONTRACT}; change them there -->\n"
END = "<!-- end of reasons -->\n"
# The number of FileDescriptorProto.enum_type and of EnumDescriptorProto.value: a comment's path has them.
ENUM_TYPE, VALUE = 5, 2


@dataclass(frozen=True)
class Reason:
    """One value of the enum: its name without the prefix, and the two parts of its comment."""

    name: str
    # The gRPC status code: "UNAUTHENTICATED".
    code: str
    # What happened, and what to do.
    text: str


def reasons(contracts: Path = PROTOS) -> list[Reason]:
    """Returns the reasons of the contracts below a folder, in their order, without the value 0.

    Raises ValueError for a value whose comment does not begin with a status code.
    """
    with tempfile.TemporaryDirectory() as scratch:
        image = Path(scratch) / "contracts.binpb"
        compiled(contracts, "--include_source_info", f"--descriptor_set_out={image}")
        files = FileDescriptorSet.FromString(image.read_bytes()).file
    [file] = [file for file in files if file.name == CONTRACT]
    [at] = [at for at, enum in enumerate(file.enum_type) if enum.name == ENUM]
    comments = {tuple(place.path): place.leading_comments for place in file.source_code_info.location}
    return [
        _reason(value.name, comments.get((ENUM_TYPE, at, VALUE, number), ""))
        for number, value in enumerate(file.enum_type[at].value)
        if value.number
    ]


def _reason(name: str, comment: str) -> Reason:
    found = re.fullmatch(r"([A-Z_]+): (.+)", " ".join(comment.split()))
    if not found:
        raise ValueError(
            f"{name}: its comment must begin with a status code; for example: // NOT_FOUND: There …"
        )
    return Reason(name.removeprefix(PREFIX), found[1], found[2])


def table(found: list[Reason]) -> str:
    """Returns the reasons as a table in Markdown."""
    rows = "".join(f"| `{reason.name}` | {reason.code} | {reason.text} |\n" for reason in found)
    return f"| reason | gRPC code | what happened, and what to do |\n|---|---|---|\n{rows}"


def with_table(page: str, found: list[Reason]) -> str:
    """Returns the page with the reasons between its two marks; raises ValueError if it lacks the marks."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page lacks the lines {BEGIN!r} and {END!r}")
    return f"{before}{BEGIN}{table(found)}{END}{after}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="write nothing, compare")
    check = parser.parse_args().check
    page = PAGE.read_text()
    written = with_table(page, reasons())
    if not check:
        PAGE.write_text(written)
    elif page != written:
        sys.exit(f"{PAGE.name}: its list of reasons is not that of {CONTRACT} (run `make protos`)")


if __name__ == "__main__":
    main()
