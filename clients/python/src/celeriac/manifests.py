"""Applies, exports and imports schedules in files, from a terminal.

    python -m celeriac.manifests diff schedules.yaml --prune-label team=growth
    python -m celeriac.manifests apply schedules.yaml --prune-label team=growth
    python -m celeriac.manifests export --label team=growth > schedules.yaml
    python -m celeriac.manifests import dump.json --labels origin=beat --dry-run

A file named "-" is standard input. The token is read from CELERIAC_TOKEN; --server is the gateway's address,
and --ca the file of the authority that signed its certificate.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc

from celeriac.channel import connect_blocking
from celeriac.scheduler.v1 import manifests_pb2 as pb
from celeriac.scheduler.v1 import manifests_pb2_grpc

TIMEOUT_SECONDS = 120


def _difference(stub: Any, given: argparse.Namespace) -> None:
    _applied(stub, given, validate_only=True)


def _apply(stub: Any, given: argparse.Namespace) -> None:
    _applied(stub, given, validate_only=False)


def _applied(stub: Any, given: argparse.Namespace, *, validate_only: bool) -> None:
    request = pb.ApplySchedulesRequest(
        manifest=_read(given.file),
        validate_only=validate_only,
        prune_label=given.prune_label,
        etag=given.etag,
    )
    _tell(stub.ApplySchedules(request, timeout=TIMEOUT_SECONDS).difference, validate_only)


def _export(stub: Any, given: argparse.Namespace) -> None:
    request = pb.ExportSchedulesRequest(
        labels=given.label,
        task_names=given.task,
        # A bare name is what a manifest has; the full resource name is taken, too.
        queues=[f"queues/{queue.removeprefix('queues/')}" for queue in given.queue],
        format=pb.MANIFEST_FORMAT_JSON if given.json else pb.MANIFEST_FORMAT_YAML,
    )
    sys.stdout.write(stub.ExportSchedules(request, timeout=TIMEOUT_SECONDS).manifest)


def _import(stub: Any, given: argparse.Namespace) -> None:
    labels = dict(each.split("=", 1) for each in given.labels)
    request = pb.ImportSchedulesRequest(
        dump=_read(given.file), labels=labels, validate_only=given.dry_run, etag=given.etag
    )
    answer = stub.ImportSchedules(request, timeout=TIMEOUT_SECONDS)
    _tell(answer.difference, given.dry_run)
    for note in answer.not_carried:
        field = f" {note.field}" if note.field else ""
        sys.stdout.write(f"not carried over: {note.entry}:{field} {note.reason}\n")


def _tell(difference: pb.Difference, validate_only: bool) -> None:
    sys.stdout.write(difference.text)
    if validate_only:
        sys.stdout.write(f"nothing is changed yet; to make just this difference: --etag {difference.etag}\n")


def _read(file: str) -> str:
    read = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    try:
        # With or without the byte order mark that some editors on Windows write.
        return read.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        sys.exit(f"{file} is not UTF-8: byte {error.start + 1} is 0x{read[error.start]:02x}")


def _label(text: str) -> str:
    # argparse checks the default too, which is "".
    if text and "=" not in text:
        raise argparse.ArgumentTypeError(f"{text!r} is not name=value; for example: team=growth")
    return text


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="celeriac.manifests", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--server", default="127.0.0.1:8443", help="the gateway (127.0.0.1:8443)")
    parser.add_argument("--ca", default=".celeriac/ca.pem", help="who signs for it (.celeriac/ca.pem)")
    commands = parser.add_subparsers(required=True)

    def command(name: str, run: Callable[[Any, argparse.Namespace], None], told: str) -> Any:
        made = commands.add_parser(name, help=told)
        made.set_defaults(run=run)
        return made

    for name, run, told in (
        ("diff", _difference, "what a manifest would change"),
        ("apply", _apply, "make the schedules what a manifest says"),
    ):
        made = command(name, run, told)
        made.add_argument("file")
        made.add_argument(
            "--prune-label", type=_label, default="", help="remove what has it and is not in the file"
        )
        made.add_argument("--etag", default="", help="only if the difference is still the one seen")
    export = command("export", _export, "write the stored schedules")
    export.add_argument("--label", type=_label, action="append", help="may be given again: all must match")
    export.add_argument("--task", action="append", help="may be given again: one must match")
    export.add_argument("--queue", action="append", default=[], help="may be given again: one must match")
    export.add_argument("--json", action="store_true", help="as JSON, not YAML")
    taken = command("import", _import, "take over what another beat ran (celeriac.beat_dump)")
    taken.add_argument("file")
    taken.add_argument("--labels", type=_label, nargs="*", default=[])
    taken.add_argument("--dry-run", action="store_true", help="only tell what would be done")
    taken.add_argument("--etag", default="", help="only if the difference is still the one seen")
    return parser


def main() -> None:
    given = _arguments().parse_args()
    token = os.environ.get("CELERIAC_TOKEN", "")
    if not token:
        sys.exit('CELERIAC_TOKEN is not set; for example: export CELERIAC_TOKEN="$(make token)"')
    try:
        with connect_blocking(given.server, token=token, ca=given.ca) as channel:
            given.run(manifests_pb2_grpc.ManifestServiceStub(channel), given)
    except grpc.RpcError as error:
        failed: Any = error
        sys.exit(f"{failed.code().name}: {failed.details()}")
    except OSError as error:
        hint = "; --ca names the file" if error.filename == given.ca else ""
        sys.exit(f"{error.filename or 'a file'} can't be read: {error.strerror or error}{hint}")


if __name__ == "__main__":
    main()
