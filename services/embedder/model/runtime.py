"""ONNX Runtime without its telemetry: docs/decisions/embedder-no-telemetry.md.

Import it only from here. Its official builds send events to the vendor unless the variable is set before the
import. They are sent by a thread, which a fork does not copy: a forked process waited for it at its end, for
ever.
"""

from __future__ import annotations

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as _state

# What the runtime itself raises. Its classes have no common base but Exception.
RUNTIME_ERRORS: tuple[type[Exception], ...] = tuple(
    kind for kind in vars(_state).values() if isinstance(kind, type) and issubclass(kind, Exception)
)

__all__ = ["RUNTIME_ERRORS", "onnxruntime"]
