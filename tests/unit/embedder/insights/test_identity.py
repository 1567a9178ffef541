"""Groups keep their identity from one analysis to the next."""

from __future__ import annotations

import numpy as np

from services.embedder.insights.identity import Known, same_groups

AXES = np.eye(8, dtype=np.float32)


def known(groups: dict[int, str]) -> Known:
    """Groups with a letter for each member, each with an axis of its own as its centroid."""
    of = {letter: group for group, letters in groups.items() for letter in letters}
    return Known(list(groups), AXES[: len(groups)], of)


def same(before: Known, *after: str, centroids: list[int] | None = None) -> dict[int, int]:
    axes = [7 - place for place in range(len(after))] if centroids is None else centroids
    return same_groups(before, [list(letters) for letters in after], AXES[axes].reshape(-1, 8))


def test_a_group_that_grew_or_shrank_is_the_same() -> None:
    assert same(known({4: "abc", 9: "defg"}), "fgde", "abxyz") == {0: 9, 1: 4}


def test_the_larger_part_of_a_split_group_goes_on() -> None:
    assert same(known({4: "abcdef"}), "ab", "cdef") == {1: 4}


def test_the_larger_of_two_joined_groups_goes_on() -> None:
    assert same(known({4: "ab", 9: "cdef"}), "abcdef") == {0: 9}


def test_a_group_with_a_few_of_anothers_members_is_new() -> None:
    assert same(known({4: "abcdefgh"}), "hijkl", "abcdefg") == {1: 4}


def test_members_that_one_analysis_did_not_know_have_no_say() -> None:
    assert same(known({4: "ab"}), "ab" + "uvwxyz" * 9) == {0: 4}


def test_without_common_members_the_centroid_tells() -> None:
    assert same(known({4: "ab", 9: "cd"}), "xy", centroids=[1]) == {0: 9}


def test_members_tell_more_than_centroids() -> None:
    assert same(known({4: "ab", 9: "cd"}), "ab", "xy", centroids=[1, 0]) == {0: 4}


def test_the_first_analysis_has_only_new_groups() -> None:
    assert same(Known([], np.zeros((0, 8), dtype=np.float32), {}), "ab") == {}
    assert same_groups(known({1: "a"}), [], np.zeros((0, 8), dtype=np.float32)) == {}
