"""The search index: exact where it is small, nearly so where it is large, saved, and made anew if damaged."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from services.embedder.messages.messages import MessageFilter, Role
from services.embedder.search import part, saved
from services.embedder.search.index import VectorIndex
from services.embedder.search.marks import MARK, Marks, mark
from services.embedder.search.part import EXACT
from services.embedder.search.saved import IndexFolder

BEGIN = dt.datetime(2026, 11, 30, tzinfo=dt.UTC)
COUNT = EXACT + 2_000
MODEL = "a@1"
ANY = MessageFilter()


@cache
def vectors() -> NDArray[np.float32]:
    """Unit vectors in groups, as texts are, with 64 numbers that are not 0: float32 [COUNT, 1024]."""
    random = np.random.default_rng(7)
    groups = random.standard_normal((50, 64))
    made = np.zeros((COUNT, 1024), dtype=np.float32)
    made[:, :64] = groups[random.integers(0, 50, COUNT)] + random.standard_normal((COUNT, 64))
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    return made


def marks(numbers: Sequence[int] | range) -> Marks:
    """Every third is an assistant's, every hundredth is of the conversation "c1", and each a second later."""
    rows = [
        mark(n, 1, "user" if n % 3 else "assistant", f"c{n % 100}", BEGIN + dt.timedelta(seconds=n))
        for n in numbers
    ]
    return np.array(rows, dtype=MARK)


def nearest(query: NDArray[np.float32], k: int, among: Sequence[int] | range) -> list[int]:
    """Returns the numbers of the nearest, compared one by one."""
    scores = vectors()[list(among)] @ query
    return [among[row] for row in np.argsort(-scores, kind="stable")[:k]]


def numbers(index: VectorIndex, query: NDArray[np.float32], k: int, wanted: MessageFilter = ANY) -> list[int]:
    return [write for write, _ in index.nearest(query, k, wanted)]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a saved index of all vectors."""
    root = tmp_path_factory.mktemp("index")
    index = VectorIndex(IndexFolder(root, MODEL))
    index.add(marks(range(COUNT)), vectors())
    assert index.wants_building
    index.build()
    yield root


def folder_in(root: Path) -> Path:
    [folder] = [each for model in root.iterdir() for each in model.iterdir()]
    return folder


def test_a_score_is_never_more_than_1() -> None:
    # As vectors come from a model: of length 1 but for the rounding.
    many = vectors()[:2_000] * np.float32(1.0000002)
    index = VectorIndex(IndexFolder(None, MODEL))
    index.add(marks(range(2_000)), many)
    scores = [index.nearest(vector, 1, ANY)[0][1] for vector in many[:200]]
    assert max(scores) == 1.0
    assert min(index.nearest(-many[0], 2_000, ANY), key=lambda hit: hit[1])[1] == -1.0


def test_a_small_index_finds_exactly_the_nearest_within_each_filter() -> None:
    index = VectorIndex(IndexFolder(None, MODEL))
    index.add(marks(range(1_000)), vectors()[:1_000])
    query = vectors()[5]
    assert numbers(index, query, 20) == nearest(query, 20, range(1_000))
    assistant = MessageFilter(roles=frozenset({Role.ASSISTANT}))
    assert numbers(index, query, 20, assistant) == nearest(query, 20, range(0, 1_000, 3))
    assert numbers(index, query, 20, MessageFilter(conversation="c1")) == nearest(
        query, 10, range(1, 1_000, 100)
    )
    start, end = BEGIN + dt.timedelta(seconds=300), BEGIN + dt.timedelta(seconds=310)
    assert sorted(numbers(index, query, 20, MessageFilter(start=start, end=end))) == list(range(300, 310))
    assert numbers(
        index, query, 5, MessageFilter(conversation="c1", roles=frozenset({Role.USER}))
    ) == nearest(query, 5, [n for n in range(1, 1_000, 100) if n % 3])


def test_a_large_index_finds_nearly_all_of_the_nearest_with_their_exact_scores(root: Path) -> None:
    index = VectorIndex(IndexFolder(root, MODEL))
    found = 0
    for row in range(0, 2_000, 20):
        hits = index.nearest(vectors()[row], 10, ANY)
        found += len({write for write, _ in hits} & set(nearest(vectors()[row], 10, range(COUNT))))
        for write, score in hits:
            assert score == pytest.approx(float(vectors()[write] @ vectors()[row]), abs=1e-5)
    assert found >= 0.97 * 10 * 100


@pytest.mark.parametrize(
    "wanted", [MessageFilter(conversation="c1"), MessageFilter(roles=frozenset({Role.USER}))]
)
def test_a_filter_of_a_large_index_gives_as_many_as_are_asked_for(root: Path, wanted: MessageFilter) -> None:
    index = VectorIndex(IndexFolder(root, MODEL))
    among = [n for n in range(COUNT) if (n % 3 if wanted.roles else n % 100 == 1)]
    hits = numbers(index, vectors()[1], 100, wanted)
    # So few are left that they are compared, whatever the index has.
    assert hits == nearest(vectors()[1], 100, among)


def test_a_wide_filter_still_searches_by_lists(root: Path) -> None:
    index = VectorIndex(IndexFolder(root, MODEL))
    wanted = MessageFilter(start=BEGIN + dt.timedelta(seconds=1_000))
    hits = numbers(index, vectors()[1_500], 1_000, wanted)
    assert len(hits) == 1_000
    assert min(hits) >= 1_000
    assert len(set(hits) & set(nearest(vectors()[1_500], 1_000, range(1_000, COUNT)))) >= 950


def test_what_is_removed_is_not_found_and_forgotten_by_the_next_build(tmp_path: Path) -> None:
    index = VectorIndex(IndexFolder(tmp_path, MODEL))
    index.add(marks(range(COUNT)), vectors())
    index.build()
    index.remove([5, 7])
    assert index.removed == 2
    assert not {5, 7} & set(numbers(index, vectors()[5], 50))
    index.build()
    assert index.removed == 0
    kept = np.load(folder_in(tmp_path) / saved.MARKS)
    assert len(kept) == COUNT - 2
    index.remove(range(COUNT - EXACT + 1))
    index.build()
    assert not [each for model in tmp_path.iterdir() for each in model.iterdir()], "too few for lists"
    assert numbers(index, vectors()[COUNT - 1], 3) == nearest(
        vectors()[COUNT - 1], 3, range(COUNT - EXACT + 1, COUNT)
    )


def test_what_comes_and_goes_during_a_build_is_in_the_index_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = VectorIndex(IndexFolder(tmp_path, MODEL))
    index.add(marks(range(EXACT)), vectors()[:EXACT])
    making, may_go_on, with_lists = threading.Event(), threading.Event(), part.with_lists

    def slow(*arguments: object) -> object:
        making.set()
        assert may_go_on.wait(60)
        return with_lists(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(saved, "with_lists", slow)
    building = threading.Thread(target=index.build)
    building.start()
    assert making.wait(60)
    index.add(marks(range(EXACT, COUNT)), vectors()[EXACT:])
    index.remove([3, EXACT + 1])
    # Searches go on meanwhile.
    assert numbers(index, vectors()[EXACT], 1) == [EXACT]
    may_go_on.set()
    building.join(60)
    assert sorted(index.writes()[:, 0]) == sorted(set(range(COUNT)) - {3, EXACT + 1})
    for number in (4, EXACT, COUNT - 1):
        assert numbers(index, vectors()[number], 1) == [number]
    assert 3 not in numbers(index, vectors()[3], 20)


def test_a_saved_index_is_loaded_with_no_wider_vectors_than_they_are(root: Path) -> None:
    index = VectorIndex(IndexFolder(root, MODEL))
    assert np.array_equal(index.writes()[:, 0], np.arange(COUNT))
    assert np.load(folder_in(root) / saved.VECTORS, mmap_mode="r").shape == (COUNT, 64)
    assert not len(VectorIndex(IndexFolder(root, "b@2")).writes()), "another model's"


@pytest.mark.parametrize("name", [saved.MARKS, saved.VECTORS, saved.LISTS, saved.FACTS])
@pytest.mark.parametrize("damage", ["cut", "changed", "gone"])
def test_a_damaged_index_is_deleted_and_begun_anew(
    root: Path, tmp_path: Path, name: str, damage: str
) -> None:
    model = folder_in(root).parent.name
    copy = tmp_path / model / folder_in(root).name
    copy.mkdir(parents=True)
    for file in folder_in(root).iterdir():
        content = file.read_bytes()
        if file.name == name:
            half = len(content) // 2
            match damage:
                case "cut":
                    content = content[:half]
                case "changed":
                    content = content[:half] + bytes([content[half] ^ 0x55]) + content[half + 1 :]
                case "gone":
                    continue
        (copy / file.name).write_bytes(content)
    index = VectorIndex(IndexFolder(tmp_path, MODEL))
    assert not len(index.writes())
    assert not copy.exists()


def test_a_folder_that_can_not_be_written_leaves_the_index_in_memory(tmp_path: Path) -> None:
    occupied = tmp_path / "a file"
    occupied.touch()
    index = VectorIndex(IndexFolder(occupied, MODEL))
    index.add(marks(range(COUNT)), vectors())
    index.build()
    assert not index.wants_building
    assert numbers(index, vectors()[9], 1) == [9]
