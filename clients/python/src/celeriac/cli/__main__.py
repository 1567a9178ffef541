"""Starts the command, and turns each error into three lines and an exit code.

0 done, 1 failed, 2 used wrongly, 3 not found, 4 denied or signed out, 5 unavailable or too slow, 6 conflict
(it was changed meanwhile), 7 partly done, 130 interrupted.
"""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Runs the command, and ends the process with its exit code."""
    # What grpc writes to standard error by itself is for its developers.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    try:
        import click  # noqa: F401
    except ModuleNotFoundError:
        sys.exit("error: the command needs click and rich\nnext:  pip install 'celeriac[cli]'")
    from celeriac.cli.run import run

    code = run(sys.argv[1:])
    sys.stderr.flush()
    # Python's own end takes a fifth of the time: it takes grpc's modules and threads apart one by one.
    os._exit(code)


if __name__ == "__main__":
    main()
