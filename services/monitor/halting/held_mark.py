"""The mark by which a supervisor on this machine knows that workers are not to be started again.

It is a file: there while the system is shut down. Whoever starts the system anew removes it, and that ends
the shutdown.
"""

from __future__ import annotations

from pathlib import Path


class HeldMark:
    """`file` is None where no supervisor of ours runs the workers."""

    def __init__(self, file: Path | None) -> None:
        self._file = file

    @property
    def used(self) -> bool:
        return self._file is not None

    @property
    def is_set(self) -> bool:
        return self._file is not None and self._file.exists()

    def set(self) -> None:
        if self._file is not None:
            self._file.touch()

    def remove(self) -> None:
        if self._file is not None:
            self._file.unlink(missing_ok=True)
