"""Questions grouped by meaning."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from services.embedder.insights.clusters import cluster_questions, words_of

QUESTIONS = {
    "refund": ["退款多久會到？", "我的退款還沒到", "退款什麼時候入帳"],
    "password": ["how do I reset my password", "reset password link", "password reset fails", "my password"],
    "invoice": ["where is my invoice", "invoice for March"],
}
TEXTS = [text for texts in QUESTIONS.values() for text in texts]
TOPICS = [topic for topic, texts in QUESTIONS.items() for _ in texts]


def vectors() -> NDArray[np.float32]:
    """One direction a topic, each question a little off it."""
    noise = np.random.default_rng(1).normal(0, 0.005, (len(TEXTS), 1024))
    for row, topic in zip(noise, TOPICS, strict=True):
        row[list(QUESTIONS).index(topic)] += 1
    unit: NDArray[np.float32] = (noise / np.linalg.norm(noise, axis=1, keepdims=True)).astype(np.float32)
    return unit


def test_questions_of_one_topic_share_a_cluster_with_a_title_of_theirs() -> None:
    clusters = cluster_questions(TEXTS, vectors(), clusters=3)
    assert [[TOPICS[row] for row in cluster.members] for cluster in clusters] == [
        ["password"] * 4,
        ["refund"] * 3,
        ["invoice"] * 2,
    ]
    assert all(cluster.title in QUESTIONS[TOPICS[cluster.members[0]]] for cluster in clusters)
    assert [cluster.keywords[0] for cluster in clusters] == ["password", "退款", "invoice"]


def test_the_number_of_clusters_is_found() -> None:
    many = np.concatenate([vectors()] * 8)
    assert len(cluster_questions(TEXTS * 8, many)) == 3


def test_the_same_questions_give_the_same_clusters() -> None:
    assert cluster_questions(TEXTS, vectors(), 2) == cluster_questions(TEXTS, vectors(), 2)


def test_the_order_of_the_questions_has_no_say_in_the_clusters() -> None:
    # Without topics: where k-means ends depends on nothing as much as on where it begins.
    random = np.random.default_rng(2)
    texts = [f"question {number // 2}" for number in range(120)]
    loose = random.normal(size=(len(texts), 16)).astype(np.float32)
    loose /= np.linalg.norm(loose, axis=1, keepdims=True)
    expected = cluster_questions(texts, loose)
    for _ in range(5):
        order = random.permutation(len(texts))
        found = cluster_questions([texts[row] for row in order], loose[order])
        assert [
            (sorted(int(order[row]) for row in one.members), one.title, one.keywords) for one in found
        ] == [(one.members, one.title, one.keywords) for one in expected]


def test_no_questions_give_no_clusters_and_one_gives_one() -> None:
    assert cluster_questions([], np.zeros((0, 1024), dtype=np.float32)) == []
    [only] = cluster_questions(TEXTS[:1], vectors()[:1])
    assert only.title == TEXTS[0]


def test_words_are_cut_in_chinese_and_in_english() -> None:
    assert "password" in words_of("Reset PASSWORD, a bit")
    assert "退款" in words_of("我的退款還沒到")
