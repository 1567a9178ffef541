"""A graph in a session of ONNX Runtime: what it is fed, and which of its outputs is read.

Inputs are `input_ids`, and perhaps `attention_mask`, `token_type_ids` and `position_ids`, of int64 or int32.
Padding is on the right, so positions count from 0. Outputs may be of any float type; bfloat16, for which
numpy has no type, is read as the upper half of float32.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.embedder.model.files import WrongModel
from services.embedder.model.runtime import RUNTIME_ERRORS, onnxruntime

INPUTS = ("input_ids", "attention_mask", "token_type_ids", "position_ids")
INTEGERS = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}
BFLOAT16 = "tensor(bfloat16)"
CPU = "CPUExecutionProvider"

Floats = NDArray[np.float32]
Mask = NDArray[np.int64]


@dataclass(frozen=True)
class Engine:
    """How the graph is run: execution providers in order of preference, and threads of one batch."""

    providers: Sequence[str] = (CPU,)
    threads: int = 1


class Graph:
    """`outputs`: the rank of each, by its name. Its methods may be called from any thread."""

    def __init__(self, path: Path, engine: Engine) -> None:
        """Raises WrongModel."""
        self._session = session_of(path, engine)
        self.providers: Sequence[str] = self._session.get_providers()
        self._types = {given.name: given.type for given in self._session.get_inputs()}
        unknown = [name for name in self._types if name not in INPUTS]
        if unknown or INPUTS[0] not in self._types:
            raise WrongModel(f"expected the graph's inputs to be of {INPUTS}, found {list(self._types)}")
        for name, kind in self._types.items():
            if kind not in INTEGERS:
                raise WrongModel(f"expected the input {name!r} to be of int64 or int32, found {kind}")
        self._kinds = {output.name: output.type for output in self._session.get_outputs()}
        self.outputs = {output.name: len(output.shape) for output in self._session.get_outputs()}

    @property
    def inputs(self) -> Sequence[str]:
        return list(self._types)

    def run(self, ids: Mask, mask: Mask, output: str) -> Floats:
        """Returns the output for token ids and their mask (1 for a token, 0 for padding), of one shape.

        Raises RUNTIME_ERRORS.
        """
        every = {
            "input_ids": ids,
            "attention_mask": mask,
            "token_type_ids": np.zeros_like(ids),
            "position_ids": np.broadcast_to(np.arange(ids.shape[1], dtype=np.int64), ids.shape),
        }
        given = {
            name: np.ascontiguousarray(every[name], dtype=INTEGERS[kind])
            for name, kind in self._types.items()
        }
        if self._kinds[output] == BFLOAT16:
            return self._read_bfloat16(given, output)
        [found] = self._session.run([output], given)
        return np.asarray(found, dtype=np.float32)

    def _read_bfloat16(self, given: dict[str, NDArray[np.generic]], output: str) -> Floats:
        values = {name: onnxruntime.OrtValue.ortvalue_from_numpy(array) for name, array in given.items()}
        [found] = self._session.run_with_ort_values([output], values)
        shape = found.shape()
        memory = (ctypes.c_uint16 * int(np.prod(shape))).from_address(found.data_ptr())
        upper = np.ctypeslib.as_array(memory).astype(np.uint32) << 16
        return upper.view(np.float32).reshape(shape)


def session_of(path: Path, engine: Engine) -> onnxruntime.InferenceSession:
    """Opens the graph with the providers of the engine. Raises WrongModel."""
    available = onnxruntime.get_available_providers()
    missing = [name for name in engine.providers if name not in available]
    if missing:
        raise WrongModel(f"expected the execution providers {missing}, found {available} installed")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = engine.threads
    options.inter_op_num_threads = 1
    # Other processes share the cores: a thread that waits must sleep.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Batches have many shapes, and the runtime would keep a memory plan for each of them for ever.
    options.enable_mem_pattern = False
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=list(engine.providers))
    except RUNTIME_ERRORS as error:
        raise WrongModel(f"expected an ONNX graph in {path.name}, found {str(error)[:500]}") from None
    refuse_fallback(engine.providers, session.get_providers())
    return session


def refuse_fallback(wanted: Sequence[str], loaded: Sequence[str]) -> None:
    """Raises WrongModel if a provider was not loaded.

    ONNX Runtime goes on without one that fails, and says so only in its own log.
    """
    failed = [name for name in wanted if name not in loaded]
    if failed:
        raise WrongModel(
            f"expected the execution providers {list(wanted)} to load, found only {list(loaded)}: a library"
            " or a driver that they need is missing; CELERIAC_PROVIDER=cpu runs the model without them"
        )
