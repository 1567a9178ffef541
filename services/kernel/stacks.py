"""Where a process stands: on SIGUSR1 it writes the stack of each of its threads to its standard error.

Celery's workers do the same, by Python code of their own; this is written by the handler of the signal
itself, so also where a thread of a library in C holds Python's lock and does not come back. `make up` asks
so of a process that does not become ready, and of one that does not end, before it is killed.
"""

from __future__ import annotations

import faulthandler
import signal

ASKED_BY = signal.SIGUSR1


def tell_when_asked() -> None:
    """From now on SIGUSR1 has the stacks written; the process goes on as before."""
    faulthandler.register(ASKED_BY, all_threads=True)
