"""What is no question is told apart, in both languages; polite questions are not taken for it."""

from __future__ import annotations

import pytest

from services.embedder.insights.languages import language_of, script_of
from services.embedder.insights.talk import is_talk

TALK = """
    收到了，謝謝 | 好的，謝謝您的協助！ | 感謝！ | 了解 | 早安 | 哈囉，有人在嗎？ | 嗯嗯好的 | 沒事了，謝謝
    太感謝了 | OK 謝謝
    不客氣 | 你好 | 谢谢你 | 好的，明白了 | 辛苦了
    謝謝，已經成功了 | 👍 | 謝謝你昨天幫我把地址改好
    thanks | Thank you so much! | ok, got it | Hi there | Good morning | that worked, thanks | never mind
    Perfect, thanks a lot for your help | great
    You’re welcome | hello | Thanks, the export is here now. | lol
"""
QUESTIONS = """
    你好，請問運費多少？ | 謝謝，那退款多久會到？ | 可以幫我查包裹到哪了嗎？謝謝
    我要退貨，麻煩了 | 請問一下 | 好的話要怎麼付款
    感謝信要寄到哪裡 | 收到的商品壞了，謝謝 | 帳單 | 沒收到謝禮 | 謝謝，但是我還是不能登入
    thanks, but where is my refund? | Hi, my card is blocked | thank you, it still doesn't work
    how are refunds paid
    ok so how do I cancel
    Please cancel my order, thanks | good rates | right to be forgotten | no signal
"""


@pytest.mark.parametrize(
    "text", [text.strip() for line in TALK.split("\n") for text in line.split("|") if text.strip()]
)
def test_small_talk_is_told(text: str) -> None:
    assert is_talk(text)


@pytest.mark.parametrize(
    "text", [text.strip() for line in QUESTIONS.split("\n") for text in line.split("|") if text.strip()]
)
def test_a_question_is_no_small_talk(text: str) -> None:
    assert not is_talk(text)


def test_a_long_text_is_looked_at_in_no_time() -> None:
    assert not is_talk("好的" * 50_000)
    assert not is_talk("ok " * 50_000)


@pytest.mark.parametrize(
    ("text", "script", "language"),
    [
        ("API 一直回 429，怎麼辦？", "Hani", "zh"),
        ("パスワードを忘れました", "Kana", "ja"),
        ("비밀번호를 잊어버렸어요", "Hang", "ko"),
        ("where is my parcel", "Latn", "en"),
        ("¿dónde está mi paquete y cuándo llega?", "Latn", "es"),
        ("wo ist mein Paket und wann kommt es an", "Latn", "de"),
        ("zzyzx", "Latn", "und"),
        ("429", "Zyyy", "und"),
    ],
)
def test_script_and_language_are_told(text: str, script: str, language: str) -> None:
    assert (script_of(text), language_of(text)) == (script, language)
