"""Which program wrote a file, by its first bytes: names of files are often wrong."""

import codecs
import zipfile
from pathlib import Path
from typing import Literal, TypeAlias

from lookalike.errors import WeightsError

__all__ = ["FileKind", "file_kind", "is_onnx"]

FileKind: TypeAlias = Literal["keras", "torch", "safetensors", "tflite"]

_HEAD = 512  # bytes
_NEWEST_IR = 0x80  # versions of ONNX that take one byte
_EXPORT = "export it to ONNX instead (torch.onnx.export, tf2onnx) and add that file"
_WANTED = (
    "a Keras .h5 or .keras, a PyTorch .pth, a .safetensors or a .tflite file "
    "(ONNX files end in .onnx)"
)


def is_onnx(path: Path) -> bool:
    """Return whether a file is an ONNX model, by its name or its first bytes."""
    if path.suffix.lower() == ".onnx":
        return True
    try:
        with path.open("rb") as file:
            return _begins_as_onnx(file.read(_HEAD))
    except OSError:
        return False


def _begins_as_onnx(head: bytes) -> bool:
    """Return whether these bytes are the number of an ONNX version, then another of its fields."""
    version, fields = 0x08, {0x12, 0x1A, 0x22, 0x28, 0x32, 0x3A, 0x42}
    return len(head) > 2 and head[0] == version and 0 < head[1] < _NEWEST_IR and head[2] in fields  # noqa: PLR2004


def file_kind(path: Path) -> FileKind:
    """Return what a file of weights is. Raise ``WeightsError`` if it is none that can be read."""
    if path.is_dir():
        saved = (path / "saved_model.pb").is_file()
        what = "a TensorFlow SavedModel" if saved else "a folder"
        raise WeightsError(
            f"{path}: is {what}; what can be converted is {_WANTED}. In Keras, "
            "model.save('FILE.h5') writes one"
        )
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
        size = path.stat().st_size
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror or error}") from error
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return "keras"
    if head.startswith(b"PK\x03\x04"):
        return _archive_kind(path)
    if head[4:8] == b"TFL3":
        return "tflite"
    if head[8:9] == b"{" and 2 <= int.from_bytes(head[:8], "little") <= size - 8:  # noqa: PLR2004
        return "safetensors"
    if head.startswith((b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")):
        return "torch"  # a pickle
    raise WeightsError(f"{path}: {_strange(head, path)}")


def _archive_kind(path: Path) -> FileKind:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise WeightsError(f"{path}: is a damaged or cut off archive: {error}") from error
    inner = {name.partition("/")[2] for name in names}
    if "constants.pkl" in inner:
        raise WeightsError(f"{path}: is a TorchScript program, not a file of weights; {_EXPORT}")
    if "data.pkl" in inner:
        return "torch"
    if "model.weights.h5" in names:
        return "keras"
    raise WeightsError(f"{path}: is an archive of something else; wanted is {_WANTED}")


def _strange(head: bytes, path: Path) -> str:
    """Return what a file is that cannot be converted: the first of these that is so."""
    web = head.lstrip().lower().startswith((b"<!doctype html", b"<html"))
    signs = {
        "is empty": not head,
        "is a pointer of Git LFS, not the file itself; get it by: git lfs pull": head.startswith(
            b"version https://git-lfs"
        ),
        "is a web page, not a file of weights; download it again": web,
        "is an ONNX model, which needs no conversion; add it as one (encoders.add)": (
            _begins_as_onnx(head)
        ),
        f"is a text file, not a file of weights; wanted is an .onnx, {_WANTED}": _is_text(head),
        f"is a TensorFlow graph, which cannot be converted; {_EXPORT}": path.suffix == ".pb",
        "is no HDF5 file; it is damaged, or was cut off at its beginning": path.suffix == ".h5",
    }
    other = f"is not a file of weights that can be read; wanted is an .onnx, {_WANTED}"
    return next((what for what, found in signs.items() if found), other)


def _is_text(head: bytes) -> bool:
    """Return whether bytes are UTF-8, perhaps cut off within a character, with no control codes."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return all(one.isprintable() or one in "\t\n\r\f\ufeff" for one in text)
