"""Which program wrote a file, by its first bytes: names of files are often wrong."""

import zipfile
from pathlib import Path
from typing import Literal, TypeAlias

from lookalike.errors import WeightsError

__all__ = ["FileKind", "file_kind"]

FileKind: TypeAlias = Literal["keras", "torch", "safetensors", "tflite"]

_HEAD = 512  # bytes
_EXPORT = "export it to ONNX instead (torch.onnx.export, tf2onnx) and add that file"
_WANTED = (
    "a Keras .h5 or .keras, a PyTorch .pth, a .safetensors or a .tflite file "
    "(ONNX files end in .onnx)"
)


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
    if not head:
        return "is empty"
    if head.startswith(b"version https://git-lfs"):
        return "is a pointer of Git LFS, not the file itself; get it by: git lfs pull"
    if head.lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return "is a web page, not a file of weights; download it again"
    if path.suffix == ".pb":
        return f"is a TensorFlow graph, which cannot be converted; {_EXPORT}"
    if path.suffix == ".h5":
        return "is no HDF5 file; it is damaged, or was cut off at its beginning"
    return f"is not a file of weights that can be read; wanted is an .onnx, {_WANTED}"
