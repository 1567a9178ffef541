"""What the commands import: a worker starts without what only the service needs."""

from __future__ import annotations

import subprocess
import sys

IMPORTED = """
import sys
import services.embedder.commands
print(*(name for name in sys.modules if name.startswith("services.embedder.")))
"""


def test_a_worker_imports_no_servicers() -> None:
    imported = subprocess.check_output([sys.executable, "-c", IMPORTED], text=True).split()
    assert "services.embedder.bulk.worker" in imported
    assert not [
        name for name in imported if name.startswith(("services.embedder.api", "services.embedder.serving"))
    ]
