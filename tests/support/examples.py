"""How many examples Hypothesis tries of a property: a sixth by `make test`, all by `make soak`.

Most faults show in the first few dozen. What is rare is left to the long run, which tries others each time.
"""

from __future__ import annotations

import os

from hypothesis import settings

FEW = 6
IN_FULL = os.environ.get("CELERIAC_TEST_EXAMPLES") == "full"


def examples(count: int) -> int:
    """How many are tried now of a property that is worth so many."""
    return count if IN_FULL else count // FEW


def tried(count: int) -> settings:
    """The decorator of a property's test that is worth another number than Hypothesis's own hundred."""
    return settings(max_examples=examples(count))
