"""Whether each line that a process of ours writes is what docs/logs.md says: log_schema.json, line by line.

`tests/conftest.py` has it looked at, for all lines of all processes, at the end of each module.
"""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path

import jsonschema_rs

from tests.support.processes_of_logs import is_ours, is_servers_own

SCHEMA = Path(__file__).parents[2] / "services/kernel/log_schema.json"
SHOWN_CHARACTERS = 300
# What Python writes by itself, from the handler of a signal: the stacks of a process that is asked for them;
# and what the part of gRPC that is in C++ says of its connections.
OF_RUNTIMES = re.compile(
    r"[IWEF]\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ \S+:\d+\] |"
    r"(Current thread|Thread) 0x[0-9a-f]+|  File \"[^\"]+\", line \d+|  <no Python frame>|  \.\.\.$|"
    r"Stack \(most recent call first\):|Fatal Python error:|Extension modules:|  Cannot show all threads|$"
)


@functools.cache
def _validator() -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for(json.loads(SCHEMA.read_text()))


def fault_of(line: str) -> str:
    """Why it is no line of the schema; "" if it is one."""
    try:
        found = json.loads(line, parse_constant=_refuse)
    except ValueError as error:
        return f"is no JSON ({error})"
    fault = next(_validator().iter_errors(found), None)
    return "" if fault is None else f"{'/'.join(map(str, fault.instance_path))}: {fault.message}"


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON's")


def faults_in(path: Path, text: bytes) -> list[str]:
    """What is wrong with whole lines of a log, each with the line; nothing for a log that is not of ours."""
    if not is_ours(path):
        return []
    found = []
    for line in text.decode("utf-8", "replace").splitlines():
        if OF_RUNTIMES.match(line) or is_servers_own(path, line):
            continue
        if fault := fault_of(line):
            found.append(f"{path.name}: {fault[:SHOWN_CHARACTERS]} in {line[:SHOWN_CHARACTERS]}")
    return found
