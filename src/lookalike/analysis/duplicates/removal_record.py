"""The record of moved or deleted files: JSON lines, each written before the file is touched.

    {"event": "moving", "key": …, "id": …, "from": …, "to": …, "digest": …, "kept": …, …}
    {"event": "moved", "key": …}            or "deleted", "left", "restored"

A killed process leaves a correct record: a "moving" line without a further one means that the file
is at one of the two places.
"""

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, cast

from lookalike.core.records import Item, Json, Stamp
from lookalike.errors import SourceError

__all__ = ["InheritedValues", "Removal", "append", "begin", "read"]

Event = Literal["moving", "deleting", "moved", "deleted", "left", "restored"]


@dataclass(frozen=True, slots=True, kw_only=True)
class InheritedValues:
    """Values of the removed item that the kept one was given, because it had none."""

    label: str | None = None
    group: str | None = None
    metadata: Mapping[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """One file that was moved or deleted, or was about to be: ``event`` is the last known one.

    ``target`` is where it was moved to; ``None`` if it was deleted permanently.
    """

    key: str
    event: Event
    item: Item
    path: Path
    target: Path | None
    kept: str
    given: InheritedValues


def begin(
    record: Path,
    *,
    item: Item,
    path: Path,
    target: Path | None,
    kept: Item,
    kept_path: Path,
    given: InheritedValues,
    facts: Mapping[str, Json],
) -> str:
    """Record that a file is about to be moved or deleted; return the key of the entry.

    Raise ``SourceError`` if the record cannot be written; then the file must not be touched.
    """
    key = secrets.token_hex(8)
    line: dict[str, Json] = {
        "event": "deleting" if target is None else "moving",
        "key": key,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "id": item.id,
        "from": str(path),
        "to": None if target is None else str(target),
        "digest": item.digest,
        "kept": kept.id,
        "kept_path": str(kept_path),
        **facts,
        "item": {
            "width": item.width,
            "height": item.height,
            "root": item.root,
            "path": item.path,
            "stamp": None if item.stamp is None else list(item.stamp),
            "label": item.label,
            "group": item.group,
            "metadata": dict(item.metadata),
        },
        "given": {
            "label": given.label,
            "group": given.group,
            "metadata": dict(given.metadata),
        },
    }
    _write(record, line)
    return key


def append(record: Path, key: str, event: Event, *, reason: str = "") -> None:
    """Record the outcome of a file. Raise ``SourceError``."""
    line: dict[str, Json] = {"event": event, "key": key}
    _write(record, {**line, "reason": reason} if reason else line)


def _write(record: Path, line: dict[str, Json]) -> None:
    """Append a line, on disk when this returns."""
    try:
        record.parent.mkdir(parents=True, exist_ok=True)
        with record.open("a+b") as file:
            if file.tell():  # a partial line of a killed process stays a separate line
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    file.write(b"\n")
            file.write(
                json.dumps(line, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"
            )
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise SourceError(f"{record} cannot be written: {error.strerror}") from error


def read(record: Path) -> list[Removal]:
    """Return the entries of a record in order. Raise ``SourceError``.

    Lines that are not JSON are ignored: a killed process may leave a partial line, whose file was
    not yet touched.
    """
    try:
        lines = record.read_bytes().splitlines()
    except OSError as error:
        raise SourceError(f"{record} cannot be read: {error.strerror}") from error
    found: dict[str, Removal] = {}
    for number, line in enumerate(lines, 1):
        try:
            entry = json.loads(line.decode("utf-8", "surrogatepass"))
        except ValueError:
            continue
        try:
            if entry["event"] in ("moving", "deleting"):
                found[entry["key"]] = _removal(entry)
            elif entry["key"] in found:
                found[entry["key"]] = replace(
                    found[entry["key"]], event=cast("Event", entry["event"])
                )
        except (KeyError, TypeError, ValueError) as error:
            raise SourceError(
                f"{record}, line {number}: not a record that lookalike duplicates wrote"
            ) from error
    if not found:
        raise SourceError(f"{record} holds no record of a moved or deleted file")
    return list(found.values())


def _removal(entry: dict[str, Json]) -> Removal:
    item = cast("dict[str, Json]", entry["item"])
    given = cast("dict[str, Json]", entry["given"])
    stamp = cast("list[int] | None", item["stamp"])
    target = entry["to"]
    return Removal(
        key=cast("str", entry["key"]),
        event=cast("Event", entry["event"]),
        item=Item(
            id=cast("str", entry["id"]),
            digest=cast("str", entry["digest"]),
            width=cast("int", item["width"]),
            height=cast("int", item["height"]),
            root=cast("str", item["root"]),
            path=cast("str", item["path"]),
            stamp=None if stamp is None else Stamp(*stamp),
            label=cast("str | None", item["label"]),
            group=cast("str | None", item["group"]),
            metadata=cast("dict[str, Json]", item["metadata"]),
        ),
        path=Path(cast("str", entry["from"])),
        target=None if target is None else Path(cast("str", target)),
        kept=cast("str", entry["kept"]),
        given=InheritedValues(
            label=cast("str | None", given["label"]),
            group=cast("str | None", given["group"]),
            metadata=cast("dict[str, Json]", given["metadata"]),
        ),
    )
