"""Two test runs, or two workers of one, are never given the same port."""

from __future__ import annotations

import subprocess
import sys

from tests.support import ports
from tests.support.ports import free_port, free_ports
from tests.support.processes import ROOT

ASK = """
import sys
from tests.support import ports
first, count = map(int, sys.argv[1:])
print(ports.reserved(first, count))
"""


def another_run_can_have(first: int, count: int = 1) -> bool:
    answer = subprocess.check_output(
        [sys.executable, "-c", ASK, str(first), str(count)], cwd=ROOT, text=True, timeout=60
    )
    return answer == "True\n"


def test_a_port_that_was_given_is_given_to_nobody_else_while_the_process_lives() -> None:
    given = [free_port() for _ in range(50)]
    assert len(set(given)) == len(given)
    assert another_run_can_have(ports.LAST + 1)
    assert not another_run_can_have(given[0])
    assert not another_run_can_have(free_ports(5) + 4)
