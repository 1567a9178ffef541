"""ONNX Runtime sends nothing to its maker, and has no thread that a fork would lack."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.models import write_graph, write_json, write_tokenizer

ROOT = Path(__file__).parents[4]
# The runtime is silent where it takes itself to be under test, and where it is told to be.
SILENT = ("CI", "TF_BUILD", "GITHUB_ACTIONS", "ORT_RUNNING_UNIT_TESTS", "ORT_DISABLE_TELEMETRY")
LOADS = """
import os, sys, threading
from pathlib import Path
import numpy, tokenizers
before = len(os.listdir("/proc/self/task"))
from services.embedder.model.graph import Engine
from services.embedder.model.onnx_model import OnnxModel
print(len(os.listdir("/proc/self/task")) - before)
from services.embedder.model.encoder import InputType
model = OnnxModel(Path(sys.argv[1]), Engine())
model.run(model.tokens(["a b"], InputType.QUERY))
"""


def test_loading_a_model_starts_no_telemetry(tmp_path: Path) -> None:
    folder, cache = tmp_path / "model", tmp_path / "cache"
    write_graph(folder / "model.onnx")
    write_tokenizer(folder)
    write_json(folder / "celeriac.json", {"pooling": "mean"})
    environment = {name: value for name, value in os.environ.items() if name not in SILENT}
    # Nowhere to send anything, should it try.
    nowhere = dict.fromkeys(("HTTPS_PROXY", "https_proxy", "ALL_PROXY"), "http://127.0.0.1:9")
    threads = subprocess.check_output(
        [sys.executable, "-c", LOADS, str(folder)],
        env={**environment, **nowhere, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(cache)},
        cwd=ROOT,
        text=True,
        timeout=60,
    )
    assert threads == "0\n", "threads that the import started"
    # Its uploader keeps the machine's identity and the events that are still to be sent there.
    assert not cache.exists()
