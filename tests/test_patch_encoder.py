"""An embedding, divided over the positions of its image."""

import hashlib
from pathlib import Path
from typing import get_args

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import helper

from contracts.encoder import drawn
from lookalike.core.protocols import patch_encoder_of
from lookalike.core.vectors import unit_rows
from lookalike.encoders import OnnxEncoder, default_cache, find_card, load_encoder
from lookalike.encoders.cards.records import Output
from lookalike.encoders.graph_cutting import parse_model
from lookalike.encoders.patch_encoder import find_maps
from lookalike.encoders.patch_shares import Pooled, PooledMap, divide, divide_all
from lookalike.encoders.pooled_graph import pooled_maps
from lookalike.encoders.pooling import pool
from lookalike.encoders.preprocessing import seen_area
from lookalike.encoders.projection import ProjectedEncoder, fit_projection
from lookalike.encoders.weights import network
from lookalike.errors import ExplanationError
from networks import tiny_card

CLOSE = 1e-5


def values(seed: int, shape: tuple[int, ...]) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(size=shape)


def pooled(maps: NDArray[np.float64], pooling: Pooled) -> NDArray[np.float64]:
    """Return maps (n, rows, columns, channels), pooled by what pools them elsewhere."""
    if pooling == "spread":
        spread: NDArray[np.float64] = np.sqrt(maps.var(axis=(1, 2)) + 1e-6)
        return spread
    output = Output(name="map", dim=maps.shape[-1], pooling=pooling, layout="nhwc", gem_p=3.0)
    return pool(maps, output).astype(np.float64)


@given(
    pooling=st.sampled_from(get_args(Pooled)),
    rows=st.integers(1, 5),
    columns=st.integers(1, 5),
    channels=st.integers(1, 6),
    flat=st.booleans(),
    seed=st.integers(0, 99),
)
def test_the_shares_of_each_pooling_add_up_to_it(
    *, pooling: Pooled, rows: int, columns: int, channels: int, flat: bool, seed: int
) -> None:
    maps = values(seed, (2, rows, columns, channels))
    if flat:  # equal everywhere: no spread, and every place is the highest
        maps[:] = maps[:, :1, :1]
    shares = divide(maps, PooledMap(tensor="map", pooling=pooling))
    assert shares.shape == maps.shape
    assert shares.sum(axis=(1, 2)) == pytest.approx(pooled(maps, pooling), abs=CLOSE)


def test_what_differs_most_from_the_mean_has_the_largest_share_of_a_spread() -> None:
    maps = np.zeros((1, 3, 3, 1))
    maps[0, 1, 2] = 5
    shares = divide(maps, PooledMap(tensor="map", pooling="spread"))[0, :, :, 0]
    assert divmod(int(shares.argmax()), 3) == (1, 2)


@given(columns=st.integers(1, 6), rows=st.integers(1, 6), prefix=st.integers(0, 2))
def test_tokens_lie_as_the_input_does(columns: int, rows: int, prefix: int) -> None:
    tokens = np.arange((prefix + rows * columns) * 2, dtype=np.float32).reshape(1, -1, 2)
    how = PooledMap(tensor="tokens", pooling="mean", prefix_tokens=prefix)
    shares = divide_all([tokens], [how], aspect=columns / rows)
    assert shares.shape == (1, rows, columns, 2)
    mean = unit_rows(tokens[:, prefix:].mean(axis=1))
    assert shares.sum(axis=(1, 2)) == pytest.approx(mean, abs=CLOSE)


def test_tokens_that_form_no_grid_are_refused() -> None:
    how = PooledMap(tensor="tokens", pooling="mean")
    with pytest.raises(ValueError, match="7 tokens of tokens form no grid"):
        divide_all([values(0, (1, 7, 3))], [how], aspect=1.0)


def test_parts_with_different_grids_are_refused() -> None:
    one = PooledMap(tensor="one", pooling="mean")
    with pytest.raises(ValueError, match="different grids"):
        divide_all([values(0, (1, 3, 2, 2)), values(0, (1, 3, 4, 4))], [one, one], aspect=1.0)


@pytest.mark.parametrize(
    "name", ["efficientnet-lite0", "efficientnet-lite2-pooled", "lookalike-v1"]
)
def test_shares_add_up_to_the_embeddings_of_the_encoders_that_come_with_lookalike(
    name: str,
) -> None:
    encoder = load_encoder(name, threads=1)
    batch = [encoder.prepare(drawn(seed)) for seed in range(3)]
    shares = encoder.patch_encoder.shares(batch)
    assert shares.shape[:3] == (3, 7, 7)
    assert shares.sum(axis=(1, 2)) == pytest.approx(encoder.encode(batch), abs=CLOSE)


def test_shares_add_up_after_a_projection(card: Path) -> None:
    base = load_encoder(card)
    sample = base.encode([base.prepare(drawn(seed)) for seed in range(20)])
    encoder = ProjectedEncoder(base, fit_projection(sample, 5, base=base.fingerprint))
    patches = patch_encoder_of(encoder)
    assert patches is not None
    batch = [encoder.prepare(drawn(seed)) for seed in range(20, 24)]
    shares = patches.shares(batch)
    assert shares.shape == (4, 8, 8, 5)
    assert shares.sum(axis=(1, 2)) == pytest.approx(encoder.encode(batch), abs=CLOSE)


def test_an_image_that_is_the_very_mean_is_divided_evenly(card: Path) -> None:
    base = load_encoder(card)
    batch = [base.prepare(drawn(1))]
    sample = base.encode([base.prepare(drawn(seed)) for seed in range(9)])
    projection = fit_projection(sample, 3, base=base.fingerprint)
    object.__setattr__(projection, "mean", base.encode(batch)[0])
    encoder = ProjectedEncoder(base, projection)
    patches = patch_encoder_of(encoder)
    assert patches is not None
    shares = patches.shares(batch)
    assert shares.sum(axis=(1, 2)) == pytest.approx(encoder.encode(batch), abs=CLOSE)
    assert np.ptp(shares[0, :, :, 0]) == pytest.approx(0)


def changed(folder: Path, *, more: bool) -> OnnxEncoder:
    """Return the tiny encoder with ReduceMean for its pooling, and perhaps a layer after that."""
    card = tiny_card(folder)
    path = folder / "tiny.onnx"
    model = onnx.load(path)
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(nodes[:3])
    pooled = "before" if more else "features"
    reduce = helper.make_node("ReduceMean", ["map"], [pooled], axes=[2, 3], keepdims=0)
    model.graph.node.append(reduce)
    if more:
        model.graph.node.append(helper.make_node("Relu", ["before"], ["features"]))
    model.graph.node.append(nodes[5])
    path.write_bytes(model.SerializeToString())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    lines = card.read_text().splitlines()
    lines = [f'sha256 = "{digest}"' if line.startswith("sha256") else line for line in lines]
    card.write_text("\n".join(lines))
    return load_encoder(card)


def test_pooling_is_found_inside_a_model(tmp_path: Path) -> None:
    encoder = changed(tmp_path, more=False)
    batch = [encoder.prepare(drawn(seed)) for seed in range(2)]
    shares = encoder.patch_encoder.shares(batch)
    assert shares.sum(axis=(1, 2)) == pytest.approx(encoder.encode(batch), abs=CLOSE)


def test_parts_that_are_pooled_side_by_side_are_found_in_a_model_of_any_origin() -> None:
    """As in an encoder that was fine-tuned, whose file says no more than a graph."""
    card = find_card("lookalike-v1")
    found = network(card, cache=default_cache())
    content = found if isinstance(found, bytes) else found.read_bytes()
    known = find_maps(card, content)
    assert [part.pooling for part in known] == ["mean", "spread", "spread"]
    parts = pooled_maps(parse_model(content), card.output.name)
    assert [part.length for part in parts] == pytest.approx([part.length for part in known])
    assert [(part.tensor, part.pooling) for part in parts] == [
        (part.tensor, part.pooling) for part in known
    ]


def test_an_embedding_that_is_more_than_pooling_is_refused(tmp_path: Path) -> None:
    encoder = changed(tmp_path, more=True)
    batch = [encoder.prepare(drawn(0))]
    with pytest.raises(ExplanationError, match="tiny: its embeddings cannot be divided"):
        encoder.patch_encoder.shares(batch)


def test_the_seen_area_is_what_the_encoder_is_given(card: Path) -> None:
    from dataclasses import replace  # noqa: PLC0415 - of this test alone

    spec = load_encoder(card).card.input
    assert seen_area(200, 100, spec) == (0, 0, 1, 1)
    assert seen_area(200, 100, replace(spec, resize="crop", crop=1.0)) == (0.25, 0, 0.75, 1)
    assert seen_area(200, 100, replace(spec, resize="pad")) == (0, -0.5, 1, 1.5)
