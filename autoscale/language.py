"""The language's tables: names, types, functions, methods, operators and limits.

Nothing here acts. The parser, the type inference, the lint and the evaluator read these
tables, so that they cannot disagree. Source: the Learn article "Create a formula to
automatically scale compute nodes in a Batch pool", its older editions, and recorded
answers of the service; docs/autoscale.md says which statement rests on what.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Flag, auto

MAX_CHARACTERS = 8192
MAX_STATEMENTS = 100
SAMPLE_PERIOD_S = 30
# What a call of GetSample without a percentage asks for. Not documented; batch-shipyard
# issue 138 recorded "wanted 70%" for such a call.
DEFAULT_SAMPLE_PERCENT = 70.0


class Type(Flag):
    """Types of values; an expression whose branches differ can have several."""

    DOUBLE = auto()
    VECTOR = auto()
    STRING = auto()
    TIMESTAMP = auto()
    INTERVAL = auto()
    NONE = auto()

    def __str__(self) -> str:
        return " or ".join(_TYPE_NAMES[single] for single in self)


_TYPE_NAMES = {
    Type.DOUBLE: "double",
    Type.VECTOR: "doubleVec",
    Type.STRING: "string",
    Type.TIMESTAMP: "timestamp",
    Type.INTERVAL: "timeinterval",
    Type.NONE: "nothing",
}
LIST = Type.DOUBLE | Type.VECTOR
ANY = LIST | Type.STRING | Type.TIMESTAMP | Type.INTERVAL
MOMENT = Type.TIMESTAMP | Type.INTERVAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled:
    """A read-only service variable: a history of samples.

    Attributes:
        meaning: What it counts.
        is_task_counter: Counts tasks, and so neither slots nor nodes.
        is_scalar: Documented, or seen on live pools, to stand for its latest value.
        retired: Why its history stays empty, and what to use.
        old_name_of: The name that replaced it.
    """

    meaning: str
    is_task_counter: bool = False
    is_scalar: bool = False
    retired: str | None = None
    old_name_of: str | None = None


_MONITOR = "the service no longer fills it; look at Azure Monitor instead"

SAMPLED = {
    "$CPUPercent": Sampled(meaning="average use of processors, 0 to 1"),
    "$ActiveTasks": Sampled(meaning="tasks that wait for a node", is_task_counter=True),
    "$RunningTasks": Sampled(meaning="tasks that run", is_task_counter=True),
    "$PendingTasks": Sampled(meaning="active and running tasks", is_task_counter=True),
    "$SucceededTasks": Sampled(meaning="tasks that succeeded", is_task_counter=True),
    "$FailedTasks": Sampled(meaning="tasks that failed", is_task_counter=True),
    "$TaskSlotsPerNode": Sampled(meaning="slots for tasks on a node", is_scalar=True),
    "$CurrentDedicatedNodes": Sampled(meaning="dedicated nodes there are", is_scalar=True),
    "$CurrentLowPriorityNodes": Sampled(
        meaning="spot nodes there are, preempted ones included", is_scalar=True
    ),
    "$UsableNodeCount": Sampled(meaning="nodes that can run tasks"),
    "$PreemptedNodeCount": Sampled(meaning="spot nodes that were taken away"),
    "$CurrentDedicated": Sampled(
        meaning="dedicated nodes there are",
        is_scalar=True,
        old_name_of="$CurrentDedicatedNodes",
    ),
    "$SampleNodeCount": Sampled(
        meaning="nodes that sent samples",
        retired="the service no longer fills it; use $UsableNodeCount",
    ),
    "$WallClockSeconds": Sampled(meaning="seconds used", retired=_MONITOR),
    "$MemoryBytes": Sampled(meaning="memory used", retired=_MONITOR),
    "$DiskBytes": Sampled(meaning="disk used", retired=_MONITOR),
    "$DiskReadBytes": Sampled(meaning="bytes read", retired=_MONITOR),
    "$DiskWriteBytes": Sampled(meaning="bytes written", retired=_MONITOR),
    "$DiskReadOps": Sampled(meaning="reads", retired=_MONITOR),
    "$DiskWriteOps": Sampled(meaning="writes", retired=_MONITOR),
    "$NetworkInBytes": Sampled(meaning="bytes received", retired=_MONITOR),
    "$NetworkOutBytes": Sampled(meaning="bytes sent", retired=_MONITOR),
}

DEDICATED = "$TargetDedicatedNodes"
LOW_PRIORITY = "$TargetLowPriorityNodes"
DEALLOCATION = "$NodeDeallocationOption"
TARGETS = (DEDICATED, LOW_PRIORITY)
ALIASES = {"$TargetDedicated": DEDICATED, "$TargetLowPriority": LOW_PRIORITY}
WRITABLE = {*TARGETS, *ALIASES, DEALLOCATION}
SERVICE_VARIABLES = {*SAMPLED, *WRITABLE}

DEALLOCATION_WORDS = {
    "requeue": "running tasks are killed and wait in the queue again",
    "terminate": "running tasks are killed and count as finished",
    "taskcompletion": "a node leaves when its tasks have ended",
    "retaineddata": "a node leaves when the data of its tasks has expired",
}
DEFAULT_DEALLOCATION = "requeue"

TICKS_PER_SECOND = 10_000_000
# Lengths in ticks of 100 ns. That of a year is not published; 365 days are assumed.
INTERVAL_CONSTANTS = {
    "TimeInterval_Zero": 0,
    "TimeInterval_100ns": 1,
    "TimeInterval_Microsecond": 10,
    "TimeInterval_Millisecond": 10_000,
    "TimeInterval_Second": TICKS_PER_SECOND,
    "TimeInterval_Minute": 60 * TICKS_PER_SECOND,
    "TimeInterval_Hour": 3600 * TICKS_PER_SECOND,
    "TimeInterval_Day": 86400 * TICKS_PER_SECOND,
    "TimeInterval_Week": 7 * 86400 * TICKS_PER_SECOND,
    "TimeInterval_Year": 365 * 86400 * TICKS_PER_SECOND,
}

TIMESTAMP_MEMBERS = ("year", "month", "day", "weekday", "hour", "minute", "second")


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """One way to call a function or method.

    Attributes:
        parameters: The type of each argument.
        optional: How many of them, from the end, may be left out.
        variadic: The arguments are a doubleVecList of any length instead.
        result: What comes back.
        usage: The call as a person writes it.
    """

    parameters: tuple[Type, ...] = ()
    optional: int = 0
    variadic: bool = False
    result: Type
    usage: str

    def takes(self, count: int) -> bool:
        """Whether this many arguments fit."""
        least = len(self.parameters) - self.optional
        return self.variadic or least <= count <= len(self.parameters)


def _list_function(name: str) -> tuple[Signature, ...]:
    return (Signature(variadic=True, result=Type.DOUBLE, usage=f"{name}(x, ...)"),)


def _maths(name: str) -> tuple[Signature, ...]:
    return (
        Signature(parameters=(Type.DOUBLE,), result=Type.DOUBLE, usage=f"{name}(x)"),
        Signature(variadic=True, result=Type.VECTOR, usage=f"{name}(x, ...)"),
    )


def _at(name: str, second: str) -> tuple[Signature, ...]:
    return (
        Signature(
            parameters=(Type.VECTOR, Type.DOUBLE),
            result=Type.DOUBLE,
            usage=f"{name}(samples, {second})",
        ),
    )


LIST_FUNCTIONS = ("avg", "len", "max", "min", "norm", "range", "std", "sum")
MATHS_FUNCTIONS = ("ceil", "floor", "round", "lg", "ln", "log")

FUNCTIONS: dict[str, tuple[Signature, ...]] = {
    **{name: _list_function(name) for name in LIST_FUNCTIONS},
    **{name: _maths(name) for name in MATHS_FUNCTIONS},
    "percentile": _at("percentile", "percent"),
    "val": _at("val", "index"),
    "rand": (Signature(result=Type.DOUBLE, usage="rand()"),),
    "stop": (Signature(result=Type.NONE, usage="stop()"),),
    "time": (
        Signature(
            parameters=(Type.STRING,),
            optional=1,
            result=Type.TIMESTAMP,
            usage='time("2026-01-31T12:00:00Z")',
        ),
    ),
}

METHODS: dict[str, tuple[Signature, ...]] = {
    "GetSample": (
        Signature(parameters=(Type.DOUBLE,), result=Type.VECTOR, usage="GetSample(count)"),
        Signature(
            parameters=(MOMENT, Type.DOUBLE),
            optional=1,
            result=Type.VECTOR,
            usage="GetSample(since, percent)",
        ),
        Signature(
            parameters=(MOMENT, MOMENT, Type.DOUBLE),
            optional=1,
            result=Type.VECTOR,
            usage="GetSample(from, to, percent)",
        ),
    ),
    "GetSamplePercent": (
        Signature(
            parameters=(MOMENT, MOMENT),
            optional=1,
            result=Type.DOUBLE,
            usage="GetSamplePercent(since)",
        ),
    ),
    "GetSamplePeriod": (Signature(result=Type.INTERVAL, usage="GetSamplePeriod()"),),
    "Count": (Signature(result=Type.DOUBLE, usage="Count()"),),
    "HistoryBeginTime": (Signature(result=Type.TIMESTAMP, usage="HistoryBeginTime()"),),
}

_D, _V, _S, _T, _I = Type.DOUBLE, Type.VECTOR, Type.STRING, Type.TIMESTAMP, Type.INTERVAL
_COMPARISONS = ("<", "<=", "==", ">=", ">", "!=")

# Operator, left, right -> result: the complete table of the documentation.
OPERATIONS: dict[tuple[str, Type, Type], Type] = {
    **{(operator, _D, _D): _D for operator in ("+", "-", "*", "/", "&&", "||")},
    **{(operator, _V, _D): _V for operator in ("+", "-", "*", "/")},
    **{(operator, _V, _V): _V for operator in ("+", "-", "*", "/")},
    **{(operator, kind, kind): _D for operator in _COMPARISONS for kind in (_D, _S, _T, _I)},
    ("*", _D, _I): _I,
    ("*", _I, _D): _I,
    ("/", _I, _D): _I,
    ("+", _I, _I): _I,
    ("-", _I, _I): _I,
    ("+", _I, _T): _T,
    ("+", _T, _I): _T,
    ("-", _T, _T): _I,
}
# What a reader would also understand; only `Semantics(lenient=True)` takes it.
LENIENT_OPERATIONS: dict[tuple[str, Type, Type], Type] = {
    ("-", _T, _I): _T,
    ("/", _I, _I): _D,
    **{(operator, _D, _V): _V for operator in ("+", "-", "*", "/")},
}
UNARY_OPERATIONS: dict[tuple[str, Type], Type] = {
    ("-", _D): _D,
    ("!", _D): _D,
    ("-", _I): _I,
}

# Names from other languages and from invented tutorials, and what stands for them.
INVENTED = {
    "abs": "max(x, -x)",
    "sqrt": "norm(x), which for one value is |x|: there is no square root",
    "pow": "x * x",
    "mod": "a - b * floor(a / b)",
    "if": "condition ? this : that",
    "mean": "avg",
    "average": "avg",
    "count": "len",
    "length": "len",
    "now": "time()",
    "ceiling": "ceil",
    "log2": "lg",
    "log10": "log",
    "stdev": "std",
    "median": "percentile(samples, 50)",
    "GetSampleByCount": "GetSample(count)",
    "GetAverage": "avg(....GetSample(since))",
    "Average": "avg(....GetSample(since))",
    "Sum": "sum(....GetSample(since))",
    "Max": "max(....GetSample(since))",
    "Min": "min(....GetSample(since))",
}
