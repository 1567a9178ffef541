"""ONNX Runtime without its telemetry: docs/decisions/embedder-no-telemetry.md.

Import it from here: its official builds send events to their maker, unless the variable is set before the
import. A thread sends them. A fork doesn't copy threads, and a forked process waited for this one at its
end, for ever.
"""

from __future__ import annotations

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime

__all__ = ["onnxruntime"]
