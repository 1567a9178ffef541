"""Questions grouped by meaning."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from services.embedder.insights.centring import centred, means_of
from services.embedder.insights.clusters import Grouping, Way, cluster_questions, nearest_clusters
from services.embedder.insights.words import words_of

QUESTIONS = {
    "refund": ["退款多久會到？", "我的退款還沒到", "退款什麼時候入帳", "想知道退款進度"],
    "password": ["how do I reset my password", "reset password link", "password reset fails", "my password"],
    "invoice": ["where is my invoice", "invoice for March", "the invoice is wrong"],
}
TEXTS = [text for texts in QUESTIONS.values() for text in texts]
TOPICS = [topic for topic, texts in QUESTIONS.items() for _ in texts]


def vectors(more: int = 0, seed: int = 1) -> NDArray[np.float32]:
    """One direction a topic, each question a little off it, and `more` questions that are like nothing."""
    rows = np.random.default_rng(seed).normal(0, 0.005, (len(TEXTS) + more, 1024))
    for row, topic in zip(rows, TOPICS, strict=False):
        row[list(QUESTIONS).index(topic)] += 1
    for number in range(more):
        rows[len(TEXTS) + number, 500 + number] = 1
    unit: NDArray[np.float32] = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit


def topics(found: Grouping) -> list[list[str]]:
    return [[TOPICS[row] for row in cluster.members] for cluster in found.clusters]


@pytest.mark.parametrize("way", [Way.COMMUNITIES, Way.K_MEANS])
def test_questions_of_one_topic_share_a_cluster_with_a_title_of_theirs(way: Way) -> None:
    found = cluster_questions(TEXTS, vectors(), way, 3 if way is Way.K_MEANS else 0)
    assert sorted(topics(found)) == [["invoice"] * 3, ["password"] * 4, ["refund"] * 4]
    for cluster in found.clusters:
        assert cluster.title in cluster.members
        keyword = {"refund": "退款", "password": "password", "invoice": "invoice"}[TOPICS[cluster.title]]
        assert cluster.keywords[0] == keyword


def test_what_is_like_nothing_is_noise_and_what_was_asked_twice_is_a_group() -> None:
    texts = [*TEXTS, "alone", "asked twice"]
    own = vectors(more=2)
    found = cluster_questions([*texts, "Asked twice"], np.concatenate([own, own[-1:]]))
    assert found.noise == [len(TEXTS)]
    assert [len(TEXTS) + 1, len(TEXTS) + 2] in [list(cluster.members) for cluster in found.clusters]


def test_dbscan_leaves_noise_alone() -> None:
    random = np.random.default_rng(3)
    centres = np.eye(64, dtype=np.float32)[:3]
    dense = np.repeat(centres, 12, axis=0) + random.normal(0, 0.01, (36, 64))
    sparse = np.eye(64, dtype=np.float32)[20:40]
    rows = np.concatenate([dense, sparse]).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    found = cluster_questions([f"question {row}" for row in range(len(rows))], rows, Way.DBSCAN)
    assert sorted(list(cluster.members) for cluster in found.clusters) == [
        list(range(12)),
        list(range(12, 24)),
        list(range(24, 36)),
    ]
    assert found.noise == list(range(36, 56))


def test_the_number_of_clusters_of_k_means_is_found() -> None:
    texts = [f"{text} {copy}" for copy in range(8) for text in TEXTS]
    many = np.concatenate([vectors(seed=copy) for copy in range(8)])
    assert len(cluster_questions(texts, many, Way.K_MEANS).clusters) == 3


@pytest.mark.parametrize("way", Way)
def test_the_order_of_the_questions_has_no_say_in_the_clusters(way: Way) -> None:
    # Without topics: what is found depends on nothing as much as on where it begins.
    random = np.random.default_rng(2)
    texts = [f"question {number // 2}" for number in range(120)]
    loose = random.normal(size=(len(texts), 16)).astype(np.float32)[np.arange(len(texts)) // 2]
    loose /= np.linalg.norm(loose, axis=1, keepdims=True)

    def shown(found: Grouping, order: NDArray[np.int64]) -> list[tuple[list[int], str, list[str]]]:
        return [
            (sorted(int(order[row]) for row in one.members), texts[order[one.title]], list(one.keywords))
            for one in found.clusters
        ]

    expected = shown(cluster_questions(texts, loose, way), np.arange(len(texts)))
    assert expected
    for _ in range(2):
        order = random.permutation(len(texts))
        found = cluster_questions([texts[row] for row in order], loose[order], way)
        assert shown(found, order) == expected


def test_one_question_in_two_languages_is_one_group() -> None:
    # As e5 does it: each language has a direction of its own, stronger than that of any topic.
    random = np.random.default_rng(4)
    texts, rows = [], []
    for topic in range(6):
        for number in range(8):
            for language, words in enumerate(("how do I", "請問怎麼")):
                row = random.normal(0, 0.02, 64)
                row[topic], row[32 + language] = 1, 4
                texts.append(f"{words} {'abcdef'[topic]} {number}")
                rows.append(row / np.linalg.norm(row))
    found = cluster_questions(texts, np.array(rows, dtype=np.float32))
    assert sorted(list(cluster.members) for cluster in found.clusters) == [
        list(range(16 * topic, 16 * topic + 16)) for topic in range(6)
    ]


def test_a_new_question_is_nearest_to_the_group_that_it_is_of() -> None:
    own = vectors()
    found = cluster_questions(TEXTS, own)
    centroids = np.array([cluster.centroid for cluster in found.clusters])
    width = centroids.shape[1]
    for row, text in enumerate(TEXTS):
        cosines = nearest_clusters(text, own[row, :width], found.means, centroids)
        best = int(np.argmax(cosines))
        assert row in found.clusters[best].members
        assert cosines[best] >= found.clusters[best].least - 0.05


def test_the_mean_of_each_script_is_taken_out() -> None:
    random = np.random.default_rng(5)
    rows = random.normal(size=(4000, 8)).astype(np.float32)
    rows[:2000, 0] += 9
    scripts = ["Hani"] * 2000 + ["Latn"] * 2000
    points = centred(rows, scripts, means_of(rows, scripts))
    assert np.allclose(points[:2000].mean(axis=0), 0, atol=0.05)
    assert np.allclose(np.linalg.norm(points, axis=1), 1, atol=1e-5)


def test_no_questions_give_no_clusters_and_one_is_noise() -> None:
    assert cluster_questions([], np.zeros((0, 1024), dtype=np.float32)) == Grouping()
    only = cluster_questions(TEXTS[:1], vectors()[:1])
    assert (only.clusters, only.noise) == ([], [0])


def test_words_are_cut_in_chinese_and_in_english() -> None:
    assert words_of("Reset the PASSWORD!") == ["reset", "password"]
    assert "退款" in words_of("我的退款還沒到")


def test_words_that_mean_nothing_numbers_and_codes_are_left_out() -> None:
    assert words_of("Why don’t I get the 429 for order A-4711 of 2026/11/30?") == []
    assert words_of("請問為什麼我的訂單沒有包裹，可以怎麼辦？") == ["訂單", "包裹"]


def test_traditional_chinese_is_cut_by_its_own_words() -> None:
    # jieba, whose dictionary is for simplified characters, cuts 簡訊驗 / 證碼 and 載 / 具要.
    assert words_of("收不到簡訊驗證碼") == ["簡訊", "驗證碼"]
    assert words_of("電子發票載具要怎麼設定") == ["電子", "發票", "載具", "設定"]
    assert words_of("电子发票载具要怎么设定") == ["电子", "发票", "载具", "设定"]
