"""The words of a text that may be keywords, and the keywords of groups of texts."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from services.embedder.insights.languages import SCRIPTS, stop_words
from services.embedder.insights.talk import COURTESIES

KEYWORDS = 5
# Letters, with an apostrophe or a hyphen between them. What has a digit is a number or a code, and no word.
WORD = re.compile(r"(?<![\w@./-])[^\W\d_]+(?:['-][^\W\d_]+)*(?![\w@/])")
HAN = SCRIPTS["Hani"]
HAN_RUN = re.compile(rf"{HAN.pattern}+")
# Words of asking and of time that the list of stop words does not have, in simplified characters.
ASKING = frozenset(
    """
    没有 不到 不能 不会 不用 不想 无法 多久 多少 几个 几次 几天 几年 是不是 有没有 能不能 可不可以
    什么时候 何时 哪年 哪一年 哪边 现在 之前 之后 以后 已经 一直 有点 大概 到底 应该 需要 想要 可能
    位于 请问 一下 一个 一个人 昨天 今天 明天 上次 刚刚 还没 觉得 知道 告诉 帮忙 怎么办 为何
    """.split()  # noqa: SIM905 (a list of words)
)
# Which of the fields that lindera has of a word is its simplified form, in which stop words are listed.
SIMPLIFIED = 6


def keywords_of(groups: Sequence[Sequence[str]]) -> list[list[str]]:
    """Returns the keywords of each group of texts, the strongest first.

    They are ranked by class-based TF-IDF (Grootendorst 2022): how many of the group's texts have a word,
    times the word's rarity in all groups.
    """
    counts = [Counter(word for text in group for word in set(words_of(text))) for group in groups]
    overall = sum(counts, Counter[str]())
    average = overall.total() / max(len(groups), 1)

    def strongest(count: Counter[str]) -> list[str]:
        weights = {word: n * math.log(1 + average / overall[word]) for word, n in count.items()}
        return sorted(weights, key=lambda word: (-weights[word], word))[:KEYWORDS]

    return [strongest(count) for count in counts]


def words_of(text: str) -> list[str]:
    """Returns the words of at least two characters, in lower case, without stop words, numbers and codes.

    Chinese is cut by the words of CC-CEDICT, which has the traditional and the simplified form of each.
    """
    return [*_latin_words(HAN_RUN.sub(" ", text)), *_chinese_words(text)]


def _latin_words(text: str) -> Iterator[str]:
    for found in WORD.findall(text.replace("\u2019", "'")):
        word = found.lower().removesuffix("'s")
        if len(word) > 1 and word not in stop_words("en"):
            yield word


def _chinese_words(text: str) -> Iterator[str]:
    for run in HAN_RUN.findall(text):
        for token in _segmenter().tokenize(run):
            word, simplified = token.surface, _simplified(token)
            stop = simplified in ASKING or not {word, simplified}.isdisjoint(stop_words("zh") | COURTESIES)
            if len(word) > 1 and not stop:
                yield word


def _simplified(token: Any) -> str:
    # A word that the dictionary does not have has fewer fields.
    return str(token.get_detail(SIMPLIFIED) or token.surface)


@cache
def _segmenter() -> Any:
    # Imported at the first Chinese text: most workers never need its dictionary.
    import lindera

    return lindera.Tokenizer(lindera.load_dictionary("embedded://cc-cedict"), mode="normal")
