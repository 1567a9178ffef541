"""Converts the live configuration to and from the messages of ConfigService."""

from __future__ import annotations

from celeriac.scheduler.v1 import config_pb2 as pb

from services.kernel.config_wire import FIELDS, value_from, value_to
from services.kernel.grpc.enums import wire_values
from services.kernel.grpc.wire import once_in, timestamp
from services.kernel.identity import current_subject
from services.kernel.live_keys import SECRET_NAME, SECRETS, ConfigType, Value, key_named
from services.kernel.validation import Faults
from services.scheduler.config.change import Order
from services.scheduler.config.feed import News
from services.scheduler.config.in_force import Change, Revision, Setting, declared, example_of, value_at

COLLECTION = "config/"
EXAMPLE = "config/monitor.tasks.retention"
TYPES = wire_values(pb.ConfigType, ConfigType)
CHANGES = wire_values(pb.ConfigChange, Change)
Changing = pb.SetConfigRequest | pb.ResetConfigRequest | pb.RollbackConfigRequest


def key_in(name: str, faults: Faults, field: str = "name") -> str:
    """Returns the key in a resource name; a fault is collected, and the key is empty if there is none."""
    if not name.startswith(COLLECTION) or len(name) == len(COLLECTION):
        faults.add(field, f"is {name[:200]!r}, not config/ and a key", EXAMPLE)
        return ""
    key = name.removeprefix(COLLECTION)
    if faults.text(field, name, EXAMPLE, most=200) and key.startswith(SECRETS):
        rule = '1 to 100 of a-z, 0-9, "-", "_", ".", beginning with a letter or digit'
        fault = f"is {name[:200]!r}; what follows {SECRETS!r} has {rule}"
        faults.unless(SECRET_NAME.fullmatch(key) is not None, field, fault, "config/secrets.smtp.password")
    return key


def key_of(name: str) -> str:
    """Returns the key in a resource name. Raises `Invalid`."""
    faults = Faults()
    key = key_in(name, faults)
    faults.raise_any()
    return key


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
    if isinstance(request, pb.RollbackConfigRequest):
        faults.unless(request.revision > 0, "revision", f"is {request.revision}, not a revision", "12")
    faults.raise_any()
    return order


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
        except OverflowError:
            faults.add("value.duration_value", "is not a span of time", example_of(key))
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
        revision=revision.number,
        name=COLLECTION + revision.key,
        change=CHANGES[revision.change],
        old_value=value_to(value_at(revision, "old_value")),
        new_value=value_to(value_at(revision, "value")),
        sensitive=revision.sensitive,
        actor=revision.actor,
        create_time=timestamp(revision.created_at),
        comment=revision.comment,
        rolled_back_to=revision.rolled_back_to or 0,
    )


def news_to(news: News, prefixes: tuple[str, ...]) -> pb.WatchConfigResponse:
    """Returns the settings whose keys begin with one of the prefixes; all of them if there is no prefix."""
    wanted = [one for one in news.settings if not prefixes or one.key.name.startswith(prefixes)]
    return pb.WatchConfigResponse(
        configs=map(config_to, wanted), revision=news.revision, complete=news.complete
    )
