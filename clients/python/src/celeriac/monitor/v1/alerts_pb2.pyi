from celeriac.access.v1 import policy_pb2 as _policy_pb2
from google.api import annotations_pb2 as _annotations_pb2
from google.api import client_pb2 as _client_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.api import resource_pb2 as _resource_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import field_mask_pb2 as _field_mask_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AlertComparison(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ALERT_COMPARISON_UNSPECIFIED: _ClassVar[AlertComparison]
    ALERT_COMPARISON_ABOVE: _ClassVar[AlertComparison]
    ALERT_COMPARISON_AT_LEAST: _ClassVar[AlertComparison]
    ALERT_COMPARISON_BELOW: _ClassVar[AlertComparison]
    ALERT_COMPARISON_AT_MOST: _ClassVar[AlertComparison]

class AlertSeverity(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ALERT_SEVERITY_UNSPECIFIED: _ClassVar[AlertSeverity]
    ALERT_SEVERITY_INFO: _ClassVar[AlertSeverity]
    ALERT_SEVERITY_WARNING: _ClassVar[AlertSeverity]
    ALERT_SEVERITY_CRITICAL: _ClassVar[AlertSeverity]

class AlertState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ALERT_STATE_UNSPECIFIED: _ClassVar[AlertState]
    ALERT_STATE_FIRING: _ClassVar[AlertState]
    ALERT_STATE_RESOLVED: _ClassVar[AlertState]

class AlertDeliveryState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ALERT_DELIVERY_STATE_UNSPECIFIED: _ClassVar[AlertDeliveryState]
    ALERT_DELIVERY_STATE_WAITING: _ClassVar[AlertDeliveryState]
    ALERT_DELIVERY_STATE_DELIVERED: _ClassVar[AlertDeliveryState]
    ALERT_DELIVERY_STATE_GIVEN_UP: _ClassVar[AlertDeliveryState]
ALERT_COMPARISON_UNSPECIFIED: AlertComparison
ALERT_COMPARISON_ABOVE: AlertComparison
ALERT_COMPARISON_AT_LEAST: AlertComparison
ALERT_COMPARISON_BELOW: AlertComparison
ALERT_COMPARISON_AT_MOST: AlertComparison
ALERT_SEVERITY_UNSPECIFIED: AlertSeverity
ALERT_SEVERITY_INFO: AlertSeverity
ALERT_SEVERITY_WARNING: AlertSeverity
ALERT_SEVERITY_CRITICAL: AlertSeverity
ALERT_STATE_UNSPECIFIED: AlertState
ALERT_STATE_FIRING: AlertState
ALERT_STATE_RESOLVED: AlertState
ALERT_DELIVERY_STATE_UNSPECIFIED: AlertDeliveryState
ALERT_DELIVERY_STATE_WAITING: AlertDeliveryState
ALERT_DELIVERY_STATE_DELIVERED: AlertDeliveryState
ALERT_DELIVERY_STATE_GIVEN_UP: AlertDeliveryState

class AlertRule(_message.Message):
    __slots__ = ("name", "description", "measure", "comparison", "threshold", "hold_duration", "clear_threshold", "clear_duration", "severity", "subject_patterns", "excluded_subject_patterns", "labels", "paused", "runbook_url", "standing", "changed", "update_time", "updated_by", "etag")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    MEASURE_FIELD_NUMBER: _ClassVar[int]
    COMPARISON_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    HOLD_DURATION_FIELD_NUMBER: _ClassVar[int]
    CLEAR_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    CLEAR_DURATION_FIELD_NUMBER: _ClassVar[int]
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_PATTERNS_FIELD_NUMBER: _ClassVar[int]
    EXCLUDED_SUBJECT_PATTERNS_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    RUNBOOK_URL_FIELD_NUMBER: _ClassVar[int]
    STANDING_FIELD_NUMBER: _ClassVar[int]
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATED_BY_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    name: str
    description: str
    measure: str
    comparison: AlertComparison
    threshold: float
    hold_duration: _duration_pb2.Duration
    clear_threshold: float
    clear_duration: _duration_pb2.Duration
    severity: AlertSeverity
    subject_patterns: _containers.RepeatedScalarFieldContainer[str]
    excluded_subject_patterns: _containers.RepeatedScalarFieldContainer[str]
    labels: _containers.ScalarMap[str, str]
    paused: bool
    runbook_url: str
    standing: bool
    changed: bool
    update_time: _timestamp_pb2.Timestamp
    updated_by: str
    etag: str
    def __init__(self, name: _Optional[str] = ..., description: _Optional[str] = ..., measure: _Optional[str] = ..., comparison: _Optional[_Union[AlertComparison, str]] = ..., threshold: _Optional[float] = ..., hold_duration: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., clear_threshold: _Optional[float] = ..., clear_duration: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., severity: _Optional[_Union[AlertSeverity, str]] = ..., subject_patterns: _Optional[_Iterable[str]] = ..., excluded_subject_patterns: _Optional[_Iterable[str]] = ..., labels: _Optional[_Mapping[str, str]] = ..., paused: bool = ..., runbook_url: _Optional[str] = ..., standing: bool = ..., changed: bool = ..., update_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., updated_by: _Optional[str] = ..., etag: _Optional[str] = ...) -> None: ...

class AlertTrial(_message.Message):
    __slots__ = ("start_time", "end_time", "alerts", "alert_count", "note")
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    ALERTS_FIELD_NUMBER: _ClassVar[int]
    ALERT_COUNT_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    alerts: _containers.RepeatedCompositeFieldContainer[TriedAlert]
    alert_count: int
    note: str
    def __init__(self, start_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., alerts: _Optional[_Iterable[_Union[TriedAlert, _Mapping]]] = ..., alert_count: _Optional[int] = ..., note: _Optional[str] = ...) -> None: ...

class TriedAlert(_message.Message):
    __slots__ = ("subject", "fire_time", "end_time", "worst_value")
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    FIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    WORST_VALUE_FIELD_NUMBER: _ClassVar[int]
    subject: str
    fire_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    worst_value: float
    def __init__(self, subject: _Optional[str] = ..., fire_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., worst_value: _Optional[float] = ...) -> None: ...

class ListAlertRulesRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListAlertRulesResponse(_message.Message):
    __slots__ = ("rules", "next_page_token")
    RULES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    rules: _containers.RepeatedCompositeFieldContainer[AlertRule]
    next_page_token: str
    def __init__(self, rules: _Optional[_Iterable[_Union[AlertRule, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetAlertRuleRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetAlertRuleResponse(_message.Message):
    __slots__ = ("rule",)
    RULE_FIELD_NUMBER: _ClassVar[int]
    rule: AlertRule
    def __init__(self, rule: _Optional[_Union[AlertRule, _Mapping]] = ...) -> None: ...

class CreateAlertRuleRequest(_message.Message):
    __slots__ = ("alert_rule", "validate_only", "request_id")
    ALERT_RULE_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    alert_rule: AlertRule
    validate_only: bool
    request_id: str
    def __init__(self, alert_rule: _Optional[_Union[AlertRule, _Mapping]] = ..., validate_only: bool = ..., request_id: _Optional[str] = ...) -> None: ...

class CreateAlertRuleResponse(_message.Message):
    __slots__ = ("rule", "trial")
    RULE_FIELD_NUMBER: _ClassVar[int]
    TRIAL_FIELD_NUMBER: _ClassVar[int]
    rule: AlertRule
    trial: AlertTrial
    def __init__(self, rule: _Optional[_Union[AlertRule, _Mapping]] = ..., trial: _Optional[_Union[AlertTrial, _Mapping]] = ...) -> None: ...

class UpdateAlertRuleRequest(_message.Message):
    __slots__ = ("alert_rule", "update_mask", "validate_only")
    ALERT_RULE_FIELD_NUMBER: _ClassVar[int]
    UPDATE_MASK_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    alert_rule: AlertRule
    update_mask: _field_mask_pb2.FieldMask
    validate_only: bool
    def __init__(self, alert_rule: _Optional[_Union[AlertRule, _Mapping]] = ..., update_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ..., validate_only: bool = ...) -> None: ...

class UpdateAlertRuleResponse(_message.Message):
    __slots__ = ("rule", "trial")
    RULE_FIELD_NUMBER: _ClassVar[int]
    TRIAL_FIELD_NUMBER: _ClassVar[int]
    rule: AlertRule
    trial: AlertTrial
    def __init__(self, rule: _Optional[_Union[AlertRule, _Mapping]] = ..., trial: _Optional[_Union[AlertTrial, _Mapping]] = ...) -> None: ...

class DeleteAlertRuleRequest(_message.Message):
    __slots__ = ("name", "etag")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    name: str
    etag: str
    def __init__(self, name: _Optional[str] = ..., etag: _Optional[str] = ...) -> None: ...

class DeleteAlertRuleResponse(_message.Message):
    __slots__ = ("rule",)
    RULE_FIELD_NUMBER: _ClassVar[int]
    rule: AlertRule
    def __init__(self, rule: _Optional[_Union[AlertRule, _Mapping]] = ...) -> None: ...

class AlertDelivery(_message.Message):
    __slots__ = ("channel", "told_state", "state", "attempts", "error", "create_time", "deliver_time")
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    TOLD_STATE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    DELIVER_TIME_FIELD_NUMBER: _ClassVar[int]
    channel: str
    told_state: AlertState
    state: AlertDeliveryState
    attempts: int
    error: str
    create_time: _timestamp_pb2.Timestamp
    deliver_time: _timestamp_pb2.Timestamp
    def __init__(self, channel: _Optional[str] = ..., told_state: _Optional[_Union[AlertState, str]] = ..., state: _Optional[_Union[AlertDeliveryState, str]] = ..., attempts: _Optional[int] = ..., error: _Optional[str] = ..., create_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., deliver_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Alert(_message.Message):
    __slots__ = ("name", "rule", "measure", "subject", "state", "severity", "summary", "description", "labels", "runbook_url", "value", "worst_value", "last_value", "start_time", "fire_time", "end_time", "end_reason", "acknowledged_by", "acknowledge_time", "acknowledge_note", "silence_end_time", "undelivered", "deliveries")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    MEASURE_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    RUNBOOK_URL_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    WORST_VALUE_FIELD_NUMBER: _ClassVar[int]
    LAST_VALUE_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    FIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    END_REASON_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGED_BY_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGE_TIME_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGE_NOTE_FIELD_NUMBER: _ClassVar[int]
    SILENCE_END_TIME_FIELD_NUMBER: _ClassVar[int]
    UNDELIVERED_FIELD_NUMBER: _ClassVar[int]
    DELIVERIES_FIELD_NUMBER: _ClassVar[int]
    name: str
    rule: str
    measure: str
    subject: str
    state: AlertState
    severity: AlertSeverity
    summary: str
    description: str
    labels: _containers.ScalarMap[str, str]
    runbook_url: str
    value: float
    worst_value: float
    last_value: float
    start_time: _timestamp_pb2.Timestamp
    fire_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    end_reason: str
    acknowledged_by: str
    acknowledge_time: _timestamp_pb2.Timestamp
    acknowledge_note: str
    silence_end_time: _timestamp_pb2.Timestamp
    undelivered: bool
    deliveries: _containers.RepeatedCompositeFieldContainer[AlertDelivery]
    def __init__(self, name: _Optional[str] = ..., rule: _Optional[str] = ..., measure: _Optional[str] = ..., subject: _Optional[str] = ..., state: _Optional[_Union[AlertState, str]] = ..., severity: _Optional[_Union[AlertSeverity, str]] = ..., summary: _Optional[str] = ..., description: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., runbook_url: _Optional[str] = ..., value: _Optional[float] = ..., worst_value: _Optional[float] = ..., last_value: _Optional[float] = ..., start_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., fire_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., end_reason: _Optional[str] = ..., acknowledged_by: _Optional[str] = ..., acknowledge_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., acknowledge_note: _Optional[str] = ..., silence_end_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., undelivered: bool = ..., deliveries: _Optional[_Iterable[_Union[AlertDelivery, _Mapping]]] = ...) -> None: ...

class ListAlertsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "states", "severities", "rules", "undelivered_only")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    SEVERITIES_FIELD_NUMBER: _ClassVar[int]
    RULES_FIELD_NUMBER: _ClassVar[int]
    UNDELIVERED_ONLY_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    states: _containers.RepeatedScalarFieldContainer[AlertState]
    severities: _containers.RepeatedScalarFieldContainer[AlertSeverity]
    rules: _containers.RepeatedScalarFieldContainer[str]
    undelivered_only: bool
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., states: _Optional[_Iterable[_Union[AlertState, str]]] = ..., severities: _Optional[_Iterable[_Union[AlertSeverity, str]]] = ..., rules: _Optional[_Iterable[str]] = ..., undelivered_only: bool = ...) -> None: ...

class ListAlertsResponse(_message.Message):
    __slots__ = ("alerts", "next_page_token")
    ALERTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    alerts: _containers.RepeatedCompositeFieldContainer[Alert]
    next_page_token: str
    def __init__(self, alerts: _Optional[_Iterable[_Union[Alert, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetAlertRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetAlertResponse(_message.Message):
    __slots__ = ("alert",)
    ALERT_FIELD_NUMBER: _ClassVar[int]
    alert: Alert
    def __init__(self, alert: _Optional[_Union[Alert, _Mapping]] = ...) -> None: ...

class AcknowledgeAlertRequest(_message.Message):
    __slots__ = ("name", "note")
    NAME_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    name: str
    note: str
    def __init__(self, name: _Optional[str] = ..., note: _Optional[str] = ...) -> None: ...

class AcknowledgeAlertResponse(_message.Message):
    __slots__ = ("alert",)
    ALERT_FIELD_NUMBER: _ClassVar[int]
    alert: Alert
    def __init__(self, alert: _Optional[_Union[Alert, _Mapping]] = ...) -> None: ...

class AlertSilence(_message.Message):
    __slots__ = ("name", "rule", "subject_pattern", "labels", "end_time", "reason", "created_by", "create_time")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_PATTERN_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    CREATED_BY_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    name: str
    rule: str
    subject_pattern: str
    labels: _containers.ScalarMap[str, str]
    end_time: _timestamp_pb2.Timestamp
    reason: str
    created_by: str
    create_time: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., rule: _Optional[str] = ..., subject_pattern: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., end_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., reason: _Optional[str] = ..., created_by: _Optional[str] = ..., create_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ListAlertSilencesRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListAlertSilencesResponse(_message.Message):
    __slots__ = ("silences", "next_page_token")
    SILENCES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    silences: _containers.RepeatedCompositeFieldContainer[AlertSilence]
    next_page_token: str
    def __init__(self, silences: _Optional[_Iterable[_Union[AlertSilence, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class CreateAlertSilenceRequest(_message.Message):
    __slots__ = ("alert_silence", "validate_only", "request_id")
    ALERT_SILENCE_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    alert_silence: AlertSilence
    validate_only: bool
    request_id: str
    def __init__(self, alert_silence: _Optional[_Union[AlertSilence, _Mapping]] = ..., validate_only: bool = ..., request_id: _Optional[str] = ...) -> None: ...

class CreateAlertSilenceResponse(_message.Message):
    __slots__ = ("silence", "alert_count")
    SILENCE_FIELD_NUMBER: _ClassVar[int]
    ALERT_COUNT_FIELD_NUMBER: _ClassVar[int]
    silence: AlertSilence
    alert_count: int
    def __init__(self, silence: _Optional[_Union[AlertSilence, _Mapping]] = ..., alert_count: _Optional[int] = ...) -> None: ...

class EndAlertSilenceRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class EndAlertSilenceResponse(_message.Message):
    __slots__ = ("silence",)
    SILENCE_FIELD_NUMBER: _ClassVar[int]
    silence: AlertSilence
    def __init__(self, silence: _Optional[_Union[AlertSilence, _Mapping]] = ...) -> None: ...

class AlertChannel(_message.Message):
    __slots__ = ("name", "kind", "least_severity", "labels", "deliver_time", "error", "waiting_count")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    LEAST_SEVERITY_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    DELIVER_TIME_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    WAITING_COUNT_FIELD_NUMBER: _ClassVar[int]
    name: str
    kind: str
    least_severity: AlertSeverity
    labels: _containers.ScalarMap[str, str]
    deliver_time: _timestamp_pb2.Timestamp
    error: str
    waiting_count: int
    def __init__(self, name: _Optional[str] = ..., kind: _Optional[str] = ..., least_severity: _Optional[_Union[AlertSeverity, str]] = ..., labels: _Optional[_Mapping[str, str]] = ..., deliver_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., error: _Optional[str] = ..., waiting_count: _Optional[int] = ...) -> None: ...

class ListAlertChannelsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListAlertChannelsResponse(_message.Message):
    __slots__ = ("channels", "next_page_token")
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    channels: _containers.RepeatedCompositeFieldContainer[AlertChannel]
    next_page_token: str
    def __init__(self, channels: _Optional[_Iterable[_Union[AlertChannel, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class TestAlertChannelRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class TestAlertChannelResponse(_message.Message):
    __slots__ = ("delivered", "error")
    DELIVERED_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    delivered: bool
    error: str
    def __init__(self, delivered: bool = ..., error: _Optional[str] = ...) -> None: ...
