"""The tasks that are searched: with texts of the sort that a platform's tasks have, Chinese and English."""

from __future__ import annotations

import datetime as dt
import random
import uuid
from collections.abc import Iterator
from typing import Any

import asyncpg

AT_ONCE = 20_000
COLUMNS = (
    *("id", "root_id", "task", "queue", "worker", "worker_pid", "args", "kwargs", "result", "exception"),
    *("heard_at", "updated_at", "received_at", "succeeded_at", "failed_at"),
)
# Words of any task, one of which every text has several times.
WORDS = """
    order user analysis connection database error request mail report image generate vector rebuild chat
    message retry failed account billing refund inventory shipment warehouse customer support ticket session
    token cache index summary translate language model prompt answer question document upload download archive
    订单 处理 失败 用户 分析 完成 聊天 消息 向量 重建 连接 数据 错误 请求 发送 邮件 图片 生成 报告 任务
    队列 客户 支付 退款 库存 物流 地址 会话 模型 回答 问题 文档 上传 下载 翻译 语言 摘要 索引 缓存 登录
"""
ENGLISH = [word for word in WORDS.split() if word.isascii()]
CHINESE = [word for word in WORDS.split() if not word.isascii()]
# What few tasks have: about one in 10,000, by each of these.
RARE_ENGLISH = ("zanzibar", "quicksilver", "marzipan")
RARE_CHINESE = ("翡翠鹦鹉", "琥珀蜥蜴", "玛瑙犀牛")
RARELY = 10_000
FAILED = 0.05


async def fill(url: str, count: int) -> None:
    """Writes the tasks of a day, the newest a minute old."""
    connection = await asyncpg.connect(url)
    try:
        drawn = random.Random(7)
        newest = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=1)
        step = dt.timedelta(days=1) / count
        for begin in range(0, count, AT_ONCE):
            rows = _rows(drawn, newest - step * (count - begin), step, min(AT_ONCE, count - begin))
            await connection.copy_records_to_table("celery_task_results_ext", records=rows, columns=COLUMNS)
        await connection.execute("VACUUM ANALYZE celery_task_results_ext")
    finally:
        await connection.close()


def _rows(drawn: random.Random, at: dt.datetime, step: dt.timedelta, count: int) -> Iterator[tuple[Any, ...]]:
    for _ in range(count):
        at += step
        task_id = str(uuid.UUID(int=drawn.getrandbits(128)))
        failed = drawn.random() < FAILED
        yield (
            *(task_id, task_id, f"task_{int(drawn.expovariate(0.15)) % 60}", f"queue_{drawn.randrange(12)}"),
            *(f"celery@host-{drawn.randrange(8)}", drawn.randrange(4)),
            f"({drawn.randrange(10**9)}, '{_words(drawn, 8)}', '{task_id[:8]}', {_rare(drawn)!r})",
            f"{{'user_id': {drawn.randrange(10**6)}, 'note': '{_words(drawn, 4)}'}}",
            None if failed else f"{{'ok': True, 'score': {drawn.random():.6f}}}",
            f"TimeoutError('{_words(drawn, 3)} 超时 {drawn.randrange(10**5)}')" if failed else None,
            *(at, at, at, None if failed else at, at if failed else None),
        )


def _words(drawn: random.Random, count: int) -> str:
    return f"{' '.join(drawn.choices(ENGLISH, k=count))} {''.join(drawn.choices(CHINESE, k=count))}"


def _rare(drawn: random.Random) -> str:
    number = drawn.randrange(RARELY)
    rare = (*RARE_ENGLISH, *RARE_CHINESE)
    return rare[number] if number < len(rare) else ""
