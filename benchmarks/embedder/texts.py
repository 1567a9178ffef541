"""Messages as people write them to a shop's assistant: Chinese and English, mostly short, some long."""

from __future__ import annotations

import random

from services.embedder.messages.messages import Message, Role

CHINESE_PARTS = (
    ["請問", "想問一下，", "不好意思，", "你好，", "", "", ""],
    [
        "我的訂單",
        "上週買的耳機",
        "會員點數",
        "這張發票",
        "分期付款",
        "退貨的運費",
        "優惠券",
        "包裹",
        "帳號密碼",
    ],
    [
        "什麼時候會到",
        "要怎麼申請",
        "可以取消嗎",
        "為什麼一直顯示錯誤",
        "在哪裡可以看到",
        "還沒有收到",
        "要怎麼修改",
    ],
    ["？", "，謝謝", "？很急", "？已經等了好幾天", "，麻煩幫我查一下，訂單編號是 {}", ""],
)
ENGLISH_PARTS = (
    ["Hi, ", "Hello! ", "Excuse me, ", "", "", ""],
    [
        "where is ",
        "how do I return ",
        "why was I charged for ",
        "can I change ",
        "I can't find ",
        "please cancel ",
    ],
    [
        "my order",
        "the headphones I bought",
        "my subscription",
        "the invoice",
        "my delivery address",
        "this coupon",
    ],
    ["?", " from last week?", ", it's been five days", "? The number is {}", " please", " and get a refund?"],
)
# Of messages: how many sentences they have.
SENTENCES = (1, 1, 1, 1, 1, 1, 2, 2, 3, 8)


def messages(count: int) -> list[Message]:
    """Distinct, and the same at every call."""
    pick = random.Random(2)
    found: dict[str, None] = {}
    while len(found) < count:
        parts = pick.choice((CHINESE_PARTS, ENGLISH_PARTS))
        sentences = [
            "".join(pick.choice(part) for part in parts).format(pick.randrange(10**6))
            for _ in range(pick.choice(SENTENCES))
        ]
        found[" ".join(sentences)] = None
    return [
        Message(f"bench:{number}", f"chat-{number % 97}", Role.USER, text, None)
        for number, text in enumerate(found)
    ]
