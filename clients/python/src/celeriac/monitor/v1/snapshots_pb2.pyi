from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class MeasureSubject(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MEASURE_SUBJECT_UNSPECIFIED: _ClassVar[MeasureSubject]
    MEASURE_SUBJECT_SYSTEM: _ClassVar[MeasureSubject]
    MEASURE_SUBJECT_QUEUE: _ClassVar[MeasureSubject]
    MEASURE_SUBJECT_TASK: _ClassVar[MeasureSubject]
    MEASURE_SUBJECT_WORKER: _ClassVar[MeasureSubject]
    MEASURE_SUBJECT_COMPONENT: _ClassVar[MeasureSubject]
    MEASURE_SUBJECT_DISK: _ClassVar[MeasureSubject]
    MEASURE_SUBJECT_SERVICE: _ClassVar[MeasureSubject]

class MeasureUnit(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MEASURE_UNIT_UNSPECIFIED: _ClassVar[MeasureUnit]
    MEASURE_UNIT_COUNT: _ClassVar[MeasureUnit]
    MEASURE_UNIT_PER_SECOND: _ClassVar[MeasureUnit]
    MEASURE_UNIT_SECONDS: _ClassVar[MeasureUnit]
    MEASURE_UNIT_BYTES: _ClassVar[MeasureUnit]
    MEASURE_UNIT_PERCENT: _ClassVar[MeasureUnit]

class SnapshotStep(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SNAPSHOT_STEP_UNSPECIFIED: _ClassVar[SnapshotStep]
    SNAPSHOT_STEP_TEN_SECONDS: _ClassVar[SnapshotStep]
    SNAPSHOT_STEP_MINUTE: _ClassVar[SnapshotStep]
    SNAPSHOT_STEP_HOUR: _ClassVar[SnapshotStep]
MEASURE_SUBJECT_UNSPECIFIED: MeasureSubject
MEASURE_SUBJECT_SYSTEM: MeasureSubject
MEASURE_SUBJECT_QUEUE: MeasureSubject
MEASURE_SUBJECT_TASK: MeasureSubject
MEASURE_SUBJECT_WORKER: MeasureSubject
MEASURE_SUBJECT_COMPONENT: MeasureSubject
MEASURE_SUBJECT_DISK: MeasureSubject
MEASURE_SUBJECT_SERVICE: MeasureSubject
MEASURE_UNIT_UNSPECIFIED: MeasureUnit
MEASURE_UNIT_COUNT: MeasureUnit
MEASURE_UNIT_PER_SECOND: MeasureUnit
MEASURE_UNIT_SECONDS: MeasureUnit
MEASURE_UNIT_BYTES: MeasureUnit
MEASURE_UNIT_PERCENT: MeasureUnit
SNAPSHOT_STEP_UNSPECIFIED: SnapshotStep
SNAPSHOT_STEP_TEN_SECONDS: SnapshotStep
SNAPSHOT_STEP_MINUTE: SnapshotStep
SNAPSHOT_STEP_HOUR: SnapshotStep

class Measure(_message.Message):
    __slots__ = ("measure", "subject", "unit", "description", "kept")
    MEASURE_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    KEPT_FIELD_NUMBER: _ClassVar[int]
    measure: str
    subject: MeasureSubject
    unit: MeasureUnit
    description: str
    kept: bool
    def __init__(self, measure: _Optional[str] = ..., subject: _Optional[_Union[MeasureSubject, str]] = ..., unit: _Optional[_Union[MeasureUnit, str]] = ..., description: _Optional[str] = ..., kept: bool = ...) -> None: ...

class ListMeasuresRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListMeasuresResponse(_message.Message):
    __slots__ = ("measures", "next_page_token")
    MEASURES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    measures: _containers.RepeatedCompositeFieldContainer[Measure]
    next_page_token: str
    def __init__(self, measures: _Optional[_Iterable[_Union[Measure, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class SnapshotFigure(_message.Message):
    __slots__ = ("measure", "mean", "min", "max")
    MEASURE_FIELD_NUMBER: _ClassVar[int]
    MEAN_FIELD_NUMBER: _ClassVar[int]
    MIN_FIELD_NUMBER: _ClassVar[int]
    MAX_FIELD_NUMBER: _ClassVar[int]
    measure: str
    mean: float
    min: float
    max: float
    def __init__(self, measure: _Optional[str] = ..., mean: _Optional[float] = ..., min: _Optional[float] = ..., max: _Optional[float] = ...) -> None: ...

class Snapshot(_message.Message):
    __slots__ = ("time", "step", "figures")
    TIME_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    FIGURES_FIELD_NUMBER: _ClassVar[int]
    time: _timestamp_pb2.Timestamp
    step: _duration_pb2.Duration
    figures: _containers.RepeatedCompositeFieldContainer[SnapshotFigure]
    def __init__(self, time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., step: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., figures: _Optional[_Iterable[_Union[SnapshotFigure, _Mapping]]] = ...) -> None: ...

class ListSnapshotsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "start_time", "end_time", "steps")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    steps: _containers.RepeatedScalarFieldContainer[SnapshotStep]
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., start_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., steps: _Optional[_Iterable[_Union[SnapshotStep, str]]] = ...) -> None: ...

class ListSnapshotsResponse(_message.Message):
    __slots__ = ("snapshots", "next_page_token")
    SNAPSHOTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    snapshots: _containers.RepeatedCompositeFieldContainer[Snapshot]
    next_page_token: str
    def __init__(self, snapshots: _Optional[_Iterable[_Union[Snapshot, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class QuerySeriesRequest(_message.Message):
    __slots__ = ("measures", "subjects", "start_time", "end_time", "max_points")
    MEASURES_FIELD_NUMBER: _ClassVar[int]
    SUBJECTS_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    MAX_POINTS_FIELD_NUMBER: _ClassVar[int]
    measures: _containers.RepeatedScalarFieldContainer[str]
    subjects: _containers.RepeatedScalarFieldContainer[str]
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    max_points: int
    def __init__(self, measures: _Optional[_Iterable[str]] = ..., subjects: _Optional[_Iterable[str]] = ..., start_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., max_points: _Optional[int] = ...) -> None: ...

class SeriesPoint(_message.Message):
    __slots__ = ("time", "mean", "min", "max")
    TIME_FIELD_NUMBER: _ClassVar[int]
    MEAN_FIELD_NUMBER: _ClassVar[int]
    MIN_FIELD_NUMBER: _ClassVar[int]
    MAX_FIELD_NUMBER: _ClassVar[int]
    time: _timestamp_pb2.Timestamp
    mean: float
    min: float
    max: float
    def __init__(self, time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., mean: _Optional[float] = ..., min: _Optional[float] = ..., max: _Optional[float] = ...) -> None: ...

class MeasureSeries(_message.Message):
    __slots__ = ("measure", "subject", "unit", "points")
    MEASURE_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    measure: str
    subject: str
    unit: MeasureUnit
    points: _containers.RepeatedCompositeFieldContainer[SeriesPoint]
    def __init__(self, measure: _Optional[str] = ..., subject: _Optional[str] = ..., unit: _Optional[_Union[MeasureUnit, str]] = ..., points: _Optional[_Iterable[_Union[SeriesPoint, _Mapping]]] = ...) -> None: ...

class QuerySeriesResponse(_message.Message):
    __slots__ = ("step", "series", "left_out_count", "start_time", "end_time")
    STEP_FIELD_NUMBER: _ClassVar[int]
    SERIES_FIELD_NUMBER: _ClassVar[int]
    LEFT_OUT_COUNT_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    step: _duration_pb2.Duration
    series: _containers.RepeatedCompositeFieldContainer[MeasureSeries]
    left_out_count: int
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    def __init__(self, step: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., series: _Optional[_Iterable[_Union[MeasureSeries, _Mapping]]] = ..., left_out_count: _Optional[int] = ..., start_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
