"""Checkpoints are read without PyTorch, and whatever else they ask for is refused."""

import io
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.encoders.checkpoint import read_checkpoint
from lookalike.errors import WeightsError

GOLDEN = Path(__file__).parent / "golden"
LAYOUTS = ["checkpoint-zip.pth", "checkpoint-legacy.pth"]  # made by training/golden_vectors.py


def text(value: str) -> bytes:
    return b"X" + struct.pack("<i", len(value)) + value.encode()


def whole(value: int) -> bytes:
    return b"\x8a\x08" + struct.pack("<q", value)


def many(*values: int) -> bytes:
    return b"(" + b"".join(map(whole, values)) + b"t"


def a_tensor(
    *,
    shape: tuple[int, ...] = (2, 3),
    strides: tuple[int, ...] = (3, 1),
    offset: int = 0,
    length: int = 6,
    storage: bytes = b"ctorch\nFloatStorage\n",
) -> bytes:
    """The pickle of a dictionary with one tensor "w", by hand, so that it can say anything."""
    reference = b"(" + text("storage") + storage + text("0") + text("cpu") + whole(length) + b"tQ"
    arguments = reference + whole(offset) + many(*shape) + many(*strides) + b"\x89N"
    return b"\x80\x02}" + text("w") + b"ctorch._utils\n_rebuild_tensor_v2\n(" + arguments + b"tRs."


def a_zip(pickled: bytes, storage: bytes = bytes(24)) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/data/0", storage)
    return stream.getvalue()


def a_legacy(pickled: bytes, storage: bytes = bytes(24), length: int = 6) -> bytes:
    start = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}]
    head = b"".join(pickle.dumps(part, protocol=2) for part in start)
    keys = pickle.dumps(["0"], protocol=2)
    return head + pickled + keys + struct.pack("<q", length) + storage


@pytest.mark.parametrize("layout", LAYOUTS)
def test_arrays_are_what_pytorch_saved(layout: str) -> None:
    arrays = read_checkpoint((GOLDEN / layout).read_bytes())
    base = np.arange(24, dtype=np.float32)
    expected = {
        "plain": base[:6].reshape(2, 3),
        "turned": base.reshape(4, 6).T,
        "part": base[10:20:3],
        "count": np.array(7),
        "half": np.array([0.5, -2], np.float16),
        "double": np.array([1 / 3]),
        "flags": np.array([True, False]),
        "none": np.empty((0, 4), np.float32),
    }
    assert list(arrays) == list(expected)
    for name, array in expected.items():
        assert arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(arrays[name], array, err_msg=name)
        assert arrays[name].flags.c_contiguous


class Attack:
    """Unpickled the ordinary way, this makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return os.mkdir, (self.folder,)


@pytest.mark.parametrize("wrap", [a_zip, a_legacy])
@pytest.mark.parametrize("protocol", range(2, 6))
def test_a_checkpoint_that_calls_something_is_refused_and_calls_nothing(
    wrap: Callable[[bytes], bytes], protocol: int, tmp_path: Path
) -> None:
    folder = tmp_path / "made"
    hostile = pickle.dumps({"w": Attack(folder)}, protocol=protocol)
    with pytest.raises(WeightsError, match=r"(mkdir|Path), which is not data"):
        read_checkpoint(wrap(hostile))
    assert not folder.exists()


@pytest.mark.parametrize(
    "name",
    ["os\nsystem", "builtins\neval", "torch\nload", "torch._utils\n_rebuild_tensor", "numpy\nload"],
)
def test_every_name_but_those_of_plain_tensors_is_refused(name: str) -> None:
    with pytest.raises(WeightsError, match=name.replace("\n", r"\.")):
        read_checkpoint(a_zip(b"\x80\x02c" + name.encode() + b"\n."))


def test_hand_written_tensors_are_read() -> None:
    """So that the refusals below are for what they say."""
    numbers = np.arange(6, dtype="<f4")
    for data in (a_zip(a_tensor(), numbers.tobytes()), a_legacy(a_tensor(), numbers.tobytes())):
        np.testing.assert_array_equal(read_checkpoint(data)["w"], numbers.reshape(2, 3))


@pytest.mark.parametrize(
    "pickled",
    [
        a_tensor(shape=(3, 3)),
        a_tensor(offset=1),
        a_tensor(strides=(4, 1)),
        a_tensor(shape=(2, 3), strides=(3,)),
        a_tensor(offset=-6),
        a_tensor(strides=(-3, 1)),
        a_tensor(shape=(10**6, 10**6), strides=(0, 0)),
        a_tensor(length=10**12),
        a_tensor(length=-1),
        a_tensor(storage=b"ctorch\nBFloat16Storage\n"),
        a_tensor(storage=text("|O")),
        b"\x80\x02].",
        b"\x80\x02}" + text("w") + whole(1) + b"s.",
        b"",
    ],
)
def test_a_tensor_that_cannot_be_is_refused(pickled: bytes) -> None:
    for data in (a_zip(pickled), a_legacy(pickled)):
        with pytest.raises(WeightsError):
            read_checkpoint(data)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"hello", bytes(1000), b"\x80\x02}."])
def test_what_is_no_checkpoint_is_refused(data: bytes) -> None:
    with pytest.raises(WeightsError, match="not a readable PyTorch checkpoint"):
        read_checkpoint(data)


@pytest.mark.parametrize("layout", LAYOUTS)
@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_damage_anywhere_is_an_error_of_ours_or_harmless(layout: str, data: st.DataObject) -> None:
    content = bytearray((GOLDEN / layout).read_bytes())
    for _ in range(data.draw(st.integers(0, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(0, len(content)))
    with suppress(WeightsError):
        read_checkpoint(bytes(content[:end]))
