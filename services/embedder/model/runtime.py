"""ONNX Runtime without its telemetry: docs/decisions/embedder-no-telemetry.md.

Import it only from here. Its official builds send events to the vendor unless the variable is set before the
import. They are sent by a thread, which a fork does not copy: a forked process waited for it at its end, for
ever.
"""

from __future__ import annotations

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime

__all__ = ["onnxruntime"]
