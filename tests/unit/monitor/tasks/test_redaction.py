"""Secrets are taken out of the texts of tasks, however they are written, and nothing else is."""

from __future__ import annotations

import json
import time
import traceback
from typing import Any

import jwt
import pytest
from celery.utils.saferepr import saferepr
from hypothesis import given
from hypothesis import strategies as st

from services.monitor.tasks.redaction import FIELDS, NOT_KEPT, Arguments, Redaction
from services.monitor.tasks.secret_shapes import REDACTED

SECRET = "hunter2-Zq81x"
NAMES = [
    *("password", "db_password", "DB_PASSWORD", "userPassword", "dbpassword", "passwd", "PWD", "passphrase"),
    *("token", "access_token", "accessToken", "authtoken", "X-Auth-Token", "secret", "client_secret"),
    *(
        "key",
        "api_key",
        "secret-key",
        "accessKey",
        "SecretAccessKey",
        "APIKey",
        "apikey",
        "AWS_SECRET_KEY_ID",
    ),
    *("authorization", "Authorization", "proxy-authorization", "cookie", "Set-Cookie", "secrets", "api_keys"),
]
OTHERS = [
    *("keyboard", "monkey", "turkey_breed", "tokenizer", "secretary", "cookiecutter", "author", "passenger"),
    *("keynote", "bypass", "k", "user", "name"),
]
VISA, AMEX, UNIONPAY = "4111111111111111", "378282246310005", "6250941006528599"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA75\nq0Zx81\n-----END RSA PRIVATE KEY-----"
JWT = jwt.encode({"sub": "operator"}, "k" * 32)


def argument(text: str, *names: str, **more: Any) -> str:
    return Redaction(names, **more).argument(text)


def celerys(value: Any, most: int = 1024) -> str:
    """As Celery shows arguments in events."""
    return saferepr(value, maxlen=most)


@pytest.mark.parametrize("name", NAMES)
def test_the_value_of_a_secret_name_is_replaced_however_it_is_written(name: str) -> None:
    document = {"user": "mei", name: SECRET, "n": 1}
    for text in (
        celerys(document),
        celerys((17, document)),
        celerys((json.dumps(document),)),
        celerys(({"body": json.dumps({"inner": json.dumps(document)})},)),
        json.dumps(document, indent=2),
        repr(str(document)),
        f"user=mei, {name}={SECRET}, n=1",
        f"https://host/path?user=mei&{name}={SECRET}&n=1",
        f"user: mei\n{name}: {SECRET}\nn: 1",
        repr(f"user: mei\n{name}: {SECRET}\nn: 1"),
        f"Login(user='mei', {name}='{SECRET}', n=1)",
        f"Login(user='mei', {name}=SecretStr('{SECRET}'), n=1)",
        celerys(((name, SECRET), "mei", 1)),
        celerys((["program", f"--{name}", SECRET, "mei", 1],)),
        f"program --{name} {SECRET} --user mei -n 1",
        f"键：值，{name}：{SECRET}，user: mei, n=1",
    ):
        assert SECRET in text
        seen = argument(text)
        assert SECRET not in seen, seen
        assert REDACTED in seen
        assert name in seen
        if not name.lower().endswith(("authorization", "cookie")):  # a header has its whole line
            assert "mei" in seen
            assert "1" in seen
        assert argument(seen) == seen, "what is redacted stays as it is"


@pytest.mark.parametrize("name", OTHERS)
def test_the_value_of_another_name_stays(name: str) -> None:
    text = celerys(({"user": "mei", name: "value"}, f"{name}=value", f"{name}: value"))
    assert argument(text) == text


@pytest.mark.parametrize(
    "value",
    [
        *("it's", 'a"b', "a\\'b", "two words, and: more", "line\nbreak", "密码 一", "{'a': 1}", "ends\\"),
        *(12345678, 1.5, -7, b"bytes", ["a", "b]"], {"a": "}"}, ("x", ["y"]), {"x": {"y": "z"}}),
    ],
)
def test_any_value_is_replaced_whole(value: Any) -> None:
    """Also lists and dicts, and texts with whatever quotes."""
    text = celerys({"before": 1, "password": value, "after": 2})
    assert argument(text).startswith("{'before': 1, 'password': ")
    whole = celerys(value).strip("'b")
    assert whole not in argument(text)
    text = repr({"before": 1, "password": value, "after": 2})
    seen = argument(text)
    assert seen.replace("b'", "'").replace(f"'{REDACTED}'", REDACTED).replace(f'"{REDACTED}"', REDACTED) == (
        f"{{'before': 1, 'password': {REDACTED}, 'after': 2}}"
    )


@pytest.mark.parametrize("most", range(20, 90, 3))
@pytest.mark.parametrize(
    "value", [SECRET * 3, [SECRET, SECRET], {"a": SECRET}, f"redis://:{SECRET * 2}@host/0"]
)
def test_a_text_that_celery_has_cut_shows_no_part_of_a_secret(most: int, value: Any) -> None:
    for document in (
        {"n": 1, "password": value, "m": 2},
        (1, {"api_key": value}),
        (json.dumps({"token": value}),),
    ):
        seen = argument(celerys(document, most))
        assert SECRET[:6] not in seen, (celerys(document, most), seen)
        # As this monitor itself cuts texts.
        text = celerys(document)[:most]
        assert SECRET[:6] not in argument(text + "…"), text


def test_nothing_empty_is_replaced_and_a_number_under_a_plural_is_a_count() -> None:
    text = "{'password': None, 'token': '', 'secret': True, 'keys': [], 'max_tokens': 512, 'api_keys': {}}"
    assert argument(text.replace("[]", "5").replace("{}", "0")) == text.replace("[]", "5").replace("{}", "0")
    assert argument("{'token': 512}") == f"{{'token': {REDACTED}}}"


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        (f"('{VISA}',)", f"('{REDACTED}',)"),
        ("card 4111 1111 1111 1111 of mei", f"card {REDACTED} of mei"),
        ("4111-1111-1111-1111", REDACTED),
        ("3782-822463-10005.", f"{REDACTED}."),
        (f"{{'a': {AMEX}, 'b': {UNIONPAY}}}", f"{{'a': {REDACTED}, 'b': {REDACTED}}}"),
        ("4111 1111 1111 1111 12 27 123", f"{REDACTED} 12 27 123"),
        ("卡号4111111111111111，", f"卡号{REDACTED}，"),
        (json.dumps("卡号4111111111111111"), f'"\\u5361\\u53f7{REDACTED}"'),
        (r"'card:\n4111111111111111\n'", rf"'card:\n{REDACTED}\n'"),
        ("('4111 1111 11...',)", f"('{REDACTED}...',)"),
    ],
)
def test_numbers_of_cards_are_replaced(text: str, seen: str) -> None:
    assert argument(text) == seen


@pytest.mark.parametrize(
    "text",
    [
        "4111111111111112",  # Luhn
        "1764487275123456",  # microseconds
        "1764487275123",
        "9876543210987654",
        "79927398713",
        "0.4111111111111111",
        "id_4111111111111111",
        "4111111111111111a",
        "411111111111111111111111111111",
        "6f0e6fcd-0a5e-4d2f-8d0b-4111111111aa",
        "12 13 14 15 16 17 18 19 20",
        "+86 138 0013 8000, 2026-11-30 07:41:15.123456, 2026-11-30T07:41:15",
        "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16",
    ],
)
def test_numbers_that_are_merely_long_stay(text: str) -> None:
    assert argument(text) == text


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        (f"('redis://:{SECRET}@host:6379/0',)", SECRET),
        (f"connecting to postgresql://user:{SECRET}@host/db failed", SECRET),
        (f"sentinel://:{SECRET}@a:1;sentinel://:{SECRET}@b:2", SECRET),
        (f"amqp://user:pa/{SECRET}@host//", SECRET),
        (f"the header was Bearer {SECRET}{SECRET}, which nobody knows", SECRET),
        (f"('{JWT}',)", JWT.split(".")[2]),
        (f"id-{JWT}"[:-20], JWT.split(".")[1]),
        (celerys((PEM, 5)), "MIIEow"),
        (celerys((PEM[:50], 5)), "MIIEow"),
        (json.dumps({"x": PEM, "n": 5}), "q0Zx81"),
    ],
)
def test_what_has_the_shape_of_a_credential_is_replaced(text: str, hidden: str) -> None:
    assert hidden in text
    seen = argument(text)
    assert hidden not in seen
    assert REDACTED in seen
    assert seen[0] == text[0]
    assert seen[-1] in (text[-1], "]"), "what stands beside it stays"


@pytest.mark.parametrize(
    "text",
    [
        "redis://host:6379/0",
        "('redis://host:63...',)",
        "http://host:8080/path?email=a@b.example",
        "http://[::1]:8080/x",
        "mailto mei@host: user@host",
        "a bearer token is missing",
        "eyJ and 1.2.3",
        "-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----",
        "KeyError: 'user_id'",
        "KeyError('token')",
        "jwt.exceptions.InvalidTokenError: Signature has expired",
        "if key == other and token != 'x' or Key::new",
    ],
)
def test_what_only_looks_like_one_stays(text: str) -> None:
    assert argument(text) == text
    assert Redaction().exception(text) == text


def test_a_traceback_keeps_its_lines_and_loses_its_secrets() -> None:
    def connect(token: str, **options: str) -> None:
        key = token
        raise ValueError(f"can't connect with {options}; key={key}")

    try:
        connect(token=SECRET, password=SECRET)
    except ValueError as error:
        text, shown = traceback.format_exc(), repr(error)
    assert SECRET in text
    seen = Redaction().exception(text)
    assert SECRET not in seen
    assert SECRET not in Redaction().exception(shown)
    assert seen.splitlines()[:-1] == text.splitlines()[:-1], "lines of the program tell nothing secret"
    assert seen.splitlines()[-1].startswith("ValueError: can't connect with {'password': '[redacted]'}")


def test_a_literal_in_the_program_is_replaced_in_a_traceback() -> None:
    program = f"  File \"a.py\", line 1, in x\n    f(password='{SECRET}')\n"
    text = f"Traceback (most recent call last):\n{program}Oops: no"
    assert Redaction().exception(text) == text.replace(SECRET, REDACTED)


def test_a_value_without_an_end_costs_no_more_than_its_line_of_a_traceback() -> None:
    text = f"ValueError: token='{SECRET}\nsecond line\nkey=({SECRET}\nlast line"
    seen = f"ValueError: token='{REDACTED}\nsecond line\nkey={REDACTED}\nlast line"
    assert Redaction().exception(text) == seen


def test_a_very_long_traceback_keeps_its_begin_and_its_end() -> None:
    frame = '  File "a.py", line 1, in x\n    x()\n'
    text = f"Traceback (most recent call last):\n{frame * 30_000}RecursionError: token={SECRET}"
    seen = Redaction().exception(text)
    assert len(seen) < 40_000
    assert seen.startswith(text[:20_000])
    assert seen.endswith(f"{frame}RecursionError: token={REDACTED}")
    assert all(line[0].isspace() for line in seen.splitlines()[1:-1])


def test_names_are_added_and_left_in_clear_by_rules() -> None:
    text = "{'iban': 'DE1', 'accountNumber': 7, '客户姓名': '梅', 'sort_key': 'a', 'max': 5, 'key': 'k'}"
    seen = Redaction(["IBAN", "account-number", "姓名"], ["sort_key", "max"]).argument(text)
    assert seen == (
        "{'iban': '[redacted]', 'accountNumber': [redacted], '客户姓名': '梅', 'sort_key': 'a', 'max': 5,"
        " 'key': '[redacted]'}"
    )
    whole = Redaction(["客户姓名"]).argument(text)
    assert "梅" not in whole
    assert "'api_sort_key': '[redacted]'" in Redaction((), ["sort_key"]).argument("{'api_sort_key': 'a'}")


def test_an_event_is_redacted_in_each_of_its_texts() -> None:
    redaction = Redaction()
    for kind, fields in {
        "task-sent": ("args", "kwargs"),
        "task-received": ("args", "kwargs"),
        "task-succeeded": ("result",),
        "task-failed": ("exception", "traceback"),
        "task-retried": ("exception", "traceback"),
    }.items():
        for _ in range(2):
            event = {"type": kind, "uuid": "a", **dict.fromkeys(fields, f"x(token='{SECRET}')")}
            redaction.event(event["type"], event)
            assert event == {
                "type": kind,
                "uuid": "a",
                **dict.fromkeys(fields, f"x(token='{REDACTED}')"),
            }
        clean = {"type": kind, **dict.fromkeys(fields, "('nothing', 1)")}
        redaction.event(kind, clean)
        redaction.event(kind, clean)
        assert clean == {"type": kind, **dict.fromkeys(fields, "('nothing', 1)")}
        for odd in (None, 5, ["token=x"], ""):
            strange: dict[str, Any] = {field: odd for field in fields} | {"type": kind}  # noqa: C420
            redaction.event(kind, strange)
            assert strange == {field: odd for field in fields} | {"type": kind}  # noqa: C420


@pytest.mark.parametrize("rule", Arguments)
@pytest.mark.parametrize("secrets", [0, 1, 7])
def test_many_events_are_redacted_as_each_is_alone(rule: Arguments, secrets: int) -> None:
    texts = [f"('nothing', {number})" for number in range(60)]
    for number in range(secrets):
        texts[number * 8] = f"x(token='{SECRET}')"
        texts[number * 8 + 3] = "4111 1111 1111 1111"
    # What stands at the end of one and at the beginning of the next is no number of a card together.
    texts[50:52] = ["(4111111", "1111111111)"]
    texts[52] = "x" * 9_000 + f"token='{SECRET}'"
    kinds = [*FIELDS, "task-started", "worker-heartbeat"]
    events: list[dict[str, Any]] = [
        {"type": kinds[number % len(kinds)], **dict.fromkeys(("args", "kwargs", "result", "exception"), text)}
        for number, text in enumerate(texts)
    ]
    alone = [dict(event) for event in events]
    redaction = Redaction(arguments=rule)
    for event in alone:
        redaction.event(event["type"], event)
    Redaction(arguments=rule).events(events)
    assert events == alone
    redaction.events(again := [dict(event) for event in events])
    assert again == alone


def test_arguments_and_results_are_kept_not_at_all_or_as_they_are_if_a_rule_says_so() -> None:
    sent = {"type": "task-sent", "args": f"('password', '{SECRET}')", "kwargs": "{}"}
    failed = {"type": "task-failed", "exception": f"E(token='{SECRET}')", "traceback": ""}
    for rule, args in ((Arguments.NONE, NOT_KEPT), (Arguments.CLEAR, sent["args"])):
        redaction = Redaction(arguments=rule)
        event, other = dict(sent), dict(failed)
        redaction.event(event["type"], event)
        redaction.event(other["type"], other)
        assert event["args"] == args
        assert other["exception"] == f"E(token='{REDACTED}')", "exceptions have no such rule"


@given(st.text(), st.text())
def test_a_secret_is_replaced_within_any_text_and_what_is_redacted_stays(before: str, after: str) -> None:
    for lines in (before, after):
        text = celerys({"before": lines, "password": SECRET, "after": after})
        if before.count("'") + before.count("\\") == 0:
            assert SECRET not in argument(text)
        seen = Redaction().exception(argument(text))
        assert argument(seen) == seen


HOSTILE = [
    *("key=", "key='", "key=(", 'key="\\', "\\", '\\"', "key", "://", "://a:", "://a:b@", "-eyJ", "eyJa-"),
    *("eyJa.", PEM[:31], PEM[:31] + "'", "bearer ", "bearer%20", "1 ", "4111 1111 ", "4111-1111-1111-111x "),
    *("9", "'key','a',", "('key','a',", "--key x ", "--key ", "key=1,", "key=1\n", "key: ", "key={'a': "),
    *("  File \"\n    key='a' ", "cookie: ", "cookie: x\n", '\\"key\\": \\"', "key=<", "key=a.b.", "键"),
    *("key=b'\\\\\\'", "a-", "-", "_", "token_", "key=))))", 'key=["]'),
]


@pytest.mark.parametrize("part", HOSTILE)
@pytest.mark.parametrize("lines", [False, True])
def test_the_time_that_a_long_text_takes_grows_with_its_length_only(part: str, lines: bool) -> None:
    """Who sends it chooses it. A text of a megabyte must not stop the monitor."""
    redaction = Redaction()

    def seconds(length: int) -> float:
        text = part * (length // len(part))
        before = time.process_time()
        redaction._redacted(text, lines=lines)
        return time.process_time() - before

    seconds(1000)
    short = min(seconds(16_000) for _ in range(3))
    long = min(seconds(128_000) for _ in range(3))
    # Eight times as long; with the square of it, sixty-four times.
    assert long < 30 * max(short, 0.001)


@pytest.mark.parametrize("part", HOSTILE)
def test_a_megabyte_in_an_event_is_cut_before_it_is_looked_through(part: str) -> None:
    redaction, text = Redaction(), part * (1_000_000 // len(part))
    before = time.process_time()
    for kind, field in (
        ("task-received", "args"),
        ("task-succeeded", "result"),
        ("task-failed", "traceback"),
    ):
        event = {"type": kind, field: text}
        redaction.event(event["type"], event)
        assert len(event[field]) < 90_000
    assert time.process_time() - before < 1.0


def test_secrets_in_values_that_are_whole_are_replaced_wherever_they_stand() -> None:
    whole = {
        "user": "mei",
        "api_key": SECRET,
        "max_tokens": 512,
        "pin": {"secret": 1234, "none_secret": None, "empty": [], "keys": [SECRET]},
        "login": ["password", SECRET, "mei"],
        "command": ["mysql", "--password", SECRET, "--host", "db"],
        "note": f"redis://app:{SECRET}@db:6379/0",
        f"token={SECRET}": 1,
    }
    shown = Redaction().value(whole)
    assert SECRET not in json.dumps(shown)
    assert (shown["user"], shown["max_tokens"], shown["login"][2]) == ("mei", 512, "mei")
    assert shown["pin"] == {"secret": REDACTED, "none_secret": None, "empty": [], "keys": REDACTED}
    assert shown["command"] == ["mysql", "--password", REDACTED, "--host", "db"]
    assert Redaction(arguments=Arguments.CLEAR).value(whole) == whole
    assert Redaction(arguments=Arguments.NONE).value(whole) == NOT_KEPT
