"""Weights in further files are part of what an encoder is, or the encoder is refused."""

import hashlib
import os
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.external_data_helper import set_external_data

import lookalike
from contracts.encoder import drawn
from lookalike.encoders import external, find_card, load_encoder, read_card
from lookalike.errors import EncoderMismatchError, ModelCardError, WeightsError
from networks import tiny_card, tiny_network

DATA = "weights.bin"
LITE0 = "efficientnet-lite0:89eaead1f9fef351"  # before there were networks of several files
Vector = np.ndarray[tuple[int, ...], np.dtype[np.float32]]


def split(folder: Path, *, seed: int = 0, location: str = DATA, name: str = "tiny") -> Path:
    """A card as of ``tiny_card``, but the tensors lie in ``location``, which it does not name."""
    card = tiny_card(folder, name=name, seed=seed)
    model = onnx.load_from_string(tiny_network(seed=seed))
    content = bytearray()
    for tensor in model.graph.initializer:
        raw = tensor.raw_data
        set_external_data(tensor, location, offset=len(content), length=len(raw))
        tensor.ClearField("raw_data")
        content += raw
    place = folder / location
    if place.parent.is_dir():
        place.write_bytes(content)
    return rewritten(card, model)


def rewritten(card: Path, model: onnx.ModelProto) -> Path:
    """The card, with its ONNX file and that one's digest replaced."""
    network = card.with_suffix(".onnx")
    before = hashlib.sha256(network.read_bytes()).hexdigest()
    network.write_bytes(model.SerializeToString())
    after = hashlib.sha256(network.read_bytes()).hexdigest()
    card.write_text(card.read_text("utf-8").replace(before, after), "utf-8")
    return card


def named(card: Path, *names: str) -> Path:
    """The card, with these files and their digests in it."""
    lines = [
        f'"{name}" = "{hashlib.sha256((card.parent / name).read_bytes()).hexdigest()}"'
        for name in names
    ]
    text = card.read_text("utf-8")
    table = "\n".join(["[weights.data]", *lines])
    card.write_text(f"{text.partition('[weights.data]')[0]}\n{table}\n", "utf-8")
    return card


def vector(card: Path) -> Vector:
    encoder = load_encoder(card)
    return encoder.encode([encoder.prepare(drawn(0))])


def test_a_network_in_two_files_gives_the_vectors_of_one_in_one_file(tmp_path: Path) -> None:
    whole = vector(tiny_card(tmp_path / "whole"))
    assert np.array_equal(vector(named(split(tmp_path / "split"), DATA)), whole)


def test_a_further_file_that_the_card_does_not_name_is_refused_with_the_lines_to_add(
    tmp_path: Path,
) -> None:
    card = split(tmp_path)
    with pytest.raises(WeightsError, match="does not name") as caught:
        load_encoder(card)
    lines = str(caught.value).partition("[weights.data]")
    card.write_text(f"{card.read_text('utf-8')}\n{lines[1]}{lines[2]}\n", "utf-8")
    assert vector(card).shape == (1, 32)


def test_other_weights_in_the_further_file_are_noticed(tmp_path: Path) -> None:
    card = named(split(tmp_path), DATA)
    before = vector(card), load_encoder(card).fingerprint
    split(tmp_path / "other", seed=1)
    (tmp_path / DATA).write_bytes((tmp_path / "other" / DATA).read_bytes())
    with pytest.raises(WeightsError, match=r"weights\.bin: not the weights"):
        load_encoder(card)
    named(card, DATA)  # said on purpose: another encoder now
    assert not np.allclose(vector(card), before[0])
    assert load_encoder(card).fingerprint != before[1]


def test_a_collection_refuses_the_vectors_of_other_weights(tmp_path: Path) -> None:
    picture = tmp_path / "one.png"
    drawn(0).save(picture)
    card = named(split(tmp_path / "net"), DATA)
    with lookalike.open(tmp_path / "shop", encoder=card, create=True) as shop:
        shop.add("one", picture)
    split(tmp_path / "other", seed=1)
    (tmp_path / "net" / DATA).write_bytes((tmp_path / "other" / DATA).read_bytes())
    with (
        lookalike.open(tmp_path / "shop", encoder=card, create=True) as shop,
        pytest.raises(WeightsError),
    ):
        shop.add("two", drawn_bytes(1))
    named(card, DATA)
    with lookalike.open(tmp_path / "shop", encoder=card, create=True) as shop:
        with pytest.raises(EncoderMismatchError):
            shop.add("two", drawn_bytes(1))
        assert len(shop) == 1


def drawn_bytes(number: int) -> bytes:
    file = BytesIO()
    drawn(number).save(file, "PNG")
    return file.getvalue()


def test_an_open_network_does_not_change_with_its_file(tmp_path: Path) -> None:
    card = named(split(tmp_path), DATA)
    encoder = load_encoder(card)
    prepared = encoder.prepare(drawn(0))
    before = encoder.encode([prepared])
    with (tmp_path / DATA).open("r+b") as file:  # in place, as a download does
        file.write(os.urandom((tmp_path / DATA).stat().st_size))
    assert np.array_equal(encoder.encode([prepared]), before)


@pytest.mark.parametrize(
    "location", ["../weights.bin", "/etc/hostname", "a/../../weights.bin", "..\\weights.bin", "C:x"]
)
def test_a_file_outside_the_networks_folder_is_refused(tmp_path: Path, location: str) -> None:
    (tmp_path / "weights.bin").write_bytes(bytes(100_000))
    card = split(tmp_path / "net", location=location if location != "/etc/hostname" else DATA)
    if location == "/etc/hostname":
        card = moved(card, location)
    with pytest.raises(WeightsError, match="own folder"):
        load_encoder(card)


def moved(card: Path, location: str) -> Path:
    """The card, whose network names another place for its tensors."""
    model = onnx.load_model(card.with_suffix(".onnx"), load_external_data=False)
    for tensor in model.graph.initializer:
        next(one for one in tensor.external_data if one.key == "location").value = location
    return rewritten(card, model)


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    card = split(tmp_path / "net")
    (tmp_path / "net" / DATA).rename(tmp_path / DATA)
    (tmp_path / "net" / DATA).symlink_to(tmp_path / DATA)
    with pytest.raises(WeightsError, match="own folder"):
        load_encoder(named(card, DATA))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    card = named(split(tmp_path), DATA)
    (tmp_path / DATA).unlink()
    with pytest.raises(WeightsError, match=r"'weights\.bin', which is not there"):
        load_encoder(card)


def test_a_file_that_is_too_short_is_told_of(tmp_path: Path) -> None:
    card = split(tmp_path)
    (tmp_path / DATA).write_bytes((tmp_path / DATA).read_bytes()[:-1])
    with pytest.raises(WeightsError, match="too short"):
        load_encoder(named(card, DATA))


def test_a_file_that_the_network_does_not_read_is_no_part_of_a_card(tmp_path: Path) -> None:
    card = tiny_card(tmp_path)
    (tmp_path / DATA).write_bytes(b"x")
    with pytest.raises(ModelCardError, match="does not read"):
        load_encoder(named(card, DATA))


def test_too_much_for_one_network_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = named(split(tmp_path), DATA)
    monkeypatch.setattr(external, "MOST_BYTES", 1000)
    with pytest.raises(WeightsError, match="the limit is 1,000"):
        load_encoder(card)


def outside(name: str = "t", location: str = "extra.bin") -> TensorProto:
    tensor = numpy_helper.from_array(np.zeros(4, dtype=np.float32), name)
    set_external_data(tensor, location, offset=0, length=16)
    tensor.ClearField("raw_data")
    return tensor


def in_attribute(model: onnx.ModelProto) -> None:
    node = helper.make_node("Constant", [], ["extra"])
    node.attribute.append(helper.make_attribute("value", outside()))
    model.graph.node.append(node)


def in_subgraph(model: onnx.ModelProto) -> None:
    inner = helper.make_graph([], "inner", [], [], [outside()])
    node = helper.make_node("If", ["features"], ["extra"])
    node.attribute.append(helper.make_attribute("then_branch", inner))
    model.graph.node.append(node)


def in_sparse(model: onnx.ModelProto) -> None:
    sparse = onnx.SparseTensorProto(values=outside(), dims=[4])
    model.graph.sparse_initializer.append(sparse)


def in_function(model: onnx.ModelProto) -> None:
    node = helper.make_node("Constant", [], ["y"])
    node.attribute.append(helper.make_attribute("value", outside()))
    opset = [helper.make_opsetid("", 17)]
    model.functions.append(helper.make_function("own", "F", [], ["y"], [node], opset))


def in_list(model: onnx.ModelProto) -> None:
    node = helper.make_node("Constant", [], ["extra"])
    node.attribute.append(
        onnx.AttributeProto(name="many", type=onnx.AttributeProto.TENSORS, tensors=[outside()])
    )
    model.graph.node.append(node)


@pytest.mark.parametrize("put", [in_attribute, in_subgraph, in_sparse, in_function, in_list])
def test_a_further_file_is_found_wherever_a_network_names_it(
    tmp_path: Path, put: Callable[[onnx.ModelProto], None]
) -> None:
    card = tiny_card(tmp_path)
    (tmp_path / "extra.bin").write_bytes(bytes(16))
    model = onnx.load_from_string(tiny_network())
    put(model)
    with pytest.raises(WeightsError, match=r"reads extra\.bin"):
        load_encoder(rewritten(card, model))


def test_a_network_compiled_for_one_device_is_refused(tmp_path: Path) -> None:
    card = tiny_card(tmp_path)
    model = onnx.load_from_string(tiny_network())
    attributes: dict[str, Any] = {"embed_mode": 0, "ep_cache_context": "engine.bin"}
    model.graph.node.append(
        helper.make_node("EPContext", [], ["extra"], domain="com.microsoft", **attributes)
    )
    with pytest.raises(WeightsError, match="compiled for one device"):
        load_encoder(rewritten(card, model))


def test_what_is_no_network_is_told_of(tmp_path: Path) -> None:
    card = tiny_card(tmp_path)
    network = card.with_suffix(".onnx")
    digest = hashlib.sha256(network.read_bytes()).hexdigest()
    content = b"\xff\xffno network in any location"
    network.write_bytes(content)
    text = card.read_text("utf-8").replace(digest, hashlib.sha256(content).hexdigest())
    card.write_text(text, "utf-8")
    with pytest.raises(WeightsError, match="is no ONNX file"):
        load_encoder(card)


@pytest.mark.parametrize("data", ['"x"', "[1]", '{ "w.bin" = "abc" }', '{ "w.bin" = 5 }'])
def test_a_bad_table_of_files_is_reported_with_its_key(tmp_path: Path, data: str) -> None:
    card = tiny_card(tmp_path)
    text = card.read_text("utf-8").replace("[input]", f"data = {data}\n\n[input]", 1)
    card.write_text(text, "utf-8")
    with pytest.raises(ModelCardError, match=r"weights\.data"):
        read_card(card)


def test_fingerprints_of_networks_of_one_file_stay_as_they_were() -> None:
    assert find_card("efficientnet-lite0").fingerprint(1, 1) == LITE0
