"""Tells small talk from questions: thanks, greetings, acknowledgements ("收到了，謝謝", "ok, that worked").

Two rules, in this order:

1. A text is talk if courtesies, and the small words that go with them, are all that it has.
2. So is one that begins or ends with thanks, without a question mark and a word of asking or of trouble.

Of 13,527 real questions in two languages it took none for small talk (docs/decisions/embedder-questions.md).
"""

from __future__ import annotations

import re

# A unit of a text: a Latin word, or one Chinese character.
UNIT = re.compile(r"[a-z\u00c0-\u024f]+(?:'[a-z]+)*|[\u3400-\u9fff]")
# What may ask, or tell of trouble, in a text that thanks for something.
ASKS = re.compile(
    r"[?？]|\b(?:how|what|why|when|where|which|who|can|could|would|will|do|does|but|however|still|need|want|not|cannot"
    r"|unable|error|fail(?:s|ed)?|help me|please|is there|are there)\b|n't\b"
    r"|[嗎吗呢哪幾几誰谁請请想要需能沒没無无錯错壞坏破缺漏退換换]|怎麼|怎么|什麼|什么|如何|多久|多少|為何|为何|可以|可否|是否|失敗|失败|但是|可是|還是|还是|查一下|問題|问题"
)
LONGEST_PHRASE = 6
# Longer texts than this, in units, say more than thanks.
LONGEST_TALK = 60


def _phrases(listed: str) -> frozenset[str]:
    return frozenset(phrase.strip() for line in listed.splitlines() for phrase in line.split("|")) - {""}


# Small words are those that go with courtesies, and say nothing alone.
ENGLISH_THANKS = _phrases(
    """
    thank you | thank u | thanks | thankyou | thx | tks | cheers | much appreciated | appreciate it
    """
)
CHINESE_THANKS = _phrases(
    """
    謝謝 | 感謝 | 謝啦 | 謝了 | 多謝 | 感恩 | 谢谢 | 感谢 | 谢啦 | 谢了 | 多谢 | 謝 | 谢
    """
)
ENGLISH_COURTESIES = _phrases(
    """
    good morning | good afternoon | good evening | good night | good day | have a nice day
    have a good one | hello | hiya | hi | hey | howdy | greetings | goodbye | bye bye | bye
    see you later | see you | see ya | take care | you're welcome | you are welcome | no problem
    no worries | never mind | nevermind | that's all | that is all | that's it | got it | i see
    i got it | i understand | understood | makes sense | will do | sounds good | okay | okey | ok | okk
    kk | k | alright | all right | all good | all set | right | sure | yes please | yes | yep | yeah
    yup | nope | no thanks | no | great | perfect | awesome | excellent | amazing | wonderful | lovely
    nice | cool | good | fine | super | brilliant | wow | lol | haha | hahaha | hehe | sorry | my bad
    oops | it works now | works now | it works | that worked | it worked | that works | works | worked
    solved | problem solved | fixed | done | that helped | that helps | very helpful | helpful
    i'm good | welcome | are you there | is anyone there | anyone there | how are you | nice to meet you
    you too | same to you | ah | oh | hmm | hm | um | well
    """
)
ENGLISH_FILLERS = _phrases(
    """
    so much | very much | a lot | a bunch | a million | again | for the help | for your help
    for helping me | for helping | for your time | for being quick | for the quick reply | for the info
    for that | for everything | for now | in advance | then | now | that | it | to you | to me | you
    there | everyone | all | team | folks | guys | sir | madam | dear | very | really | just | too | and
    but | so | all the best | friend | for | i | is | was | that's | it's | the | a | my | me | much
    please | today | job | work | one
    """
)
CHINESE_COURTESIES = _phrases(
    """
    不客氣 | 不客气 | 不會 | 不用了 | 不用 | 沒關係 | 没关系 | 沒事了 | 沒事 | 没事了 | 没事 | 麻煩了
    麻烦了 | 麻煩您 | 麻煩你 | 麻烦您 | 麻烦你 | 辛苦了 | 辛苦 | 拜託 | 拜托 | 你好 | 您好 | 哈囉 | 哈啰
    哈嘍 | 嗨 | 早安 | 早上好 | 午安 | 下午好 | 晚安 | 晚上好 | 早 | 安安 | 再見 | 再见 | 掰掰 | 拜拜
    掰 | 好的 | 好喔 | 好哦 | 好唷 | 好啊 | 好呀 | 好吧 | 好耶 | 好了 | 好 | 可以了 | 可以 | 沒問題
    没问题 | 了解 | 瞭解 | 理解 | 明白了 | 明白 | 知道了 | 知道 | 懂了 | 收到了 | 收到 | 原來如此
    原来如此 | 原來 | 原来 | 對的 | 對 | 对的 | 对 | 是的 | 是 | 嗯嗯 | 嗯 | 恩恩 | 恩 | 喔喔 | 喔 | 哦
    噢 | 啊 | 哈哈哈 | 哈哈 | 哈 | 呵呵 | 嘻嘻 | 讚 | 赞 | 太好了 | 太棒了 | 很棒 | 好棒 | 真棒 | 棒
    厲害 | 厉害 | 成功了 | 成功 | 解決了 | 解决了 | 搞定了 | 搞定 | 可以用了 | 不好意思 | 抱歉 | 對不起
    对不起 | 先這樣 | 先这样 | 就這樣 | 就这样 | 真的嗎 | 真的吗 | 真的 | 有人在嗎 | 有人嗎 | 有人在吗
    在嗎 | 在吗
    """
)
CHINESE_FILLERS = _phrases(
    """
    你們 | 您們 | 你们 | 大家 | 你 | 您 | 我 | 的 | 了 | 啦 | 喔 | 哦 | 唷 | 喲 | 呀 | 啊 | 耶 | 囉 | 咯
    嘍 | 哈 | 欸 | 誒 | 吧 | 呢 | 哇 | 太 | 非常 | 很 | 真 | 好 | 那 | 就 | 先 | 再 | 也 | 都 | 這樣
    这样 | 幫忙 | 帮忙 | 協助 | 协助 | 回覆 | 回复 | 客服 | 小編 | 各位 | 親 | 亲 | 已經 | 已经 | 已
    剛剛 | 剛 | 一下 | 考慮 | 考虑 | 看看 | 等等 | 囧 | 讓 | 到 | 有 | 要
    """
)
COURTESIES = frozenset(
    {*CHINESE_COURTESIES, *CHINESE_FILLERS, "請問", "请问", "請", "请", "麻煩", "麻烦", "幫我", "帮我"}
)


def _units(text: str) -> tuple[str, ...]:
    return tuple(UNIT.findall(text.lower().replace("\u2019", "'")))


THANKS = frozenset(map(_units, ENGLISH_THANKS | CHINESE_THANKS))
POLITE = THANKS | frozenset(map(_units, ENGLISH_COURTESIES | CHINESE_COURTESIES))
SMALL = frozenset(map(_units, ENGLISH_FILLERS | CHINESE_FILLERS))


def is_talk(text: str) -> bool:
    """Whether the text is small talk, and no question. A text without any word, such as an emoji, is talk."""
    units = _units(text)
    if len(units) > LONGEST_TALK:
        return False
    return not units or _only_courtesies(units) or _thanks_alone(units, text)


def _only_courtesies(units: tuple[str, ...]) -> bool:
    """Whether phrases that follow each other make up the whole text, one of them a courtesy."""
    # By the number of units made up so far: whether a courtesy was among them.
    made_up: dict[int, bool] = {0: False}
    for start in range(len(units)):
        if start not in made_up:
            continue
        for end in range(start + 1, min(start + LONGEST_PHRASE, len(units)) + 1):
            phrase = units[start:end]
            if phrase in POLITE or phrase in SMALL:
                made_up[end] = made_up.get(end, False) or made_up[start] or phrase in POLITE
    return made_up.get(len(units), False)


def _thanks_alone(units: tuple[str, ...], text: str) -> bool:
    ends = {units[:size] for size in range(1, 4)} | {units[-size:] for size in range(1, 4)}
    return not ends.isdisjoint(THANKS) and ASKS.search(text.lower().replace("\u2019", "'")) is None
