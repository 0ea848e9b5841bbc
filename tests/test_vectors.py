"""Unit vectors and what is computed on them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from lookalike.core.vectors import cosines, dots, mixed, top_k, unit_rows

_SCORES = st.lists(st.sampled_from([-1.0, -0.5, 0.0, 0.25, 0.25000003, 0.5, 1.0]), max_size=40)


@given(
    arrays.arrays(
        st.sampled_from([np.float16, np.float32, np.float64]),
        st.tuples(st.integers(1, 6), st.integers(1, 9)),
        elements=st.integers(-200, 200).filter(bool).map(float),
    )
)
def test_unit_rows_keep_their_direction_and_have_length_one(rows: NDArray[np.floating]) -> None:
    units = unit_rows(rows)
    assert units.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(units, axis=1), 1, atol=1e-6)
    lengths = np.linalg.norm(rows.astype(float), axis=1, keepdims=True)
    np.testing.assert_allclose(units * lengths, rows, rtol=1e-5)


@pytest.mark.parametrize("bad", [0.0, np.nan, np.inf, -np.inf])
def test_a_row_without_a_direction_is_refused_by_its_number(bad: float) -> None:
    rows = np.ones((4, 3), dtype=np.float32)
    rows[2] = bad
    with pytest.raises(ValueError, match="row 2 is zero or not finite"):
        unit_rows(rows)


def test_one_bad_value_spoils_its_row() -> None:
    with pytest.raises(ValueError, match="row 0"):
        unit_rows(np.array([[1.0, np.nan, 1.0]]))


def test_the_largest_and_smallest_floats_have_a_direction() -> None:
    extremes = np.array([[3e38, 3e38], [1e-40, 0]], dtype=np.float32)
    np.testing.assert_allclose(unit_rows(extremes), [[0.5**0.5] * 2, [1, 0]], rtol=1e-6)


def test_no_rows_become_no_rows() -> None:
    assert unit_rows(np.empty((0, 5))).shape == (0, 5)


def test_unit_rows_leave_their_argument_alone() -> None:
    rows = np.array([[3.0, 4.0]], dtype=np.float32)
    unit_rows(rows)
    assert rows.tolist() == [[3, 4]]


@given(_SCORES, st.integers(-2, 45))
def test_top_k_is_the_head_of_a_stable_sort(scores: list[float], k: int) -> None:
    expected = sorted(range(len(scores)), key=lambda position: (-scores[position], position))
    assert top_k(np.array(scores), k).tolist() == expected[: max(k, 0)]


@given(st.integers(1, 30), st.integers(1, 30))
def test_equal_scores_come_by_position(count: int, k: int) -> None:
    assert top_k(np.full(count, 0.5, np.float32), k).tolist() == list(range(min(k, count)))


@given(st.integers(1, 40), st.integers(1, 1300), st.integers(0, 2**32 - 1))
def test_equal_rows_have_equal_cosines_wherever_they_stand(count: int, dim: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(count, dim)).astype(np.float16)
    twin = int(rng.integers(count))
    rows = np.concatenate([rows, rows[twin : twin + 1]])
    scores = cosines(rows, rng.normal(size=dim).astype(np.float32))
    assert scores[twin] == scores[-1]


def test_cosines_are_those_of_the_directions() -> None:
    rows = np.array([[2, 0], [0, 5], [-3, 0], [1, 1]], dtype=np.float32)
    scores = cosines(rows, np.array([4, 0], dtype=np.float32))
    np.testing.assert_allclose(scores, [1, 0, -1, 0.5**0.5])
    assert np.abs(scores).max() <= 1


@given(st.integers(0, 2**32 - 1))
def test_a_row_with_itself_is_never_more_than_one(seed: int) -> None:
    row = np.random.default_rng(seed).normal(size=(1, 33)).astype(np.float16)
    (score,) = cosines(row, row[0].astype(np.float32))
    assert 1 - 1e-12 <= score <= 1


@given(st.integers(1, 5), st.integers(1, 40), st.integers(1, 1300), st.integers(0, 2**32 - 1))
def test_a_query_has_the_same_products_alone_and_in_company(
    queries: int, count: int, dim: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    rows, asked = (unit_rows(rng.normal(size=(n, dim))) for n in (count, queries))
    together = dots(asked, rows)
    assert together.shape == (queries, count)
    assert together.dtype == np.float32
    for place in range(queries):
        alone = dots(asked[place : place + 1], rows)
        np.testing.assert_allclose(alone, together[place : place + 1], atol=1e-6)


def test_several_pictures_are_one_direction_between_them() -> None:
    rows = unit_rows(np.array([[1, 0, 0], [0, 1, 0]], dtype=np.float32))
    between = mixed(rows, [1, 1])
    assert between.dtype == np.float32
    np.testing.assert_allclose(between, [0.70710678, 0.70710678, 0], atol=1e-6)
    np.testing.assert_allclose(mixed(rows, [3, 0]), rows[0], atol=1e-6)


def test_a_negative_weight_leads_away() -> None:
    rows = unit_rows(np.array([[1, 0], [1, 1]], dtype=np.float32))
    away = mixed(rows, [1, -0.5])
    assert cosines(rows, away)[1] < cosines(rows[:1], rows[1])[0]
    assert away[1] < 0


@given(
    arrays.arrays(np.float32, (3, 4), elements=st.integers(-9, 9).filter(bool).map(float)),
    st.lists(st.floats(0.01, 10), min_size=3, max_size=3),
    st.floats(0.01, 100),
)
def test_only_the_proportion_of_weights_matters(
    rows: NDArray[np.float32], weights: list[float], factor: float
) -> None:
    units = unit_rows(np.abs(rows))  # none cancels another
    one = mixed(units, weights)
    assert np.linalg.norm(one) == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(one, mixed(units, [w * factor for w in weights]), atol=1e-5)


def test_pictures_that_cancel_each_other_out_ask_for_nothing() -> None:
    rows = unit_rows(np.array([[1, 2], [1, 2]], dtype=np.float32))
    with pytest.raises(ValueError, match="cancel each other out"):
        mixed(rows, [1, -1])
    with pytest.raises(ValueError, match="cancel each other out"):
        mixed(rows[:0], [])
    with pytest.raises(ValueError, match="2 rows have 1 weights"):
        mixed(rows, [1])
