"""Weights that were trained further replace those of the base encoder, and nothing else does."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.encoders import find_card, read_card
from lookalike.encoders.onnx_encoder import fingerprint_of
from lookalike.encoders.trained_weights import read_trained, trained_bytes
from lookalike.encoders.weights import read_weights
from lookalike.errors import ModelCardError, WeightsError

BASE = find_card("efficientnet-lite0")
ARRAY = "_conv_head.weight"


def write_card(folder: Path, content: bytes, **keys: str) -> Path:
    """Write a card of Lite0 whose further weights are ``content``."""
    (folder / "more.npz").write_bytes(content)
    values = {
        "trained": "more.npz",
        "trained_sha256": hashlib.sha256(content).hexdigest(),
        **keys,
    }
    lines = "".join(f'{key} = "{value}"\n' for key, value in values.items() if value)
    text = BASE.path.read_text(encoding="utf-8").replace("[input]", f"{lines}\n[input]", 1)
    path = folder / "taught.toml"
    path.write_text(text.replace('"efficientnet-lite0"', '"taught"', 1), encoding="utf-8")
    return path


def test_trained_arrays_replace_those_of_the_base_and_the_others_stay(tmp_path: Path) -> None:
    base = read_weights(BASE)
    content = trained_bytes({ARRAY: base[ARRAY] * 2})
    card = read_card(write_card(tmp_path, content))
    arrays = read_weights(card)
    assert arrays.keys() == base.keys()
    assert np.allclose(arrays[ARRAY], base[ARRAY] * 2, rtol=1e-3, atol=1e-6)
    assert arrays["_fc.weight"] is not None
    assert np.array_equal(arrays["_fc.weight"], base["_fc.weight"])


def test_other_trained_weights_are_another_fingerprint(tmp_path: Path) -> None:
    one = read_card(write_card(tmp_path, trained_bytes({ARRAY: np.zeros(1)})))
    other = read_card(write_card(tmp_path, trained_bytes({ARRAY: np.ones(1)})))
    assert len({fingerprint_of(one), fingerprint_of(other), fingerprint_of(BASE)}) == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no archive", "more.npz: cannot be read as a file of weights"),
        (b"", "more.npz: cannot be read as a file of weights"),
        (trained_bytes({ARRAY: np.ones(3)})[:-40], "cannot be read as a file of weights"),
        (trained_bytes({ARRAY: np.ones(3)}), r"_conv_head.weight has shape \(3,\), but the base"),
        (trained_bytes({"head": np.ones(3)}), r"head has shape \(3,\), .* has no such array"),
    ],
    ids=["text", "empty", "cut off", "another shape", "an unknown array"],
)
def test_a_file_that_does_not_fit_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    card = read_card(write_card(tmp_path, content))
    with pytest.raises(WeightsError, match=message):
        read_weights(card)


def test_a_file_with_another_digest_is_refused(tmp_path: Path) -> None:
    card = read_card(write_card(tmp_path, trained_bytes({}), trained_sha256="ab" * 32))
    with pytest.raises(WeightsError, match=r"more.npz: not the weights that the card of taught"):
        read_weights(card)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    card = read_card(write_card(tmp_path, b"", trained="gone.npz"))
    with pytest.raises(WeightsError, match=r"gone.npz: cannot be read: No such file"):
        read_weights(card)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"trained_sha256": ""}, "weights.trained_sha256 is missing"),
        ({"trained": ""}, "weights.trained_sha256 is the digest of a file, but trained names none"),
    ],
)
def test_a_card_names_both_the_file_and_its_digest(
    keys: dict[str, str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelCardError, match=message):
        read_card(write_card(tmp_path, b"", **keys))


def test_only_a_checkpoint_can_be_trained_further(tmp_path: Path) -> None:
    path = write_card(tmp_path, b"")
    text = path.read_text(encoding="utf-8").replace('"efficientnet-lite"', '"onnx"')
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ModelCardError, match=r"weights.trained is only for builder"):
        read_card(path)


@given(
    st.dictionaries(
        st.text("abc._", min_size=1, max_size=6),
        st.lists(st.floats(-100, 100, width=16), min_size=1, max_size=5),
        max_size=4,
    )
)
def test_arrays_come_back_as_they_were_stored(values: dict[str, list[float]]) -> None:
    arrays = {name: np.array(one, np.float32) for name, one in values.items()}
    found = read_trained(trained_bytes(arrays), Path("some.npz"), arrays)
    assert found.keys() == arrays.keys()
    assert all(np.array_equal(found[name], arrays[name]) for name in arrays)


def test_a_value_too_large_for_half_precision_is_refused() -> None:
    with pytest.raises(ValueError, match="head holds values that float16 cannot hold"):
        trained_bytes({"head": np.array([1e6])})
