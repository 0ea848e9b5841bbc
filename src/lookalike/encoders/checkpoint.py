"""Reading a PyTorch checkpoint without PyTorch, and without trusting it.

A checkpoint is a pickle, and a pickle is a program: it may call whatever it can name. This reader
lets it name four things: ``OrderedDict``, the two functions by which PyTorch rebuilds tensors
(replaced by ours), and the types of storages (replaced by strings). Anything else is refused
before it is looked up, so nothing is imported and nothing is called.

Two layouts exist and both are read. Since PyTorch 1.6 a checkpoint is a zip archive with a pickle
``<name>/data.pkl`` and one entry ``<name>/data/<key>`` for each storage. Before, it was five
pickles in a row (magic number, protocol, facts about the machine, the tensors, the storages' keys)
and then each storage: its number of elements as int64, and the elements.
(``torch/serialization.py``, functions ``_load`` and ``_legacy_load``.)
"""

import io
import math
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import WeightsError

__all__ = ["Arrays", "read_checkpoint"]

Arrays: TypeAlias = dict[str, NDArray[np.generic]]

_MAGIC = 0x1950A86A20F9469CFC6C  # the first pickle of the older layout
_PROTOCOL = 1001
_DTYPES = {
    "BoolStorage": "|b1",
    "ByteStorage": "|u1",
    "CharStorage": "|i1",
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "IntStorage": "<i4",
    "LongStorage": "<i8",
    "ShortStorage": "<i2",
}
_PICKLE_LIMIT = 64 * 2**20  # bytes of data.pkl: names and shapes only, 50 kB for Lite0
_RANK_LIMIT = 8
# Below which names programs for training keep the tensors; the averaged ones first.
_NESTS = ("state_dict_ema", "model_ema", "state_dict", "model_state_dict", "model", "net")

# What a damaged or hostile pickle can raise, by the documentation of pickle and zipfile.
_DAMAGE = (
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    struct.error,
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    NotImplementedError,
    RuntimeError,
    TypeError,
    ValueError,
)


class _Storage(NamedTuple):
    """A run of numbers that the pickle refers to; its bytes lie elsewhere in the file."""

    key: str
    dtype: str
    length: int  # elements


class _Tensor(NamedTuple):
    """A view of a storage; offset and strides count elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Rebuild:
    """Stands in for ``torch._utils._rebuild_tensor_v2``.

    An instance without attributes rather than a function: a pickle may set attributes of what it
    holds, and a function's defaults would outlive it.
    """

    __slots__ = ()

    def __call__(
        self, storage: object, offset: object, shape: object, strides: object, *_: object
    ) -> _Tensor:
        if not isinstance(storage, _Storage):
            raise pickle.UnpicklingError("a tensor without a storage")
        return _Tensor(storage, _count(offset), _counts(shape), _counts(strides))


class _RebuildParameter:
    """Stands in for ``torch._utils._rebuild_parameter``: a parameter is its tensor."""

    __slots__ = ()

    def __call__(self, tensor: object, *_: object) -> object:
        return tensor


class _Unpickler(pickle.Unpickler):
    """Builds dictionaries, lists, numbers, text and :class:`_Tensor`; refuses the rest."""

    def __init__(self, stream: io.BytesIO) -> None:
        super().__init__(stream)
        self.storages: dict[str, _Storage] = {}  # all that were named, also by what is passed over

    def find_class(self, module: str, name: str, /) -> object:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _Rebuild()
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return _RebuildParameter()
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        raise WeightsError(
            f"the checkpoint asks for {module}.{name}, which is not data; it was not loaded"
        )

    def persistent_load(self, pid: object, /) -> _Storage:
        match pid:
            case ("storage", str(dtype), str(key), str(), int(length), *view):
                if view not in ([], [None]):
                    raise pickle.UnpicklingError("a storage that is a view of another")
                return self.storages.setdefault(key, _Storage(key, dtype, _count(length)))
        raise pickle.UnpicklingError("a reference that is not a storage")


def read_checkpoint(data: bytes, *, nested: bool = False) -> Arrays:
    """Return the arrays of a checkpoint that holds one flat dictionary of tensors, by name.

    With ``nested`` that dictionary may lie in another, below a name like "state_dict", as programs
    for training save it; numbers and text beside the tensors are then passed over.

    Each array is contiguous and owns its memory. Raise ``WeightsError`` if ``data`` is damaged,
    is no checkpoint, or asks for anything that is not plain data; nothing has been run then.
    """
    try:
        if data[:4] == b"PK\x03\x04":
            state, raw = _read_zip(data, nested=nested)
        else:
            state, raw = _read_legacy(data, nested=nested)
        return {name: _array(tensor, raw) for name, tensor in state.items()}
    except _DAMAGE as error:
        raise WeightsError(
            f"not a readable PyTorch checkpoint: {str(error) or type(error).__name__}"
        ) from error


def _read_zip(data: bytes, *, nested: bool) -> tuple[dict[str, _Tensor], Mapping[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
        pickles = [name for name in entries if name.split("/")[1:] == ["data.pkl"]]
        if len(pickles) != 1:
            raise zipfile.BadZipFile("no data.pkl in the archive")
        folder = pickles[0].removesuffix("data.pkl")
        if entries[pickles[0]].file_size > _PICKLE_LIMIT:
            raise zipfile.BadZipFile("data.pkl is too large")
        order = f"{folder}byteorder"
        if order in entries and archive.read(order) != b"little":
            raise ValueError("written on a big-endian machine")
        loaded = _Unpickler(io.BytesIO(archive.read(pickles[0]))).load()
        state = _state(loaded, nested=nested)
        raw: dict[str, bytes] = {}
        for storage in {tensor.storage for tensor in state.values()}:
            entry = entries[f"{folder}data/{storage.key}"]
            if entry.file_size != _size(storage):
                raise ValueError(f"storage {storage.key} is not of the size it should be")
            raw[storage.key] = archive.read(entry)
        return state, raw


def _read_legacy(data: bytes, *, nested: bool) -> tuple[dict[str, _Tensor], Mapping[str, bytes]]:
    stream = io.BytesIO(data)
    if _Unpickler(stream).load() != _MAGIC or _Unpickler(stream).load() != _PROTOCOL:
        raise ValueError("it does not begin like one")
    machine = _Unpickler(stream).load()
    if not (isinstance(machine, dict) and machine.get("little_endian") is True):
        raise ValueError("written on a big-endian machine")
    unpickler = _Unpickler(stream)
    state = _state(unpickler.load(), nested=nested)
    keys = _Unpickler(stream).load()
    if not isinstance(keys, list):
        raise TypeError("no list of storages")
    raw: dict[str, bytes] = {}
    for key in keys:
        (length,) = struct.unpack("<q", stream.read(8))
        storage = unpickler.storages[key]
        content = stream.read(_size(storage))
        if length != storage.length or len(content) != _size(storage):
            raise ValueError(f"storage {key} is not of the size it should be")
        raw[key] = content
    return state, raw


def _state(loaded: object, *, nested: bool) -> dict[str, _Tensor]:
    if not isinstance(loaded, dict):
        raise TypeError("it does not hold a dictionary")
    if nested:
        inner = (dict.get(loaded, key) for key in _NESTS)
        loaded = next((one for one in inner if isinstance(one, dict)), loaded)
    state: dict[str, _Tensor] = {}
    for name, tensor in dict.items(loaded):  # not loaded.items(): a pickle may have set that
        if isinstance(name, str) and isinstance(tensor, _Tensor):
            state[name] = tensor
        elif not nested:
            raise TypeError(f"{name!r} is not a tensor")
    if nested and not state:
        raise TypeError("it holds no tensors")
    return state


def _array(tensor: _Tensor, raw: Mapping[str, bytes]) -> NDArray[np.generic]:
    storage, offset, shape, strides = tensor
    if len(shape) != len(strides) or len(shape) > _RANK_LIMIT:
        raise ValueError("a tensor's shape and strides do not agree")
    flat = np.frombuffer(raw[storage.key], dtype=storage.dtype)
    elements = math.prod(shape)
    last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    # A tensor larger than its storage repeats elements (stride 0): no weights do, a bomb would.
    if elements > len(flat) or (elements and last >= len(flat)):
        raise ValueError("a tensor reaches beyond its storage")
    if not elements:
        return np.empty(shape, dtype=storage.dtype)
    steps = tuple(step * flat.itemsize for step in strides)
    return np.lib.stride_tricks.as_strided(flat[offset:], shape, steps).copy(order="C")


def _size(storage: _Storage) -> int:
    return storage.length * np.dtype(storage.dtype).itemsize


def _count(value: object) -> int:
    if type(value) is not int or not 0 <= value < 2**48:
        raise ValueError("an offset, size or stride that is no count")
    return value


def _counts(values: object) -> tuple[int, ...]:
    if not isinstance(values, tuple):
        raise TypeError("a shape that is not a tuple")
    return tuple(_count(value) for value in values)
