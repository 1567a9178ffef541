"""The tree of RFC 6962, against its test vectors and its own definition."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.audit.merkle import EMPTY_ROOT, Tree, leaf_hash, node_hash

# Inputs and roots of the Certificate Transparency reference implementation's tests.
INPUTS = [
    bytes.fromhex(entry)
    for entry in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def root_by_definition(entries: list[bytes]) -> bytes:
    """MTH of RFC 6962, section 2.1, as it is written there."""
    if not entries:
        return hashlib.sha256().digest()
    if len(entries) == 1:
        return leaf_hash(entries[0])
    split = 1
    while split * 2 < len(entries):
        split *= 2
    return node_hash(root_by_definition(entries[:split]), root_by_definition(entries[split:]))


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_are_those_of_the_reference_implementation(size: int) -> None:
    tree = Tree()
    tree.extend(map(leaf_hash, INPUTS[:size]))
    assert tree.root().hex() == ROOTS[size - 1]


def test_the_empty_tree_has_the_hash_of_nothing() -> None:
    assert Tree().root() == EMPTY_ROOT == hashlib.sha256().digest()


@given(st.lists(st.binary(max_size=8), max_size=70), st.integers(0, 70))
def test_a_tree_continued_from_its_frontier_is_the_tree_of_all_entries(
    entries: list[bytes], cut: int
) -> None:
    first = Tree()
    first.extend(map(leaf_hash, entries[:cut]))
    second = Tree(first.size, first.frontier)
    second.extend(map(leaf_hash, entries[cut:]))
    assert second.size == len(entries)
    assert second.root() == root_by_definition(entries)


def test_a_frontier_that_does_not_fit_its_size_is_refused() -> None:
    with pytest.raises(ValueError, match="2 perfect subtrees"):
        Tree(6, [b"x" * 32])


def test_a_frontier_with_bytes_moved_between_its_nodes_is_refused() -> None:
    """It has the same root, as only the bytes together are hashed, and would grow into another tree."""
    tree = Tree()
    tree.extend(map(leaf_hash, INPUTS[:3]))
    left, right = tree.frontier
    assert node_hash(left[:-1], left[-1:] + right) == tree.root()
    with pytest.raises(ValueError, match="32 bytes"):
        Tree(3, [left[:-1], left[-1:] + right])


def test_a_tree_of_fewer_than_no_leaves_is_refused() -> None:
    with pytest.raises(ValueError, match="-1 leaves"):
        Tree(-1, [b"x" * 32])
