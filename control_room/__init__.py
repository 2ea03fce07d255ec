"""Control Room's recording side: what a training script imports.

Importing this package pulls in the standard library only, and of that next to nothing: what it
offers is loaded when it is first named. ``control_room.history`` needs the ``history`` extra,
``control_room.previews`` the ``previews`` extra; they say so when it is missing.
"""

TYPE_CHECKING = False  # as ``typing`` has it, which takes milliseconds to load
if TYPE_CHECKING:  # what type checkers and editors see; a test holds it against ``__all__``
    from control_room.recording.recorder import Recorder
    from control_room.recording.recorder_warning import RecorderWarning
    from control_room.recording.records import (
        EvalRecord,
        HeadRecord,
        MetricPoint,
        NoteRecord,
        PreviewRecord,
        RoundRecord,
        ThroughputSample,
    )
    from control_room.rundir import RunDir

__version__ = "0.1.0"  # the only place: pyproject.toml takes it from here

__all__ = [
    "EvalRecord",
    "HeadRecord",
    "MetricPoint",
    "NoteRecord",
    "PreviewRecord",
    "Recorder",
    "RecorderWarning",
    "RoundRecord",
    "RunDir",
    "ThroughputSample",
]

if not TYPE_CHECKING:  # a checker that saw ``__getattr__`` would take any name for one of ours
    _HOME = {
        "Recorder": "control_room.recording.recorder",
        "RecorderWarning": "control_room.recording.recorder_warning",
        "RunDir": "control_room.rundir",
    }
    _RECORDS = "control_room.recording.records"  # every other name is a record

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module  # here, so that it is no name of the package

        value = globals()[name] = getattr(import_module(_HOME.get(name, _RECORDS)), name)
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
