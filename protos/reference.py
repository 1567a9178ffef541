"""The reference of the contracts in Markdown, written from their descriptors: docs/reference.

A page for each package: its services with their methods, then the messages and enums that they use. The pages
are read in the repository, so they are plain Markdown: headings, tables, links.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from google.protobuf.descriptor import FileDescriptor

from protos.described import Contracts
from protos.markdown import table, text
from protos.reference_page import MARK, Page, full_title, method_row, page_name, services_in

INTRODUCTION = """\
Every method, message and enum of Celeriac's contracts, by package. How to connect, get a token and read
errors is in [gateway.md](../gateway.md). What the words mean is in the [glossary](../glossary.md).

How to read the pages:

- **gRPC**: the path of the call, `celeriac.scheduler.v1.ScheduleService/GetSchedule`.
- **REST**: what is in braces is a part of a resource name. With GET and DELETE the other fields of the
  request are query parameters (`?page_size=10&prefixes=a.&prefixes=b.`). With POST they are the JSON body.
  With PATCH the body is the resource itself, and the other fields (`update_mask`) are query parameters. A
  list is given by repeating its parameter. A method without a REST path is called by gRPC alone.
- **JSON** has the names of fields as they are here. A 64-bit number is a text ("9007199254740993"), an enum
  is its name, a Timestamp is "2026-11-24T09:00:00Z", a Duration is "90s" or "0.5s", bytes are base64. Answers
  also have numbers that are 0, texts and lists that are empty, and false. A message that is not set is left
  out.
- **Role**: the least role whose token may call the method: viewer, admin, super_admin, in rising order. The
  role writer stands beside them, and may call only the methods that name it, and the public ones. "none"
  stands for methods that need no token, "service" for those that services call by their certificate.
- **Recorded in the audit log**: each call is, with who made it and how it ended.
- **Fields**: a *required* field must be set. An *output only* field is set by the server, which ignores it in
  requests. The *identifier* is the name of a resource, which never changes.
- **Numbers**: 0 means unset, except where the field says what 0 does. A larger `page_size` than allowed is
  cut to the largest; any other number out of its bounds is INVALID_ARGUMENT.
"""


def pages(contracts: Contracts) -> dict[str, str]:
    """The text of each page of the reference, by its name: "README.md", "celeriac.audit.v1.md"."""
    found = {"README.md": _index(contracts)}
    for package, files in _packages(contracts):
        lines = Page(contracts, package, files).lines()
        found[page_name(package)] = "\n".join(lines).rstrip() + "\n"
    return found


def _packages(contracts: Contracts) -> Iterator[tuple[str, list[FileDescriptor]]]:
    for package, files in groupby(contracts.files, lambda file: file.package):
        yield package, list(files)


def _index(contracts: Contracts) -> str:
    lines = [MARK, "", "# Reference", "", INTRODUCTION]
    for package, files in _packages(contracts):
        lines += [f"## [{package}]({page_name(package)})", ""]
        for file in files:
            first, _, _ = text(contracts.comment(file)).partition("\n\n")
            lines.append(f"- `{file.name.rpartition('/')[2]}`: {first}")
        lines.append("")
        methods = [method for service in services_in(files) for method in service.methods]
        if methods:
            rows = [method_row(contracts, method, full_title(method), package) for method in methods]
            lines += [*table(("method", "REST", "role"), rows), ""]
    return "\n".join(lines).rstrip() + "\n"
