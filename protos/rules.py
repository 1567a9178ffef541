"""Rules that buf does not have: what `make protos-lint` asks of the contracts beside protos/buf.yaml.

They follow Google's API improvement proposals (https://google.aip.dev), with two exceptions:

- A response has a message of its own for each method (AIP-131 answers with the resource itself), so that
  something can be added to an answer later.
- Long work is celeriac.operations.v1, not google.longrunning (AIP-151): an operation here has an owner, a
  rate and a watch.

Each rule is a function that yields the full name of an element and what is wrong with it. Its docstring is
the rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from google.protobuf.descriptor_pb2 import FileDescriptorSet

from protos.contracts import Contracts
from protos.rules_of_comments import RULES as COMMENTS
from protos.rules_of_fields import RULES as FIELDS
from protos.rules_of_methods import RULES as METHODS

Rule = Callable[[Contracts], Iterator[tuple[str, str]]]
RULES: tuple[Rule, ...] = (*COMMENTS, *FIELDS, *METHODS)


def breaches(image: FileDescriptorSet, packages: Iterable[str] = ("celeriac.",)) -> list[str]:
    """Returns what the contracts do against the rules, as "file:line:fault", in the order of the files.

    `packages`: only elements whose full names begin with one of these.
    """
    contracts = Contracts(image)
    found = []
    for rule in RULES:
        for name, fault in rule(contracts):
            if name.startswith(tuple(packages)):
                place = contracts.place(name)
                found.append((place.file, place.line, f"{name.rpartition('.v1.')[2]} {fault}"))
    return [f"{file}:{line}:{fault}" for file, line, fault in sorted(set(found))]
