"""The Merkle tree of RFC 6962, section 2.1: leaf and node hashes, and the root of a growing log.

A log of n leaves is held as its *frontier*: the roots of the perfect subtrees whose sizes are the binary
digits of n, largest first. Appending is O(log n), and the root is a fold over the frontier.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(entry: bytes) -> bytes:
    """SHA-256(0x00 || entry): 32 bytes."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right): 32 bytes."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """The size and frontier of a log."""

    def __init__(self, size: int = 0, frontier: Sequence[bytes] = ()) -> None:
        if size < 0 or len(frontier) != size.bit_count():
            raise ValueError(f"a tree of {size} leaves has {size.bit_count()} perfect subtrees")
        if any(len(node) != HASH_BYTES for node in frontier):
            # Moving bytes between neighbouring nodes would leave the root unchanged, but change later roots.
            raise ValueError(f"a perfect subtree's root has {HASH_BYTES} bytes")
        self.size = size
        self._frontier = list(frontier)

    @property
    def frontier(self) -> tuple[bytes, ...]:
        return tuple(self._frontier)

    def append(self, leaf: bytes) -> None:
        """Adds a leaf hash. Two subtrees of the same size are merged into one of twice that size."""
        node, carry = leaf, self.size
        while carry & 1:
            node = node_hash(self._frontier.pop(), node)
            carry >>= 1
        self._frontier.append(node)
        self.size += 1

    def extend(self, leaves: Iterable[bytes]) -> None:
        for leaf in leaves:
            self.append(leaf)

    def root(self) -> bytes:
        """Returns MTH(D[n]) of RFC 6962: 32 bytes."""
        if not self._frontier:
            return EMPTY_ROOT
        *larger, root = self._frontier
        for left in reversed(larger):
            root = node_hash(left, root)
        return root
