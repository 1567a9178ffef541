"""Failures are grouped by the class of the exception and the application's own line that raised it."""

from __future__ import annotations

import datetime as dt

import pytest

from services.monitor.tasks.failures import MOST_PLACE, AlikeFailures, grouped, place_in

HEAD = "Traceback (most recent call last):\n"
CELERY = '  File "/app/lib/python3.11/site-packages/celery/app/trace.py", line 453, in trace_task\n    f()\n'
OURS = '  File "/srv/app/shop/orders.py", line 41, in charge\n    pay(order)\n'
LIBRARY = '  File "/usr/lib/python3/dist-packages/requests/api.py", line 59, in get\n    ~~~^~~\n'
PYTHON = '  File "/usr/lib/python3.11/json/decoder.py", line 355, in raw_decode\n    raise\n'
NOON = dt.datetime(2026, 11, 30, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("traceback", "place"),
    [
        ("", ""),
        ("Traceback …\nValueError('no')", ""),
        (f"{HEAD}{CELERY}{OURS}ValueError: no\n", "app/shop/orders.py:41 in charge"),
        (f"{HEAD}{CELERY}{OURS}{LIBRARY}ConnectionError: no\n", "app/shop/orders.py:41 in charge"),
        (f"{HEAD}{OURS}{PYTHON}JSONDecodeError: no\n", "app/shop/orders.py:41 in charge"),
        # None of them is the application's: the last.
        (f"{HEAD}{CELERY}{LIBRARY}ConnectionError: no\n", "dist-packages/requests/api.py:59 in get"),
        # Of a chain the last exception counts.
        (
            f"{HEAD}{LIBRARY}OSError: a\n\nDuring handling of the above exception, another exception"
            f" occurred:\n\n{HEAD}{OURS}ValueError: no\n",
            "app/shop/orders.py:41 in charge",
        ),
        # A frame in the message of the exception, which is not indented, is none.
        (f'{HEAD}{OURS}ValueError: in\nFile "/x.py", line 1, in y\n', "app/shop/orders.py:41 in charge"),
        (f'{HEAD}  File "C:\\app\\a.py", line 3, in f\n    x\nE: m\n', "C:/app/a.py:3 in f"),
        (f'{HEAD}  File "工作.py", line 3, in <lambda>\n    x\nE: m\n', "工作.py:3 in <lambda>"),
        (f'{HEAD}  File "a.py", line 3, in {"f" * 999}\nE\n', f"a.py:3 in {'f' * 999}"[:MOST_PLACE]),
    ],
)
def test_the_place_is_the_last_line_of_the_applications_own(traceback: str, place: str) -> None:
    assert place_in(traceback) == place


def alike(task: str, kind: str, count: int, minutes: int, traceback: str) -> AlikeFailures:
    last = NOON + dt.timedelta(minutes=minutes)
    first, newest = last - dt.timedelta(minutes=1), f"{task}-{minutes}"
    return AlikeFailures(task, kind, count, first, last, newest, f"message of {newest}", traceback)


def test_those_of_one_class_and_place_are_one_group_whatever_the_task() -> None:
    ours, by_library = f"{HEAD}{OURS}E: a\n", f"{HEAD}{OURS}{LIBRARY}E: b\n"
    elsewhere = f"{HEAD}{CELERY}{OURS.replace('41', '42')}E: a\n"
    groups = grouped(
        [
            alike("charge", "ValueError", 2, 5, ours),
            alike("refund", "ValueError", 3, 9, by_library),
            alike("refund", "ValueError", 1, 2, elsewhere),
            alike("refund", "KeyError", 1, 3, ours),
        ]
    )
    assert [(each.exception_type, each.place[-15:], each.count) for each in groups] == [
        ("ValueError", ".py:41 in charge"[-15:], 5),
        ("KeyError", ".py:41 in charge"[-15:], 1),
        ("ValueError", ".py:42 in charge"[-15:], 1),
    ]
    first = groups[0]
    assert first.task_names == ["refund", "charge"]
    assert (first.newest_id, first.message) == ("refund-9", "message of refund-9")
    assert (first.first_at, first.last_at) == (NOON + dt.timedelta(minutes=4), NOON + dt.timedelta(minutes=9))
