"""The sample chat that an empty database gets: enough of it, and something to find in it."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pytest

SAMPLE = Path(__file__).parents[3] / "deploy/standalone/sample_chat.jsonl"
MESSAGES: list[dict[str, Any]] = [orjson.loads(line) for line in SAMPLE.read_bytes().splitlines()]
CONVERSATIONS = {
    name: list(messages)
    for name, messages in itertools.groupby(MESSAGES, key=lambda message: message["conversation"])
}
CHINESE = re.compile(r"[\u4e00-\u9fff]")
# What people ask again and again, and the words by which it is recognised, whatever the rest says.
TOPICS = {
    "password": r"密碼.*(忘|改|重設|錯)|忘.*密碼|換一組新的|password",
    "invoice": r"發票|載具|統編|invoice|receipt",
    "return and refund": r"退貨|退款|退掉|換貨|鑑賞期|return|refund|wrong item",
    "delivery": r"超商取貨|包裹|出貨|到店|parcel|deliver|pick the order|package",
    "points": r"點數|points|金卡",
    "ending a subscription": r"取消訂閱|取消試用|自動續|不續|暫停訂閱|cancel|auto-renewal",
    "API limits and usage": r"API",
    "model limits": r"多長|太大|忘記前面|context|too long|message limit|可以問幾次",
    "second factor": r"驗證碼|兩步驟|兩階段|two-factor|2FA|SMS code",
    "data export": r"匯出|對話紀錄下載|export|copy of everything",
    "privacy": r"訓練|刪除帳號|加密|個資|train|delete my account|who can read",
    "outage": r"掛了|502|好慢|當機|down\?|slow",
    "payment": r"刷卡|扣款兩次|付款方式|LINE Pay|declined|charged twice|card on file|payment failed",
    "plans": r"方案|年繳|優惠|yearly|Team\?|discount",
}


def is_chinese(message: dict[str, Any]) -> bool:
    return CHINESE.search(message["text"]) is not None


def test_each_line_is_a_message_with_an_id_of_its_own() -> None:
    assert len(MESSAGES) >= 320
    for message in MESSAGES:
        assert list(message) == ["id", "conversation", "role", "text", "minutes_ago"]
        assert re.fullmatch(rf"{message['conversation']}:\d+", message["id"])
        assert message["role"] in {"user", "assistant"}
        assert message["text"] == message["text"].strip() != ""
    assert len({message["id"] for message in MESSAGES}) == len(MESSAGES)


def test_no_two_long_texts_are_the_same() -> None:
    texts = Counter(message["text"] for message in MESSAGES if len(message["text"]) >= 10)
    assert [text for text, count in texts.items() if count > 1] == []


def test_about_three_in_five_are_chinese_and_the_rest_english() -> None:
    share = sum(map(is_chinese, MESSAGES)) / len(MESSAGES)
    assert 0.55 <= share <= 0.70


def test_the_chinese_is_written_as_in_taiwan() -> None:
    simplified = re.compile(r"[请问发码这说时间会员订单账户网络对话们个为么还没过]")
    mainland = re.compile(r"信息|短信|賬|軟件|視頻|默認|屏幕|質量|網絡|用戶|登錄|鼠標|快遞|郵箱")
    for message in MESSAGES:
        assert not simplified.search(message["text"]), message["text"]
        assert not mainland.search(message["text"]), message["text"]


def test_users_and_assistant_alternate_in_conversations_of_two_to_eight() -> None:
    # No conversation is interrupted by another one.
    assert len(CONVERSATIONS) == len({message["conversation"] for message in MESSAGES})
    for name, messages in CONVERSATIONS.items():
        assert 2 <= len(messages) <= 8, name
        roles = [message["role"] for message in messages]
        assert roles == [("user", "assistant")[place % 2] for place in range(len(roles))], name


def test_time_passes_within_a_conversation_and_all_are_of_the_last_two_weeks() -> None:
    for messages in CONVERSATIONS.values():
        ages = [message["minutes_ago"] for message in messages]
        assert all(earlier > later for earlier, later in itertools.pairwise(ages))
    ages = [message["minutes_ago"] for message in MESSAGES]
    assert min(ages) > 0
    assert 13 <= max(ages) / (24 * 60) <= 14
    # A first half without anything would leave "asked before" empty.
    assert 0.2 < sum(age > 7 * 24 * 60 for age in ages) / len(ages) < 0.6


def test_some_texts_are_too_short_to_be_embedded() -> None:
    assert sum(len(message["text"]) < 5 for message in MESSAGES if message["role"] == "user") >= 8


@pytest.mark.parametrize("topic", TOPICS)
def test_a_topic_is_asked_by_different_people_in_different_words_and_both_languages(topic: str) -> None:
    pattern = re.compile(TOPICS[topic], re.IGNORECASE)
    asked = [
        first
        for first, *_ in CONVERSATIONS.values()
        if first["role"] == "user" and pattern.search(first["text"])
    ]
    assert len(asked) >= 5
    chinese = sum(map(is_chinese, asked))
    assert chinese >= 2
    assert len(asked) - chinese >= 2
