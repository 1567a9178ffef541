from celeriac.access.v1 import policy_pb2 as _policy_pb2
from google.api import annotations_pb2 as _annotations_pb2
from google.api import client_pb2 as _client_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.api import resource_pb2 as _resource_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import field_mask_pb2 as _field_mask_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.type import latlng_pb2 as _latlng_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SolarEvent(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SOLAR_EVENT_UNSPECIFIED: _ClassVar[SolarEvent]
    SOLAR_EVENT_DAWN_ASTRONOMICAL: _ClassVar[SolarEvent]
    SOLAR_EVENT_DAWN_NAUTICAL: _ClassVar[SolarEvent]
    SOLAR_EVENT_DAWN_CIVIL: _ClassVar[SolarEvent]
    SOLAR_EVENT_SUNRISE: _ClassVar[SolarEvent]
    SOLAR_EVENT_SOLAR_NOON: _ClassVar[SolarEvent]
    SOLAR_EVENT_SUNSET: _ClassVar[SolarEvent]
    SOLAR_EVENT_DUSK_CIVIL: _ClassVar[SolarEvent]
    SOLAR_EVENT_DUSK_NAUTICAL: _ClassVar[SolarEvent]
    SOLAR_EVENT_DUSK_ASTRONOMICAL: _ClassVar[SolarEvent]

class MisfireAction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MISFIRE_ACTION_UNSPECIFIED: _ClassVar[MisfireAction]
    MISFIRE_ACTION_SKIP: _ClassVar[MisfireAction]
    MISFIRE_ACTION_RUN_ONCE: _ClassVar[MisfireAction]
    MISFIRE_ACTION_RUN_EACH: _ClassVar[MisfireAction]

class OverlapPolicy(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OVERLAP_POLICY_UNSPECIFIED: _ClassVar[OverlapPolicy]
    OVERLAP_POLICY_ALLOW: _ClassVar[OverlapPolicy]
    OVERLAP_POLICY_SKIP: _ClassVar[OverlapPolicy]
    OVERLAP_POLICY_QUEUE: _ClassVar[OverlapPolicy]
    OVERLAP_POLICY_CANCEL: _ClassVar[OverlapPolicy]

class RunState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RUN_STATE_UNSPECIFIED: _ClassVar[RunState]
    RUN_STATE_PENDING: _ClassVar[RunState]
    RUN_STATE_PUBLISHED: _ClassVar[RunState]
    RUN_STATE_SKIPPED: _ClassVar[RunState]
    RUN_STATE_WAITING: _ClassVar[RunState]
    RUN_STATE_LOST: _ClassVar[RunState]

class RunOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RUN_OUTCOME_UNSPECIFIED: _ClassVar[RunOutcome]
    RUN_OUTCOME_SUCCEEDED: _ClassVar[RunOutcome]
    RUN_OUTCOME_FAILED: _ClassVar[RunOutcome]
    RUN_OUTCOME_REVOKED: _ClassVar[RunOutcome]
    RUN_OUTCOME_REJECTED: _ClassVar[RunOutcome]
    RUN_OUTCOME_ENDED: _ClassVar[RunOutcome]
    RUN_OUTCOME_ORPHANED: _ClassVar[RunOutcome]

class ClockEffect(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CLOCK_EFFECT_UNSPECIFIED: _ClassVar[ClockEffect]
    CLOCK_EFFECT_SKIPPED: _ClassVar[ClockEffect]
    CLOCK_EFFECT_FIRST_ONLY: _ClassVar[ClockEffect]
    CLOCK_EFFECT_SECOND_PASS: _ClassVar[ClockEffect]

class BackfillOrder(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BACKFILL_ORDER_UNSPECIFIED: _ClassVar[BackfillOrder]
    BACKFILL_ORDER_OLDEST_FIRST: _ClassVar[BackfillOrder]
    BACKFILL_ORDER_NEWEST_FIRST: _ClassVar[BackfillOrder]

class BackfillState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BACKFILL_STATE_UNSPECIFIED: _ClassVar[BackfillState]
    BACKFILL_STATE_RUNNING: _ClassVar[BackfillState]
    BACKFILL_STATE_DONE: _ClassVar[BackfillState]
    BACKFILL_STATE_CANCELLED: _ClassVar[BackfillState]

class ScheduleEventKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SCHEDULE_EVENT_KIND_UNSPECIFIED: _ClassVar[ScheduleEventKind]
    SCHEDULE_EVENT_KIND_CREATED: _ClassVar[ScheduleEventKind]
    SCHEDULE_EVENT_KIND_UPDATED: _ClassVar[ScheduleEventKind]
    SCHEDULE_EVENT_KIND_DELETED: _ClassVar[ScheduleEventKind]
    SCHEDULE_EVENT_KIND_LEFT_FILTER: _ClassVar[ScheduleEventKind]

class ScheduleCondition(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SCHEDULE_CONDITION_UNSPECIFIED: _ClassVar[ScheduleCondition]
    SCHEDULE_CONDITION_ACTIVE: _ClassVar[ScheduleCondition]
    SCHEDULE_CONDITION_PAUSED: _ClassVar[ScheduleCondition]
    SCHEDULE_CONDITION_NOT_BEGUN: _ClassVar[ScheduleCondition]
    SCHEDULE_CONDITION_DONE: _ClassVar[ScheduleCondition]
    SCHEDULE_CONDITION_UNREADABLE: _ClassVar[ScheduleCondition]

class DueTimeDecision(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DUE_TIME_DECISION_UNSPECIFIED: _ClassVar[DueTimeDecision]
    DUE_TIME_DECISION_SENT: _ClassVar[DueTimeDecision]
    DUE_TIME_DECISION_UNSENT: _ClassVar[DueTimeDecision]
    DUE_TIME_DECISION_HELD_BACK: _ClassVar[DueTimeDecision]
    DUE_TIME_DECISION_OVERLAPPED: _ClassVar[DueTimeDecision]
    DUE_TIME_DECISION_MISSED: _ClassVar[DueTimeDecision]
    DUE_TIME_DECISION_PAUSED: _ClassVar[DueTimeDecision]
    DUE_TIME_DECISION_BEFORE_START: _ClassVar[DueTimeDecision]
    DUE_TIME_DECISION_AFTER_END: _ClassVar[DueTimeDecision]
    DUE_TIME_DECISION_MAX_RUNS: _ClassVar[DueTimeDecision]
    DUE_TIME_DECISION_EDITED: _ClassVar[DueTimeDecision]
    DUE_TIME_DECISION_DUE: _ClassVar[DueTimeDecision]
    DUE_TIME_DECISION_OVERDUE: _ClassVar[DueTimeDecision]
    DUE_TIME_DECISION_UNREADABLE: _ClassVar[DueTimeDecision]
    DUE_TIME_DECISION_REFUSED: _ClassVar[DueTimeDecision]
    DUE_TIME_DECISION_LOST: _ClassVar[DueTimeDecision]
    DUE_TIME_DECISION_UNKNOWN: _ClassVar[DueTimeDecision]

class TaskStage(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TASK_STAGE_UNSPECIFIED: _ClassVar[TaskStage]
    TASK_STAGE_QUEUED: _ClassVar[TaskStage]
    TASK_STAGE_RECEIVED: _ClassVar[TaskStage]
    TASK_STAGE_STARTED: _ClassVar[TaskStage]
    TASK_STAGE_RETRYING: _ClassVar[TaskStage]
    TASK_STAGE_ENDED: _ClassVar[TaskStage]
    TASK_STAGE_UNHEARD: _ClassVar[TaskStage]

class ScheduleEditKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SCHEDULE_EDIT_KIND_UNSPECIFIED: _ClassVar[ScheduleEditKind]
    SCHEDULE_EDIT_KIND_CREATED: _ClassVar[ScheduleEditKind]
    SCHEDULE_EDIT_KIND_UPDATED: _ClassVar[ScheduleEditKind]
    SCHEDULE_EDIT_KIND_PAUSED: _ClassVar[ScheduleEditKind]
    SCHEDULE_EDIT_KIND_RESUMED: _ClassVar[ScheduleEditKind]
SOLAR_EVENT_UNSPECIFIED: SolarEvent
SOLAR_EVENT_DAWN_ASTRONOMICAL: SolarEvent
SOLAR_EVENT_DAWN_NAUTICAL: SolarEvent
SOLAR_EVENT_DAWN_CIVIL: SolarEvent
SOLAR_EVENT_SUNRISE: SolarEvent
SOLAR_EVENT_SOLAR_NOON: SolarEvent
SOLAR_EVENT_SUNSET: SolarEvent
SOLAR_EVENT_DUSK_CIVIL: SolarEvent
SOLAR_EVENT_DUSK_NAUTICAL: SolarEvent
SOLAR_EVENT_DUSK_ASTRONOMICAL: SolarEvent
MISFIRE_ACTION_UNSPECIFIED: MisfireAction
MISFIRE_ACTION_SKIP: MisfireAction
MISFIRE_ACTION_RUN_ONCE: MisfireAction
MISFIRE_ACTION_RUN_EACH: MisfireAction
OVERLAP_POLICY_UNSPECIFIED: OverlapPolicy
OVERLAP_POLICY_ALLOW: OverlapPolicy
OVERLAP_POLICY_SKIP: OverlapPolicy
OVERLAP_POLICY_QUEUE: OverlapPolicy
OVERLAP_POLICY_CANCEL: OverlapPolicy
RUN_STATE_UNSPECIFIED: RunState
RUN_STATE_PENDING: RunState
RUN_STATE_PUBLISHED: RunState
RUN_STATE_SKIPPED: RunState
RUN_STATE_WAITING: RunState
RUN_STATE_LOST: RunState
RUN_OUTCOME_UNSPECIFIED: RunOutcome
RUN_OUTCOME_SUCCEEDED: RunOutcome
RUN_OUTCOME_FAILED: RunOutcome
RUN_OUTCOME_REVOKED: RunOutcome
RUN_OUTCOME_REJECTED: RunOutcome
RUN_OUTCOME_ENDED: RunOutcome
RUN_OUTCOME_ORPHANED: RunOutcome
CLOCK_EFFECT_UNSPECIFIED: ClockEffect
CLOCK_EFFECT_SKIPPED: ClockEffect
CLOCK_EFFECT_FIRST_ONLY: ClockEffect
CLOCK_EFFECT_SECOND_PASS: ClockEffect
BACKFILL_ORDER_UNSPECIFIED: BackfillOrder
BACKFILL_ORDER_OLDEST_FIRST: BackfillOrder
BACKFILL_ORDER_NEWEST_FIRST: BackfillOrder
BACKFILL_STATE_UNSPECIFIED: BackfillState
BACKFILL_STATE_RUNNING: BackfillState
BACKFILL_STATE_DONE: BackfillState
BACKFILL_STATE_CANCELLED: BackfillState
SCHEDULE_EVENT_KIND_UNSPECIFIED: ScheduleEventKind
SCHEDULE_EVENT_KIND_CREATED: ScheduleEventKind
SCHEDULE_EVENT_KIND_UPDATED: ScheduleEventKind
SCHEDULE_EVENT_KIND_DELETED: ScheduleEventKind
SCHEDULE_EVENT_KIND_LEFT_FILTER: ScheduleEventKind
SCHEDULE_CONDITION_UNSPECIFIED: ScheduleCondition
SCHEDULE_CONDITION_ACTIVE: ScheduleCondition
SCHEDULE_CONDITION_PAUSED: ScheduleCondition
SCHEDULE_CONDITION_NOT_BEGUN: ScheduleCondition
SCHEDULE_CONDITION_DONE: ScheduleCondition
SCHEDULE_CONDITION_UNREADABLE: ScheduleCondition
DUE_TIME_DECISION_UNSPECIFIED: DueTimeDecision
DUE_TIME_DECISION_SENT: DueTimeDecision
DUE_TIME_DECISION_UNSENT: DueTimeDecision
DUE_TIME_DECISION_HELD_BACK: DueTimeDecision
DUE_TIME_DECISION_OVERLAPPED: DueTimeDecision
DUE_TIME_DECISION_MISSED: DueTimeDecision
DUE_TIME_DECISION_PAUSED: DueTimeDecision
DUE_TIME_DECISION_BEFORE_START: DueTimeDecision
DUE_TIME_DECISION_AFTER_END: DueTimeDecision
DUE_TIME_DECISION_MAX_RUNS: DueTimeDecision
DUE_TIME_DECISION_EDITED: DueTimeDecision
DUE_TIME_DECISION_DUE: DueTimeDecision
DUE_TIME_DECISION_OVERDUE: DueTimeDecision
DUE_TIME_DECISION_UNREADABLE: DueTimeDecision
DUE_TIME_DECISION_REFUSED: DueTimeDecision
DUE_TIME_DECISION_LOST: DueTimeDecision
DUE_TIME_DECISION_UNKNOWN: DueTimeDecision
TASK_STAGE_UNSPECIFIED: TaskStage
TASK_STAGE_QUEUED: TaskStage
TASK_STAGE_RECEIVED: TaskStage
TASK_STAGE_STARTED: TaskStage
TASK_STAGE_RETRYING: TaskStage
TASK_STAGE_ENDED: TaskStage
TASK_STAGE_UNHEARD: TaskStage
SCHEDULE_EDIT_KIND_UNSPECIFIED: ScheduleEditKind
SCHEDULE_EDIT_KIND_CREATED: ScheduleEditKind
SCHEDULE_EDIT_KIND_UPDATED: ScheduleEditKind
SCHEDULE_EDIT_KIND_PAUSED: ScheduleEditKind
SCHEDULE_EDIT_KIND_RESUMED: ScheduleEditKind

class Crontab(_message.Message):
    __slots__ = ("expression",)
    EXPRESSION_FIELD_NUMBER: _ClassVar[int]
    expression: str
    def __init__(self, expression: _Optional[str] = ...) -> None: ...

class Interval(_message.Message):
    __slots__ = ("every", "anchor")
    EVERY_FIELD_NUMBER: _ClassVar[int]
    ANCHOR_FIELD_NUMBER: _ClassVar[int]
    every: _duration_pb2.Duration
    anchor: _timestamp_pb2.Timestamp
    def __init__(self, every: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., anchor: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Once(_message.Message):
    __slots__ = ("at",)
    AT_FIELD_NUMBER: _ClassVar[int]
    at: _timestamp_pb2.Timestamp
    def __init__(self, at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Solar(_message.Message):
    __slots__ = ("event", "place")
    EVENT_FIELD_NUMBER: _ClassVar[int]
    PLACE_FIELD_NUMBER: _ClassVar[int]
    event: SolarEvent
    place: _latlng_pb2.LatLng
    def __init__(self, event: _Optional[_Union[SolarEvent, str]] = ..., place: _Optional[_Union[_latlng_pb2.LatLng, _Mapping]] = ...) -> None: ...

class Timing(_message.Message):
    __slots__ = ("crontab", "interval", "once", "solar", "time_zone")
    CRONTAB_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_FIELD_NUMBER: _ClassVar[int]
    ONCE_FIELD_NUMBER: _ClassVar[int]
    SOLAR_FIELD_NUMBER: _ClassVar[int]
    TIME_ZONE_FIELD_NUMBER: _ClassVar[int]
    crontab: Crontab
    interval: Interval
    once: Once
    solar: Solar
    time_zone: str
    def __init__(self, crontab: _Optional[_Union[Crontab, _Mapping]] = ..., interval: _Optional[_Union[Interval, _Mapping]] = ..., once: _Optional[_Union[Once, _Mapping]] = ..., solar: _Optional[_Union[Solar, _Mapping]] = ..., time_zone: _Optional[str] = ...) -> None: ...

class TaskSpec(_message.Message):
    __slots__ = ("task_name", "args_json", "kwargs_json", "queue", "priority", "expires", "soft_time_limit", "time_limit", "headers")
    class HeadersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    TASK_NAME_FIELD_NUMBER: _ClassVar[int]
    ARGS_JSON_FIELD_NUMBER: _ClassVar[int]
    KWARGS_JSON_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_FIELD_NUMBER: _ClassVar[int]
    SOFT_TIME_LIMIT_FIELD_NUMBER: _ClassVar[int]
    TIME_LIMIT_FIELD_NUMBER: _ClassVar[int]
    HEADERS_FIELD_NUMBER: _ClassVar[int]
    task_name: str
    args_json: str
    kwargs_json: str
    queue: str
    priority: int
    expires: _duration_pb2.Duration
    soft_time_limit: _duration_pb2.Duration
    time_limit: _duration_pb2.Duration
    headers: _containers.ScalarMap[str, str]
    def __init__(self, task_name: _Optional[str] = ..., args_json: _Optional[str] = ..., kwargs_json: _Optional[str] = ..., queue: _Optional[str] = ..., priority: _Optional[int] = ..., expires: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., soft_time_limit: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., time_limit: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., headers: _Optional[_Mapping[str, str]] = ...) -> None: ...

class MisfirePolicy(_message.Message):
    __slots__ = ("action", "window")
    ACTION_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    action: MisfireAction
    window: _duration_pb2.Duration
    def __init__(self, action: _Optional[_Union[MisfireAction, str]] = ..., window: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class Schedule(_message.Message):
    __slots__ = ("name", "task", "timing", "paused", "pause_note", "description", "labels", "next_run_time", "last_run_time", "create_time", "update_time", "etag", "start_time", "end_time", "max_runs", "jitter", "misfire_policy", "run_count", "overlap_policy", "resend_lost", "pause_after_failures", "fault")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    TIMING_FIELD_NUMBER: _ClassVar[int]
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    PAUSE_NOTE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    NEXT_RUN_TIME_FIELD_NUMBER: _ClassVar[int]
    LAST_RUN_TIME_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    MAX_RUNS_FIELD_NUMBER: _ClassVar[int]
    JITTER_FIELD_NUMBER: _ClassVar[int]
    MISFIRE_POLICY_FIELD_NUMBER: _ClassVar[int]
    RUN_COUNT_FIELD_NUMBER: _ClassVar[int]
    OVERLAP_POLICY_FIELD_NUMBER: _ClassVar[int]
    RESEND_LOST_FIELD_NUMBER: _ClassVar[int]
    PAUSE_AFTER_FAILURES_FIELD_NUMBER: _ClassVar[int]
    FAULT_FIELD_NUMBER: _ClassVar[int]
    name: str
    task: TaskSpec
    timing: Timing
    paused: bool
    pause_note: str
    description: str
    labels: _containers.ScalarMap[str, str]
    next_run_time: _timestamp_pb2.Timestamp
    last_run_time: _timestamp_pb2.Timestamp
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    etag: str
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    max_runs: int
    jitter: _duration_pb2.Duration
    misfire_policy: MisfirePolicy
    run_count: int
    overlap_policy: OverlapPolicy
    resend_lost: bool
    pause_after_failures: int
    fault: str
    def __init__(self, name: _Optional[str] = ..., task: _Optional[_Union[TaskSpec, _Mapping]] = ..., timing: _Optional[_Union[Timing, _Mapping]] = ..., paused: bool = ..., pause_note: _Optional[str] = ..., description: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., next_run_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., last_run_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., create_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., etag: _Optional[str] = ..., start_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., max_runs: _Optional[int] = ..., jitter: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., misfire_policy: _Optional[_Union[MisfirePolicy, _Mapping]] = ..., run_count: _Optional[int] = ..., overlap_policy: _Optional[_Union[OverlapPolicy, str]] = ..., resend_lost: bool = ..., pause_after_failures: _Optional[int] = ..., fault: _Optional[str] = ...) -> None: ...

class Run(_message.Message):
    __slots__ = ("name", "due_time", "state", "reason", "task", "publish_time", "outcome", "runtime", "error", "end_time")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DUE_TIME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    PUBLISH_TIME_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    RUNTIME_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    name: str
    due_time: _timestamp_pb2.Timestamp
    state: RunState
    reason: str
    task: str
    publish_time: _timestamp_pb2.Timestamp
    outcome: RunOutcome
    runtime: _duration_pb2.Duration
    error: str
    end_time: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., due_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., state: _Optional[_Union[RunState, str]] = ..., reason: _Optional[str] = ..., task: _Optional[str] = ..., publish_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., outcome: _Optional[_Union[RunOutcome, str]] = ..., runtime: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., error: _Optional[str] = ..., end_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class CreateScheduleRequest(_message.Message):
    __slots__ = ("schedule", "request_id")
    SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    schedule: Schedule
    request_id: str
    def __init__(self, schedule: _Optional[_Union[Schedule, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class CreateScheduleResponse(_message.Message):
    __slots__ = ("schedule",)
    SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    schedule: Schedule
    def __init__(self, schedule: _Optional[_Union[Schedule, _Mapping]] = ...) -> None: ...

class GetScheduleRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetScheduleResponse(_message.Message):
    __slots__ = ("schedule",)
    SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    schedule: Schedule
    def __init__(self, schedule: _Optional[_Union[Schedule, _Mapping]] = ...) -> None: ...

class ListSchedulesRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "text", "task_names", "queues", "paused", "labels", "order_by")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    TASK_NAMES_FIELD_NUMBER: _ClassVar[int]
    QUEUES_FIELD_NUMBER: _ClassVar[int]
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    ORDER_BY_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    text: str
    task_names: _containers.RepeatedScalarFieldContainer[str]
    queues: _containers.RepeatedScalarFieldContainer[str]
    paused: bool
    labels: _containers.RepeatedScalarFieldContainer[str]
    order_by: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., text: _Optional[str] = ..., task_names: _Optional[_Iterable[str]] = ..., queues: _Optional[_Iterable[str]] = ..., paused: bool = ..., labels: _Optional[_Iterable[str]] = ..., order_by: _Optional[str] = ...) -> None: ...

class ListSchedulesResponse(_message.Message):
    __slots__ = ("schedules", "next_page_token")
    SCHEDULES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    schedules: _containers.RepeatedCompositeFieldContainer[Schedule]
    next_page_token: str
    def __init__(self, schedules: _Optional[_Iterable[_Union[Schedule, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class UpdateScheduleRequest(_message.Message):
    __slots__ = ("schedule", "update_mask")
    SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    UPDATE_MASK_FIELD_NUMBER: _ClassVar[int]
    schedule: Schedule
    update_mask: _field_mask_pb2.FieldMask
    def __init__(self, schedule: _Optional[_Union[Schedule, _Mapping]] = ..., update_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ...) -> None: ...

class UpdateScheduleResponse(_message.Message):
    __slots__ = ("schedule",)
    SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    schedule: Schedule
    def __init__(self, schedule: _Optional[_Union[Schedule, _Mapping]] = ...) -> None: ...

class DeleteScheduleRequest(_message.Message):
    __slots__ = ("name", "etag")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    name: str
    etag: str
    def __init__(self, name: _Optional[str] = ..., etag: _Optional[str] = ...) -> None: ...

class DeleteScheduleResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class PauseScheduleRequest(_message.Message):
    __slots__ = ("name", "note")
    NAME_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    name: str
    note: str
    def __init__(self, name: _Optional[str] = ..., note: _Optional[str] = ...) -> None: ...

class PauseScheduleResponse(_message.Message):
    __slots__ = ("schedule",)
    SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    schedule: Schedule
    def __init__(self, schedule: _Optional[_Union[Schedule, _Mapping]] = ...) -> None: ...

class ResumeScheduleRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ResumeScheduleResponse(_message.Message):
    __slots__ = ("schedule",)
    SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    schedule: Schedule
    def __init__(self, schedule: _Optional[_Union[Schedule, _Mapping]] = ...) -> None: ...

class TriggerScheduleRequest(_message.Message):
    __slots__ = ("name", "request_id")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    request_id: str
    def __init__(self, name: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class TriggerScheduleResponse(_message.Message):
    __slots__ = ("run",)
    RUN_FIELD_NUMBER: _ClassVar[int]
    run: Run
    def __init__(self, run: _Optional[_Union[Run, _Mapping]] = ...) -> None: ...

class PreviewTimesRequest(_message.Message):
    __slots__ = ("name", "timing", "schedule", "start_time", "count")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TIMING_FIELD_NUMBER: _ClassVar[int]
    SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    name: str
    timing: Timing
    schedule: Schedule
    start_time: _timestamp_pb2.Timestamp
    count: int
    def __init__(self, name: _Optional[str] = ..., timing: _Optional[_Union[Timing, _Mapping]] = ..., schedule: _Optional[_Union[Schedule, _Mapping]] = ..., start_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., count: _Optional[int] = ...) -> None: ...

class PreviewTimesResponse(_message.Message):
    __slots__ = ("times", "send_times", "looked_until", "clock_marks")
    TIMES_FIELD_NUMBER: _ClassVar[int]
    SEND_TIMES_FIELD_NUMBER: _ClassVar[int]
    LOOKED_UNTIL_FIELD_NUMBER: _ClassVar[int]
    CLOCK_MARKS_FIELD_NUMBER: _ClassVar[int]
    times: _containers.RepeatedCompositeFieldContainer[_timestamp_pb2.Timestamp]
    send_times: _containers.RepeatedCompositeFieldContainer[_timestamp_pb2.Timestamp]
    looked_until: _timestamp_pb2.Timestamp
    clock_marks: _containers.RepeatedCompositeFieldContainer[ClockMark]
    def __init__(self, times: _Optional[_Iterable[_Union[_timestamp_pb2.Timestamp, _Mapping]]] = ..., send_times: _Optional[_Iterable[_Union[_timestamp_pb2.Timestamp, _Mapping]]] = ..., looked_until: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., clock_marks: _Optional[_Iterable[_Union[ClockMark, _Mapping]]] = ...) -> None: ...

class ClockMark(_message.Message):
    __slots__ = ("time", "effect")
    TIME_FIELD_NUMBER: _ClassVar[int]
    EFFECT_FIELD_NUMBER: _ClassVar[int]
    time: _timestamp_pb2.Timestamp
    effect: ClockEffect
    def __init__(self, time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., effect: _Optional[_Union[ClockEffect, str]] = ...) -> None: ...

class GetRunRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetRunResponse(_message.Message):
    __slots__ = ("run",)
    RUN_FIELD_NUMBER: _ClassVar[int]
    run: Run
    def __init__(self, run: _Optional[_Union[Run, _Mapping]] = ...) -> None: ...

class ListRunsRequest(_message.Message):
    __slots__ = ("parent", "page_size", "page_token", "states", "outcomes", "start_time", "end_time")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    OUTCOMES_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    parent: str
    page_size: int
    page_token: str
    states: _containers.RepeatedScalarFieldContainer[RunState]
    outcomes: _containers.RepeatedScalarFieldContainer[RunOutcome]
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    def __init__(self, parent: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., states: _Optional[_Iterable[_Union[RunState, str]]] = ..., outcomes: _Optional[_Iterable[_Union[RunOutcome, str]]] = ..., start_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ListRunsResponse(_message.Message):
    __slots__ = ("runs", "next_page_token")
    RUNS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    runs: _containers.RepeatedCompositeFieldContainer[Run]
    next_page_token: str
    def __init__(self, runs: _Optional[_Iterable[_Union[Run, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class Backfill(_message.Message):
    __slots__ = ("name", "state", "start_time", "end_time", "order", "rate", "run_count", "sent_count", "passed_count", "first_due_time", "last_due_time", "actor", "note", "create_time", "finish_time", "operation")
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    RATE_FIELD_NUMBER: _ClassVar[int]
    RUN_COUNT_FIELD_NUMBER: _ClassVar[int]
    SENT_COUNT_FIELD_NUMBER: _ClassVar[int]
    PASSED_COUNT_FIELD_NUMBER: _ClassVar[int]
    FIRST_DUE_TIME_FIELD_NUMBER: _ClassVar[int]
    LAST_DUE_TIME_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    FINISH_TIME_FIELD_NUMBER: _ClassVar[int]
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    name: str
    state: BackfillState
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    order: BackfillOrder
    rate: float
    run_count: int
    sent_count: int
    passed_count: int
    first_due_time: _timestamp_pb2.Timestamp
    last_due_time: _timestamp_pb2.Timestamp
    actor: str
    note: str
    create_time: _timestamp_pb2.Timestamp
    finish_time: _timestamp_pb2.Timestamp
    operation: str
    def __init__(self, name: _Optional[str] = ..., state: _Optional[_Union[BackfillState, str]] = ..., start_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., order: _Optional[_Union[BackfillOrder, str]] = ..., rate: _Optional[float] = ..., run_count: _Optional[int] = ..., sent_count: _Optional[int] = ..., passed_count: _Optional[int] = ..., first_due_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., last_due_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., actor: _Optional[str] = ..., note: _Optional[str] = ..., create_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., finish_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., operation: _Optional[str] = ...) -> None: ...

class BackfillScheduleRequest(_message.Message):
    __slots__ = ("name", "start_time", "end_time", "max_runs", "rate", "order", "validate_only", "request_id")
    NAME_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    MAX_RUNS_FIELD_NUMBER: _ClassVar[int]
    RATE_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    max_runs: int
    rate: float
    order: BackfillOrder
    validate_only: bool
    request_id: str
    def __init__(self, name: _Optional[str] = ..., start_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., max_runs: _Optional[int] = ..., rate: _Optional[float] = ..., order: _Optional[_Union[BackfillOrder, str]] = ..., validate_only: bool = ..., request_id: _Optional[str] = ...) -> None: ...

class BackfillScheduleResponse(_message.Message):
    __slots__ = ("backfill",)
    BACKFILL_FIELD_NUMBER: _ClassVar[int]
    backfill: Backfill
    def __init__(self, backfill: _Optional[_Union[Backfill, _Mapping]] = ...) -> None: ...

class GetBackfillRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetBackfillResponse(_message.Message):
    __slots__ = ("backfill",)
    BACKFILL_FIELD_NUMBER: _ClassVar[int]
    backfill: Backfill
    def __init__(self, backfill: _Optional[_Union[Backfill, _Mapping]] = ...) -> None: ...

class ListBackfillsRequest(_message.Message):
    __slots__ = ("parent", "page_size", "page_token")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    parent: str
    page_size: int
    page_token: str
    def __init__(self, parent: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListBackfillsResponse(_message.Message):
    __slots__ = ("backfills", "next_page_token")
    BACKFILLS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    backfills: _containers.RepeatedCompositeFieldContainer[Backfill]
    next_page_token: str
    def __init__(self, backfills: _Optional[_Iterable[_Union[Backfill, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class CancelBackfillRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class CancelBackfillResponse(_message.Message):
    __slots__ = ("backfill",)
    BACKFILL_FIELD_NUMBER: _ClassVar[int]
    backfill: Backfill
    def __init__(self, backfill: _Optional[_Union[Backfill, _Mapping]] = ...) -> None: ...

class WatchSchedulesRequest(_message.Message):
    __slots__ = ("names", "without_schedules", "without_runs", "cursor", "text", "task_names", "queues", "paused", "labels", "without_backfills")
    NAMES_FIELD_NUMBER: _ClassVar[int]
    WITHOUT_SCHEDULES_FIELD_NUMBER: _ClassVar[int]
    WITHOUT_RUNS_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    TASK_NAMES_FIELD_NUMBER: _ClassVar[int]
    QUEUES_FIELD_NUMBER: _ClassVar[int]
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    WITHOUT_BACKFILLS_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedScalarFieldContainer[str]
    without_schedules: bool
    without_runs: bool
    cursor: str
    text: str
    task_names: _containers.RepeatedScalarFieldContainer[str]
    queues: _containers.RepeatedScalarFieldContainer[str]
    paused: bool
    labels: _containers.RepeatedScalarFieldContainer[str]
    without_backfills: bool
    def __init__(self, names: _Optional[_Iterable[str]] = ..., without_schedules: bool = ..., without_runs: bool = ..., cursor: _Optional[str] = ..., text: _Optional[str] = ..., task_names: _Optional[_Iterable[str]] = ..., queues: _Optional[_Iterable[str]] = ..., paused: bool = ..., labels: _Optional[_Iterable[str]] = ..., without_backfills: bool = ...) -> None: ...

class ScheduleEvent(_message.Message):
    __slots__ = ("kind", "name", "schedule")
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    kind: ScheduleEventKind
    name: str
    schedule: Schedule
    def __init__(self, kind: _Optional[_Union[ScheduleEventKind, str]] = ..., name: _Optional[str] = ..., schedule: _Optional[_Union[Schedule, _Mapping]] = ...) -> None: ...

class RunEvents(_message.Message):
    __slots__ = ("runs",)
    RUNS_FIELD_NUMBER: _ClassVar[int]
    runs: _containers.RepeatedCompositeFieldContainer[Run]
    def __init__(self, runs: _Optional[_Iterable[_Union[Run, _Mapping]]] = ...) -> None: ...

class WatchSchedulesResponse(_message.Message):
    __slots__ = ("schedule", "runs", "backfill", "cursor", "left_out_count")
    SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    RUNS_FIELD_NUMBER: _ClassVar[int]
    BACKFILL_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    LEFT_OUT_COUNT_FIELD_NUMBER: _ClassVar[int]
    schedule: ScheduleEvent
    runs: RunEvents
    backfill: Backfill
    cursor: str
    left_out_count: int
    def __init__(self, schedule: _Optional[_Union[ScheduleEvent, _Mapping]] = ..., runs: _Optional[_Union[RunEvents, _Mapping]] = ..., backfill: _Optional[_Union[Backfill, _Mapping]] = ..., cursor: _Optional[str] = ..., left_out_count: _Optional[int] = ...) -> None: ...

class BatchGetRunTasksRequest(_message.Message):
    __slots__ = ("names",)
    NAMES_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, names: _Optional[_Iterable[str]] = ...) -> None: ...

class RunTask(_message.Message):
    __slots__ = ("run", "task", "spec")
    RUN_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    run: str
    task: str
    spec: TaskSpec
    def __init__(self, run: _Optional[str] = ..., task: _Optional[str] = ..., spec: _Optional[_Union[TaskSpec, _Mapping]] = ...) -> None: ...

class BatchGetRunTasksResponse(_message.Message):
    __slots__ = ("run_tasks",)
    RUN_TASKS_FIELD_NUMBER: _ClassVar[int]
    run_tasks: _containers.RepeatedCompositeFieldContainer[RunTask]
    def __init__(self, run_tasks: _Optional[_Iterable[_Union[RunTask, _Mapping]]] = ...) -> None: ...

class ScheduleEdit(_message.Message):
    __slots__ = ("edit_time", "kind", "actor", "fields", "pause_note")
    EDIT_TIME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    PAUSE_NOTE_FIELD_NUMBER: _ClassVar[int]
    edit_time: _timestamp_pb2.Timestamp
    kind: ScheduleEditKind
    actor: str
    fields: _containers.RepeatedScalarFieldContainer[str]
    pause_note: str
    def __init__(self, edit_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., kind: _Optional[_Union[ScheduleEditKind, str]] = ..., actor: _Optional[str] = ..., fields: _Optional[_Iterable[str]] = ..., pause_note: _Optional[str] = ...) -> None: ...

class ScheduleQueue(_message.Message):
    __slots__ = ("queue", "length", "unacknowledged", "consumers", "absent_consumers", "pause_time")
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    UNACKNOWLEDGED_FIELD_NUMBER: _ClassVar[int]
    CONSUMERS_FIELD_NUMBER: _ClassVar[int]
    ABSENT_CONSUMERS_FIELD_NUMBER: _ClassVar[int]
    PAUSE_TIME_FIELD_NUMBER: _ClassVar[int]
    queue: str
    length: int
    unacknowledged: int
    consumers: _containers.RepeatedScalarFieldContainer[str]
    absent_consumers: _containers.RepeatedScalarFieldContainer[str]
    pause_time: _timestamp_pb2.Timestamp
    def __init__(self, queue: _Optional[str] = ..., length: _Optional[int] = ..., unacknowledged: _Optional[int] = ..., consumers: _Optional[_Iterable[str]] = ..., absent_consumers: _Optional[_Iterable[str]] = ..., pause_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class DueTimeExplanation(_message.Message):
    __slots__ = ("due_time", "decision", "reason", "next_step", "run", "queue", "stage", "worker")
    DUE_TIME_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    NEXT_STEP_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    due_time: _timestamp_pb2.Timestamp
    decision: DueTimeDecision
    reason: str
    next_step: str
    run: Run
    queue: str
    stage: TaskStage
    worker: str
    def __init__(self, due_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., decision: _Optional[_Union[DueTimeDecision, str]] = ..., reason: _Optional[str] = ..., next_step: _Optional[str] = ..., run: _Optional[_Union[Run, _Mapping]] = ..., queue: _Optional[str] = ..., stage: _Optional[_Union[TaskStage, str]] = ..., worker: _Optional[str] = ...) -> None: ...

class ExplainScheduleRequest(_message.Message):
    __slots__ = ("name", "start_time", "end_time", "count")
    NAME_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    name: str
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    count: int
    def __init__(self, name: _Optional[str] = ..., start_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., count: _Optional[int] = ...) -> None: ...

class ExplainScheduleResponse(_message.Message):
    __slots__ = ("condition", "summary", "next_step", "next_run_time", "due_times", "older_left_out", "edits", "queues", "start_time", "end_time", "history_start_time", "monitor_fault")
    CONDITION_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    NEXT_STEP_FIELD_NUMBER: _ClassVar[int]
    NEXT_RUN_TIME_FIELD_NUMBER: _ClassVar[int]
    DUE_TIMES_FIELD_NUMBER: _ClassVar[int]
    OLDER_LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
    EDITS_FIELD_NUMBER: _ClassVar[int]
    QUEUES_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    HISTORY_START_TIME_FIELD_NUMBER: _ClassVar[int]
    MONITOR_FAULT_FIELD_NUMBER: _ClassVar[int]
    condition: ScheduleCondition
    summary: str
    next_step: str
    next_run_time: _timestamp_pb2.Timestamp
    due_times: _containers.RepeatedCompositeFieldContainer[DueTimeExplanation]
    older_left_out: bool
    edits: _containers.RepeatedCompositeFieldContainer[ScheduleEdit]
    queues: _containers.RepeatedCompositeFieldContainer[ScheduleQueue]
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    history_start_time: _timestamp_pb2.Timestamp
    monitor_fault: str
    def __init__(self, condition: _Optional[_Union[ScheduleCondition, str]] = ..., summary: _Optional[str] = ..., next_step: _Optional[str] = ..., next_run_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., due_times: _Optional[_Iterable[_Union[DueTimeExplanation, _Mapping]]] = ..., older_left_out: bool = ..., edits: _Optional[_Iterable[_Union[ScheduleEdit, _Mapping]]] = ..., queues: _Optional[_Iterable[_Union[ScheduleQueue, _Mapping]]] = ..., start_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., history_start_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., monitor_fault: _Optional[str] = ...) -> None: ...
