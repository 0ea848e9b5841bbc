"""The configuration of a run: one TOML file, checked key by key."""

import tomllib
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

__all__ = ["Config", "Data", "Student", "Teacher", "Tuning", "read_config"]

_Record = TypeVar("_Record")


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """Which images take part; see sources.py. ``archives`` is the folder of the zip files.

    ``fashion_most`` images are drawn of each Myntra article type that is trained on, and
    ``held_most`` of each that is held out; types with fewer than ``held_least`` are never held
    out. ``crops`` is the number of crops of each photograph beside the whole.
    """

    archives: str
    seed: int
    fashion_most: int
    held_least: int
    held_most: int
    crops: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Teacher:
    """An ONNX image encoder at ``file``; ``mean`` and ``std`` are for channels from 0 to 1."""

    file: str
    sha256: str
    input: str
    output: str
    side: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Student:
    """The network that is trained: a card's name, the input side, how much of it is trained.

    ``stages`` of the seven are trained, the last ones; what the others give is computed once per
    view and kept. ``spread`` is the weight of the spread over positions beside the mean.
    """

    card: str
    side: int
    stages: int
    spread: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """How the student is trained.

    Epoch ``e`` shows variant ``e % variants`` of each view, the first being the view itself.
    ``bank`` is the number of earlier views that a batch is compared with, ``temperature`` that of
    the softmax over them. In the target, ``teacher_weight`` is the weight of the teacher and
    ``label_weight`` that of the class, where it is known for certain, beside the base encoder.
    ``anchor`` is the weight of staying near the base's own vectors, ``average`` the decay of the
    moving average of the weights.
    """

    seed: int
    epochs: int
    variants: int
    batch: int
    bank: int
    learning_rate: float
    weight_decay: float
    warm_up: int
    temperature: float
    teacher_weight: float
    label_weight: float
    anchor: float
    average: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All of it. ``run`` is the folder for what is made, outside the repository."""

    run: Path
    data: Data
    teacher: Teacher
    student: Student
    tuning: Tuning


def read_config(path: Path, run: Path) -> Config:
    """Return the configuration in ``path``, with results going to the folder ``run``.

    ``data.archives`` is relative to the file, ``teacher.file`` to ``run``. Raise ``ValueError``
    naming the file and the key for a key that is unknown, missing or of another type.
    """
    with path.open("rb") as file:
        tables = tomllib.load(file)
    unknown = set(tables) - {"data", "teacher", "student", "tuning"}
    if unknown:
        raise ValueError(f"{path}: unknown table {min(unknown)}")
    data = _record(Data, tables.get("data"), f"{path}: data")
    teacher = _record(Teacher, tables.get("teacher"), f"{path}: teacher")
    return Config(
        run=run,
        data=replace(data, archives=str(path.parent / data.archives)),
        teacher=replace(teacher, file=str(run / teacher.file)),
        student=_record(Student, tables.get("student"), f"{path}: student"),
        tuning=_record(Tuning, tables.get("tuning"), f"{path}: tuning"),
    )


def _record(record: type[_Record], table: object, where: str) -> _Record:
    if not isinstance(table, dict):
        raise ValueError(f"{where}: is missing or not a table")  # noqa: TRY004 - of a file
    wanted: dict[str, Any] = {one.name: one.type for one in fields(record)}  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in wanted:
            raise ValueError(f"{where}.{key}: unknown key")
        kind = wanted[key]
        if kind is float and type(value) in (int, float):
            values[key] = float(value)
        elif isinstance(kind, type) and type(value) is kind:
            values[key] = value
        elif not isinstance(kind, type) and isinstance(value, list) and len(value) == 3:
            values[key] = tuple(map(float, value))  # a triple, one number a channel
        else:
            raise ValueError(f"{where}.{key}: has the wrong type: {value!r}")
    for key in wanted:
        if key not in values:
            raise ValueError(f"{where}.{key}: is missing")
    return record(**values)
