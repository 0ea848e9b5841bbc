"""Pooling agrees with what the words mean, written as plain loops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from lookalike.encoders.cards import Layout, Output, Pooling
from lookalike.encoders.pooling import pool

AXES = st.integers(1, 4)


def output(dim: int, pooling: Pooling, layout: Layout = "nchw", prefix: int = 0) -> Output:
    return Output(
        name="y", dim=dim, pooling=pooling, layout=layout, gem_p=2.5, prefix_tokens=prefix
    )


def positions(rows: NDArray[np.float32], layout: Layout) -> NDArray[np.float32]:
    """(n, positions, channels) of a map."""
    if layout == "nchw":
        rows = rows.transpose(0, 2, 3, 1)
    return rows.reshape(len(rows), -1, rows.shape[-1])


def reference(vectors: list[list[float]], pooling: Pooling) -> list[float]:
    """Pool the vectors of one image's positions."""
    found = []
    for values in zip(*vectors, strict=True):
        match pooling:
            case "max":
                found.append(max(values))
            case "gem":
                found.append((sum(max(one, 1e-6) ** 2.5 for one in values) / len(values)) ** 0.4)
            case _:
                found.append(sum(values) / len(values))
    return found


@given(
    shape=st.tuples(AXES, AXES, AXES, AXES),
    pooling=st.sampled_from(["mean", "max", "gem"]),
    layout=st.sampled_from(["nchw", "nhwc"]),
    dtype=st.sampled_from([np.float32, np.float16]),
    seed=st.integers(0, 99),
)
def test_a_map_is_pooled_over_its_positions(
    shape: tuple[int, int, int, int],
    pooling: Pooling,
    layout: Layout,
    dtype: type[np.floating],
    seed: int,
) -> None:
    rows = np.random.default_rng(seed).normal(size=shape).astype(dtype)
    dim = shape[1 if layout == "nchw" else 3]
    found = pool(rows, output(dim, pooling, layout))
    expected = [reference(one, pooling) for one in positions(rows, layout).tolist()]
    assert found.dtype == np.float32
    assert found == pytest.approx(np.array(expected), abs=1e-4)


@given(
    shape=st.tuples(AXES, st.integers(2, 6), AXES),
    pooling=st.sampled_from(["mean", "max", "gem", "mean_tokens", "cls"]),
    prefix=st.integers(0, 1),
    seed=st.integers(0, 99),
)
def test_tokens_are_pooled_without_those_that_are_no_place(
    shape: tuple[int, int, int], pooling: Pooling, prefix: int, seed: int
) -> None:
    rows = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    found = pool(rows, output(shape[2], pooling, prefix=prefix))
    if pooling == "cls":
        assert np.array_equal(found, rows[:, 0])
    else:
        expected = [reference(one[prefix:], pooling) for one in rows.tolist()]
        assert found == pytest.approx(np.array(expected), abs=1e-4)


def test_without_pooling_a_map_is_flattened() -> None:
    rows = np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2)
    assert np.array_equal(pool(rows, output(12, "none")), rows.reshape(2, 12))


def test_large_numbers_do_not_overflow_in_the_generalised_mean() -> None:
    rows = np.full((1, 2, 3, 3), 1e30, dtype=np.float32)
    assert pool(rows, output(2, "gem")) == pytest.approx(np.full((1, 2), 1e30), rel=1e-4)


@pytest.mark.parametrize(
    ("shape", "wanted", "said"),
    [
        ((1, 8), output(8, "mean"), r"needs a map or \(n, tokens, channels\), but y is of shape"),
        ((1, 8, 2, 2), output(8, "cls"), r'"cls" needs \(n, tokens, channels\)'),
        ((1, 8, 2, 2), output(8, "mean", prefix=1), r"prefix_tokens is for \(n, tokens"),
        ((1, 3, 8), output(8, "mean", prefix=3), "prefix_tokens is 3, but y has 3 tokens"),
        ((1, 3, 8), output(9, "mean"), "output.dim is 9, but the model gives 8 numbers"),
    ],
)
def test_what_does_not_fit_is_said(shape: tuple[int, ...], wanted: Output, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        pool(np.ones(shape, dtype=np.float32), wanted)
