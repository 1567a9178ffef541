"""The script and the language of a text, as far as a short text tells them."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache

# Scripts by their names in ISO 15924, in the order in which they count: Japanese has Han characters, too.
SCRIPTS = {
    "Kana": re.compile(r"[\u3041-\u30ff]"),
    "Hang": re.compile(r"[\uac00-\ud7af\u1100-\u11ff]"),
    "Hani": re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0002ffff]"),
    "Thai": re.compile(r"[\u0e01-\u0e5b]"),
    "Arab": re.compile(r"[\u0620-\u06ff]"),
    "Cyrl": re.compile(r"[\u0400-\u04ff]"),
    "Latn": re.compile(r"[A-Za-z\u00c0-\u024f]"),
}
NO_SCRIPT = "Zyyy"
LANGUAGE_OF_SCRIPT = {"Kana": "ja", "Hang": "ko", "Hani": "zh", "Thai": "th"}
# Of languages in Latin script, those are told apart that have a list of stop words and many speakers.
LATIN = ("en", "es", "fr", "de", "pt", "it", "nl", "id", "vi", "tr", "pl")
UNDETERMINED = "und"
LATIN_WORD = re.compile(r"[A-Za-z\u00c0-\u024f']+")


def script_of(text: str) -> str:
    """Returns the script of the text, by ISO 15924; NO_SCRIPT for a text without letters that are known here.

    A Chinese text with English names in it is a Chinese one.
    """
    return next((name for name, letters in SCRIPTS.items() if letters.search(text)), NO_SCRIPT)


def language_of(text: str) -> str:
    """Returns the language of the text by BCP 47: "zh", "en"; "und" where it can't be told.

    Latin script is of the language with the most stop words in the text; English wins a tie.
    """
    script = script_of(text)
    if script != "Latn":
        return LANGUAGE_OF_SCRIPT.get(script, UNDETERMINED)
    words = [word.lower() for word in LATIN_WORD.findall(text)]
    counts = {language: sum(word in stop_words(language) for word in words) for language in LATIN}
    best = max(LATIN, key=lambda language: (counts[language], language == "en"))
    return best if counts[best] else UNDETERMINED


def languages_of(texts: list[str]) -> Counter[str]:
    """Returns how many texts there are of each language."""
    return Counter(map(language_of, texts))


@cache
def stop_words(language: str) -> frozenset[str]:
    """Returns the stop words of a language, in lower case: the list of stopwords-iso."""
    # Imported here, because it reads the lists of 58 languages.
    import stopwordsiso

    return frozenset(word.replace("\u2019", "'") for word in stopwordsiso.stopwords(language))
