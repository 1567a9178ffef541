"""Converts the live configuration to and from the messages of ConfigService."""

from __future__ import annotations

import re
from collections.abc import Sequence

from celeriac.scheduler.v1 import config_pb2 as pb

from services.kernel.config_wire import COLLECTION, FIELDS, value_from, value_to
from services.kernel.durations import DurationFault
from services.kernel.errors import Invalid
from services.kernel.grpc.enums import wire_values
from services.kernel.grpc.wire import once_in, timestamp
from services.kernel.identity import current_subject
from services.kernel.live_keys import SECRET_NAME, SECRETS, ConfigType, Value, key_named
from services.kernel.pages import decode_page_token, encode_page_token
from services.kernel.validation import Faults
from services.scheduler.config.change import Order
from services.scheduler.config.feed import News
from services.scheduler.config.in_force import (
    Change,
    Place,
    Revision,
    Setting,
    declared,
    example_of,
    value_at,
)

EXAMPLE = f"{COLLECTION}monitor.tasks.retention"
SECRET_EXAMPLE = f"{COLLECTION}{SECRETS}smtp.password"
MOST_NAME, MOST_PREFIXES = 200, 100
REVISION = re.compile(r"(?P<config>.+)/revisions/(?P<number>[1-9][0-9]{0,17})")
TYPES = wire_values(pb.ConfigType, ConfigType)
CHANGES = wire_values(pb.ConfigChange, Change)
Changing = pb.SetConfigRequest | pb.ResetConfigRequest | pb.RollbackConfigRequest


def key_in(name: str, faults: Faults, field: str = "name") -> str:
    """Returns the key in a resource name; a fault is collected, and the key is empty if there is none."""
    if not name.startswith(COLLECTION) or len(name) == len(COLLECTION):
        faults.add(field, f'is {name[:200]!r}, not "{COLLECTION}" and a key', EXAMPLE)
        return ""
    key = name.removeprefix(COLLECTION)
    if faults.name(field, name, EXAMPLE, most=MOST_NAME) and key.startswith(SECRETS):
        rule = '1 to 100 of a-z, 0-9, "-", "_", ".", beginning with a letter or digit'
        fault = f"is {name[:200]!r}; what follows {SECRETS!r} has {rule}"
        faults.unless(SECRET_NAME.fullmatch(key) is not None, field, fault, SECRET_EXAMPLE)
    return key


def key_of(name: str, field: str = "name") -> str:
    """Returns the key in a resource name. Raises `Invalid`."""
    faults = Faults()
    key = key_in(name, faults, field)
    faults.raise_any()
    return key


def prefixes_in(prefixes: Sequence[str]) -> tuple[str, ...]:
    """Returns the beginnings of keys that a request asks for; none for all keys. Raises `Invalid`."""
    faults, count = Faults(), len(prefixes)
    few = count <= MOST_PREFIXES
    if faults.unless(few, "prefixes", f"has {count} entries, at most {MOST_PREFIXES}", '["monitor."]'):
        for position, prefix in enumerate(prefixes):
            faults.name(f"prefixes[{position}]", prefix, "monitor.", most=MOST_NAME)
    faults.raise_any()
    return tuple(prefixes)


def place_in(cursor: str) -> Place | None:
    """Returns the place in a cursor; None for an empty one. Raises `Invalid`."""
    faults = Faults()
    try:
        position = decode_page_token(cursor)
    except Invalid:
        position = {"origin": None}
    origin, revision = position.get("origin"), position.get("revision")
    # True is an int to Python, and no number to JSON.
    if isinstance(origin, str) and type(revision) is int and 0 <= revision < 2**63:
        return Place(origin, revision)
    if cursor:
        faults.add("cursor", "is not one that a message had", "the cursor of the last message, or empty")
    faults.raise_any()
    return None


def cursor_of(place: Place) -> str:
    return encode_page_token({"origin": place.origin, "revision": place.revision})


def order_in(request: Changing, faults: Faults) -> Order:
    faults.text("etag", request.etag, "7", most=100, required=False)
    faults.text("comment", request.comment, "fewer rows until the move", most=1000, required=False)
    key = key_in(request.name, faults)
    # The digest leaves out sensitive values: from it, a weak secret could be guessed. The configuration
    # compares those values itself.
    secret = ("value",) if isinstance(request, pb.SetConfigRequest) and _is_sensitive(key) else ()
    return Order(
        key=key,
        actor=current_subject(),
        comment=request.comment,
        etag=request.etag,
        once=once_in(request, faults, request.name, without=secret),
        validate_only=request.validate_only,
    )


def _is_sensitive(name: str) -> bool:
    key = key_named(name)
    return key is not None and key.sensitive


def order_of(request: Changing) -> Order:
    """Returns the fields that all requests for a change have. Raises `Invalid`."""
    faults = Faults()
    order = order_in(request, faults)
    faults.raise_any()
    return order


def rollback_in(request: pb.RollbackConfigRequest) -> tuple[Order, int]:
    """Returns the order, and the number of the revision to roll back to. Raises `Invalid`."""
    faults = Faults()
    order = order_in(request, faults)
    found, example = REVISION.fullmatch(request.revision), f"{EXAMPLE}/revisions/12"
    shown = f"is {request.revision[:200]!r}" if request.revision else "is not set"
    if found is None:
        faults.add("revision", f"{shown}, it must be the name of a revision", example)
    elif found["config"] != request.name:
        faults.add("revision", f"{shown}, a revision of another key", f"{request.name}/revisions/12")
    faults.raise_any()
    assert found is not None
    return order, int(found["number"])


def value_in(request: pb.SetConfigRequest, order: Order) -> Value:
    """Returns the value to set. Raises `Invalid` for a value of the wrong type, `NotFound` for the key."""
    key, faults = declared(order.key), Faults()
    wanted, given = FIELDS[key.type], request.value.WhichOneof("kind")
    value: Value | None = None
    if given != wanted:
        fault = f"is {given}, this key takes {wanted}" if given else f"is not set, this key takes {wanted}"
        faults.add("value", fault, example_of(key))
    else:
        try:
            value = value_from(request.value)
        except DurationFault as fault:
            faults.add("value.duration_value", str(fault), example_of(key))
    faults.raise_any()
    assert value is not None
    return value


def config_to(setting: Setting) -> pb.Config:
    key = setting.key
    return pb.Config(
        name=COLLECTION + key.name,
        description=key.description,
        type=TYPES[key.type],
        value=value_to(setting.value),
        default_value=value_to(key.default),
        is_set=setting.is_set,
        sensitive=key.sensitive,
        unit=key.unit or ("characters" if key.type is ConfigType.STRING else ""),
        minimum=value_to(key.minimum),
        maximum=value_to(key.maximum),
        choices=key.choices,
        used_by=key.used_by,
        revision=setting.revision,
        etag=setting.etag,
        update_time=timestamp(setting.updated_at),
        updated_by=setting.updated_by,
    )


def revision_to(revision: Revision) -> pb.ConfigRevision:
    return pb.ConfigRevision(
        name=_revision_name(revision.key, revision.number),
        revision=revision.number,
        config=COLLECTION + revision.key,
        change=CHANGES[revision.change],
        old_value=value_to(value_at(revision, "old_value")),
        new_value=value_to(value_at(revision, "value")),
        sensitive=revision.sensitive,
        actor=revision.actor,
        create_time=timestamp(revision.created_at),
        comment=revision.comment,
        rolled_back_to=_revision_name(revision.key, revision.rolled_back_to),
    )


def _revision_name(key: str, number: int | None) -> str:
    return f"{COLLECTION}{key}/revisions/{number}" if number else ""


def chosen(settings: Sequence[Setting], prefixes: tuple[str, ...]) -> list[Setting]:
    """Returns the settings whose keys begin with one of the prefixes; all of them if there is no prefix."""
    return [one for one in settings if not prefixes or one.key.name.startswith(prefixes)]


def news_to(news: News, prefixes: tuple[str, ...]) -> pb.WatchConfigsResponse:
    return pb.WatchConfigsResponse(
        configs=map(config_to, chosen(news.settings, prefixes)),
        revision=news.place.revision,
        complete=news.complete,
        cursor=cursor_of(news.place),
    )
