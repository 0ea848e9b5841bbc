"""Every encoder of the curated list: pulled from a local hub, opened, searched with."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import onnx
import pytest

pytest.importorskip("huggingface_hub", reason="the extra hub is not installed")
pytest.importorskip("tokenizers", reason="the extra words is not installed")
pytest.importorskip("ftfy", reason="the extra words is not installed")

from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

import hub_graphs as graphs
import lookalike
from hub_server import HubServer
from lookalike.encoders.adding.model_facts import before_classifier, read_facts
from lookalike.encoders.cards import read_card
from lookalike.encoders.hub import CuratedEncoder, curated_encoders, pull
from lookalike.encoders.hub.files import Hub
from lookalike.encoders.hub.hub_file_entry import named_like
from lookalike.encoders.reserved_names import reserved_for
from lookalike.errors import EncoderError, PullError

LISTED = {name: one for name, one in curated_encoders().items() if one.timm is None}
LICENCE = b"The terms of this licence."


def tokenizer() -> bytes:
    """Return a tokenizer.json that knows a few words."""
    vocabulary = {"[UNK]": 0, "red": 7, "bag": 11, "blue": 60}
    made = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))  # noqa: S106 - not a password
    made.pre_tokenizer = Whitespace()
    return made.to_str().encode()


TOKENIZER = tokenizer()


def image_graph(entry: CuratedEncoder) -> bytes:
    """Return a small graph that looks like the entry's real one to who reads it."""
    dim = entry.dim or 0
    families: dict[str, Callable[[], bytes]] = {
        "clip-": lambda: graphs.vision({"image_embeds": dim}, opset=11),
        "siglip": lambda: graphs.vision({"pooler_output": dim}, hidden=dim, opset=14),
        "marqo": lambda: graphs.vision({"image_embeds": dim}),
        "mobileclip2": lambda: graphs.vision({"image_embeds": dim}, opset=17),
        "dinov2": lambda: graphs.tokens(dim, count=257),
        "dinov3-small": lambda: graphs.tokens(dim, count=201, pooled=True, opset=18),
        "dinov3-convnext": lambda: graphs.tokens(dim, count=50, pooled=True, opset=18),
        "nomic": lambda: graphs.tokens(dim, count=197),
        "unicom": lambda: graphs.fixed(dim),
        "vgg16": lambda: graphs.vgg16(dim=dim),
    }
    for family, make in families.items():
        if entry.name.startswith(family):
            return make()
    return graphs.classifier(dim)


def files_of(entry: CuratedEncoder) -> dict[str, bytes]:
    """Return what the entry's repository holds, with small graphs."""
    graph = image_graph(entry)
    files: dict[str, bytes] = {"README.md": b"# A model"}
    if entry.data:
        (path,) = entry.data
        graph, files[path] = graphs.with_data(graph, Path(path).name)
    files[entry.graph] = graph
    if entry.licence_file is not None:
        files[entry.licence_file] = LICENCE
    if entry.words is not None:
        output = str(entry.words.keys["output"])
        hidden = entry.dim if output == "pooler_output" else None
        files[entry.words.graph] = graphs.text(entry.dim or 0, output=output, hidden=hidden)
        files[entry.words.tokenizer] = TOKENIZER
    return files


def unpinned(entry: CuratedEncoder) -> CuratedEncoder:
    """Return the entry without the digests of the real files, which are not served here."""
    return replace(entry, revision=None, sha256={})


@pytest.fixture
def server() -> Iterator[HubServer]:
    with HubServer() as server:
        yield server


@pytest.fixture
def hub(server: HubServer, tmp_path: Path) -> Hub:
    return Hub(endpoint=server.address, cache=tmp_path / "cache", timeout_s=2.0, pause_s=0.0)


def serve(server: HubServer, name: str, **changes: bytes) -> CuratedEncoder:
    entry = LISTED[name]
    server.add(entry.repository, {**files_of(entry), **changes})
    return unpinned(entry)


@pytest.mark.parametrize("name", LISTED)
def test_every_listed_encoder_is_pulled_and_searches(
    name: str, server: HubServer, hub: Hub, tmp_path: Path, pictures: Path
) -> None:
    entry = serve(server, name)
    pulled = pull(entry, folder=tmp_path / "encoders", hub=hub, accept_licence=True)
    assert pulled.changed
    assert pulled.card == tmp_path / "encoders" / name / f"{name}.toml"
    with lookalike.open(tmp_path / "shop", encoder=pulled.card, create=True) as shop:
        assert shop.index(pictures).indexed == 9
        hits = shop.search(pictures / "4.png", k=9, include_self=True)
        assert hits[0].item.id.endswith("4.png")
        assert hits[0].score == pytest.approx(1, abs=1e-3)
        assert hits[1].score < 0.9999


@pytest.mark.parametrize("matmul", [False, True])
def test_what_a_classifier_reads_is_found(matmul: bool, tmp_path: Path) -> None:  # noqa: FBT001
    path = tmp_path / "model.onnx"
    path.write_bytes(graphs.classifier(64, matmul=matmul))
    assert before_classifier(read_facts(path), "logits") == graphs.INNER


# What is known by its digest


def test_the_first_pull_is_pinned_and_a_second_asks_nobody(
    server: HubServer, hub: Hub, tmp_path: Path
) -> None:
    entry = serve(server, "clip-vit-b-32")
    first = pull(entry, folder=tmp_path, hub=hub)
    server.add(entry.repository, {**files_of(entry), entry.graph: b"another file" * 1000})
    server.requests.clear()
    again = pull(entry, folder=tmp_path, hub=hub)
    assert not again.changed
    assert (again.revision, again.card) == (first.revision, first.card)
    assert [one.sha256 for one in again.files] == [one.sha256 for one in first.files]
    assert server.requests == []
    assert first.revision in first.card.read_text(encoding="utf-8")


def test_what_the_user_changed_in_a_card_stays(server: HubServer, hub: Hub, tmp_path: Path) -> None:
    entry = serve(server, "dinov3-small")
    card = pull(entry, folder=tmp_path, hub=hub, accept_licence=True).card
    changed = card.read_text("utf-8").replace("(Meta)", "of our shop")
    card.write_text(changed, encoding="utf-8")
    assert not pull(entry, folder=tmp_path, hub=hub, accept_licence=True).changed
    assert card.read_text("utf-8") == changed


@pytest.mark.parametrize("damage", ["missing", "changed"])
def test_a_file_that_was_lost_is_brought_again_from_the_same_revision(
    server: HubServer, hub: Hub, tmp_path: Path, damage: str
) -> None:
    entry = serve(server, "clip-vit-b-32")
    first = pull(entry, folder=tmp_path / "encoders", hub=hub)
    graph = first.card.parent / "vision_model.onnx"
    graph.unlink()
    if damage == "changed":
        graph.write_bytes(b"something else")
    server.add(entry.repository, {**files_of(entry), entry.graph: b"another file" * 1000})
    other = replace(hub, cache=tmp_path / "empty")
    again = pull(entry, folder=tmp_path / "encoders", hub=other)
    assert (again.changed, again.revision) == (True, first.revision)
    assert graph.read_bytes() == files_of(entry)[entry.graph]


def test_a_file_that_was_changed_upstream_is_refused_and_the_old_one_kept(
    server: HubServer, hub: Hub, tmp_path: Path
) -> None:
    entry = serve(server, "dinov3-small")
    first = pull(entry, folder=tmp_path / "encoders", hub=hub, accept_licence=True)
    graph = first.card.parent / "model.onnx"
    kept = {path: path.read_bytes() for path in first.card.parent.iterdir() if path != graph}
    graph.unlink()
    server.replace(entry.repository, first.revision, entry.graph, b"another file" * 1000)
    other = replace(hub, cache=tmp_path / "empty")
    with pytest.raises(PullError, match=r"is not the file that was pulled first: it was changed"):
        pull(entry, folder=tmp_path / "encoders", hub=other, accept_licence=True)
    assert {path: path.read_bytes() for path in first.card.parent.iterdir()} == kept
    assert not server.downloads("cdn /onnx-community/dinov3")[3:]  # refused before the download


def test_a_file_that_is_not_the_listed_one_is_refused_before_the_download(
    server: HubServer, hub: Hub, tmp_path: Path
) -> None:
    entry = replace(serve(server, "clip-vit-b-32"), sha256=LISTED["clip-vit-b-32"].sha256)
    with pytest.raises(PullError, match=r"is not the file that lookalike's list names"):
        pull(entry, folder=tmp_path / "encoders", hub=hub)
    assert not server.downloads("cdn")
    assert not (tmp_path / "encoders" / entry.name).exists()


def test_a_small_file_that_is_not_the_listed_one_is_refused_too(
    server: HubServer, hub: Hub, tmp_path: Path
) -> None:
    entry = replace(serve(server, "clip-vit-b-32"), sha256={"tokenizer.json": "0" * 64})
    with pytest.raises(PullError, match=r"tokenizer.json of .* is not the file that lookalike's"):
        pull(entry, folder=tmp_path / "encoders", hub=hub, words=True)
    assert not (tmp_path / "encoders" / entry.name).exists()


# Licences


def test_a_licence_that_restricts_use_must_be_accepted_first(
    server: HubServer, hub: Hub, tmp_path: Path
) -> None:
    entry = serve(server, "dinov3-small")
    with pytest.raises(PullError, match=r"military use is not.*--accept-licence .*accept_licence"):
        pull(entry, folder=tmp_path, hub=hub)
    assert server.requests == []
    pulled = pull(entry, folder=tmp_path, hub=hub, accept_licence=True)
    assert (pulled.card.parent / "LICENSE.md").read_bytes() == LICENCE


def test_every_licence_that_is_not_open_has_its_terms_stated() -> None:
    for entry in curated_encoders().values():
        assert (entry.terms is None) == (entry.licence in {"MIT", "Apache-2.0"}), entry.name


# Words


def test_words_are_brought_when_asked_for_and_stay(
    server: HubServer, hub: Hub, tmp_path: Path
) -> None:
    entry = serve(server, "siglip2-b-16")
    assert not pull(entry, folder=tmp_path, hub=hub).words
    assert not (tmp_path / entry.name / "tokenizer.json").exists()
    pulled = pull(entry, folder=tmp_path, hub=hub, words=True)
    assert (pulled.words, pulled.changed) == (True, True)
    assert (tmp_path / entry.name / "tokenizer.json").read_bytes() == TOKENIZER
    again = pull(entry, folder=tmp_path, hub=hub)
    assert (again.words, again.changed) == (True, False)


@pytest.mark.parametrize("name", [name for name, one in LISTED.items() if one.words])
def test_every_listed_text_side_is_pulled_and_searches(
    name: str, server: HubServer, hub: Hub, tmp_path: Path, pictures: Path
) -> None:
    entry = serve(server, name)
    card = pull(entry, folder=tmp_path, hub=hub, accept_licence=True, words=True).card
    with lookalike.open(tmp_path / "shop", encoder=card, create=True) as shop:
        shop.index(pictures)
        red = [hit.score for hit in shop.search(lookalike.Words("red bag"), k=9)]
        blue = [hit.score for hit in shop.search(lookalike.Words("Blue bag"), k=9)]
    assert len(red) == 9
    assert red != blue


def test_a_tokenizer_that_is_none_is_refused(server: HubServer, hub: Hub, tmp_path: Path) -> None:
    entry = serve(server, "siglip2-b-16", **{"tokenizer.json": b"no tokenizer"})
    with pytest.raises(PullError, match=r"cannot be used, and was not kept: .*tokenizer.json"):
        pull(entry, folder=tmp_path, hub=hub, words=True)
    assert not (tmp_path / entry.name).exists()


def test_an_encoder_without_words_says_so(server: HubServer, hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(PullError, match="dinov3-small understands no words"):
        pull(
            serve(server, "dinov3-small"), folder=tmp_path, hub=hub, words=True, accept_licence=True
        )


# Failures leave nothing


@pytest.mark.parametrize("way", ["gated", "down", "cdn-refuses", "damaged", "cut-at-once"])
def test_a_failed_pull_leaves_nothing_and_can_be_repeated(
    server: HubServer, hub: Hub, tmp_path: Path, way: str
) -> None:
    entry = serve(server, "clip-vit-b-32")
    server.ways.append(way)
    with pytest.raises(PullError):
        pull(entry, folder=tmp_path / "encoders", hub=hub)
    assert not (tmp_path / "encoders" / entry.name).exists()
    server.ways.clear()
    assert pull(entry, folder=tmp_path / "encoders", hub=hub).changed


def test_words_that_cannot_be_brought_leave_the_encoder_as_it_was(
    server: HubServer, hub: Hub, tmp_path: Path
) -> None:
    entry = serve(server, "clip-vit-b-32")
    card = pull(entry, folder=tmp_path / "encoders", hub=hub).card
    before = {path.name: path.read_bytes() for path in card.parent.iterdir()}
    server.ways.append("cdn-refuses")
    with pytest.raises(PullError, match="denies access"):
        pull(entry, folder=tmp_path / "encoders", hub=hub, words=True)
    assert {path.name: path.read_bytes() for path in card.parent.iterdir()} == before


def test_a_graph_that_is_none_is_refused(server: HubServer, hub: Hub, tmp_path: Path) -> None:
    entry = serve(server, "clip-vit-b-32", **{"onnx/vision_model.onnx": b"no graph" * 1000})
    with pytest.raises(PullError, match="is no ONNX model"):
        pull(entry, folder=tmp_path, hub=hub)
    assert not (tmp_path / entry.name).exists()


def test_a_graph_with_other_outputs_is_refused_with_their_names(
    server: HubServer, hub: Hub, tmp_path: Path
) -> None:
    graph = graphs.vision({"a": 7, "b": 8})
    entry = serve(server, "clip-vit-b-32", **{"onnx/vision_model.onnx": graph})
    with pytest.raises(PullError, match=r"other outputs than the list says, a, b instead of image"):
        pull(entry, folder=tmp_path, hub=hub)
    assert not (tmp_path / entry.name).exists()


def test_another_name_for_the_only_output_of_that_length_is_understood(
    server: HubServer, hub: Hub, tmp_path: Path
) -> None:
    graph = graphs.vision({"logits": 1000, "embedding": 512})
    entry = serve(server, "clip-vit-b-32", **{"onnx/vision_model.onnx": graph})
    assert 'name = "embedding"' in pull(entry, folder=tmp_path, hub=hub).card.read_text("utf-8")


def test_a_graph_that_reads_files_outside_of_its_folder_is_refused(
    server: HubServer, hub: Hub, tmp_path: Path
) -> None:
    graph, data = graphs.with_data(graphs.vision({"image_embeds": 512}), "../../elsewhere")
    files = {"onnx/vision_model.onnx": graph, "elsewhere": data}
    entry = serve(server, "clip-vit-b-32", **files)
    with pytest.raises(PullError, match=r"reads '../../elsewhere', which is outside of its folder"):
        pull(entry, folder=tmp_path, hub=hub)
    assert not (tmp_path / entry.name).exists()


def test_data_that_the_list_does_not_name_is_found_in_the_graph(
    server: HubServer, hub: Hub, tmp_path: Path
) -> None:
    graph, data = graphs.with_data(graphs.vision({"image_embeds": 512}), "weights.bin")
    entry = serve(
        server, "clip-vit-b-32", **{"onnx/vision_model.onnx": graph, "onnx/weights.bin": data}
    )
    pulled = pull(entry, folder=tmp_path, hub=hub)
    assert [one.path for one in pulled.files] == ["vision_model.onnx", "weights.bin"]
    onnx.load(pulled.card.with_name("vision_model.onnx"))  # with its weights, as other tools do


def test_what_is_in_the_folder_of_others_stays(server: HubServer, hub: Hub, tmp_path: Path) -> None:
    entry = serve(server, "clip-vit-b-32")
    own = tmp_path / entry.name / "notes.txt"
    own.parent.mkdir()
    own.write_text("mine", encoding="utf-8")
    server.ways.append("cdn-refuses")
    with pytest.raises(PullError):
        pull(entry, folder=tmp_path, hub=hub)
    assert list(own.parent.iterdir()) == [own]


def test_a_search_does_not_load_what_pulls() -> None:
    program = (
        "import sys, lookalike.encoders\n"
        "assert not [one for one in sys.modules if one.startswith('lookalike.encoders.hub')]\n"
        "assert lookalike.encoders.pull.__module__ == 'lookalike.encoders.hub.pulling'\n"
        "assert not {'huggingface_hub', 'onnx', 'onnxruntime'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_name_that_is_not_in_the_list_is_helped(tmp_path: Path) -> None:
    for name in ("clip-vit-b32", "clip-vit-b-3"):
        said = rf"^'{name}' is not in the list .*; did you mean 'clip-vit-b-32'\?$"
        with pytest.raises(PullError, match=said):
            pull(name, folder=tmp_path)


def test_the_names_of_the_list_are_reserved() -> None:
    assert [name for name in LISTED if reserved_for(name) is None] == []


@pytest.mark.parametrize("name", ["best", "siglip2-b-16"])
def test_a_name_that_stands_for_something_else_is_refused(
    name: str, server: HubServer, hub: Hub, tmp_path: Path
) -> None:
    entry = serve(server, "clip-vit-b-32")
    with pytest.raises(PullError, match=rf"^{name} is .*; choose another --name"):
        pull(entry, folder=tmp_path, hub=hub, name=name)
    assert not any(tmp_path.glob(f"{name}*"))


# Any file of a hub


REPOSITORY = "someone/dinov2-large"


def test_any_file_of_a_hub_becomes_an_encoder(
    server: HubServer, hub: Hub, tmp_path: Path, pictures: Path
) -> None:
    graph, data = graphs.with_data(graphs.tokens(64, count=257), "model.onnx_data")
    server.add(REPOSITORY, {"onnx/model.onnx": graph, "onnx/model.onnx_data": data})
    server.licences[REPOSITORY] = "apache-2.0"
    pulled = pull(f"hf:{REPOSITORY}/onnx/model.onnx", folder=tmp_path / "encoders", hub=hub)
    assert (pulled.name, pulled.licence) == ("dinov2-large", "Apache-2.0")
    assert any("preset = dinov2" in one for one in pulled.notes)
    card = read_card(pulled.card)
    assert (card.output.pooling, card.output.dim) == ("cls", 64)
    assert card.origin is not None
    assert (card.origin.repository, card.origin.revision) == (REPOSITORY, pulled.revision)
    with lookalike.open(tmp_path / "shop", encoder=pulled.card, create=True) as shop:
        shop.index(pictures)
        hits = shop.search(pictures / "4.png", k=9, include_self=True)
    assert hits[0].item.id.endswith("4.png")
    again = pull(f"hf:{REPOSITORY}/onnx/model.onnx", folder=tmp_path / "encoders", hub=hub)
    assert not again.changed


def test_a_file_of_a_hub_has_a_name_and_a_preset_of_choice(
    server: HubServer, hub: Hub, tmp_path: Path
) -> None:
    server.add(REPOSITORY, {"onnx/model.onnx": graphs.vision({"image_embeds": 64})})
    pulled = pull(
        f"hf:{REPOSITORY}/onnx/model.onnx", folder=tmp_path, hub=hub, name="mine", preset="siglip2"
    )
    assert pulled.card == tmp_path / "mine" / "mine.toml"
    assert read_card(pulled.card).input.mean == (0.5, 0.5, 0.5)
    with pytest.raises(PullError, match=r"a preset is for hf:OWNER/NAME/FILE"):
        pull(serve(server, "clip-vit-b-32"), folder=tmp_path, hub=hub, preset="siglip")


def test_a_revision_is_taken(server: HubServer, hub: Hub, tmp_path: Path) -> None:
    first = server.add(REPOSITORY, {"model.onnx": graphs.vision({"image_embeds": 64})})
    server.add(REPOSITORY, {"model.onnx": graphs.vision({"image_embeds": 64}, seed="other")})
    pulled = pull(f"hf:{REPOSITORY}/model.onnx@{first}", folder=tmp_path, hub=hub)
    assert pulled.revision == first
    with pytest.raises(PullError, match="has no revision v9"):
        pull(f"hf:{REPOSITORY}/model.onnx@v9", folder=tmp_path, hub=hub, name="other")


def test_a_repository_without_a_file_lists_those_there_are(
    server: HubServer, hub: Hub, tmp_path: Path
) -> None:
    graph = graphs.vision({"image_embeds": 64})
    server.add(REPOSITORY, {"onnx/model.onnx": graph, "onnx/model_int8.onnx": graph, "a.md": b"a"})
    said = rf"such as hf:{REPOSITORY}/onnx/model.onnx; it has onnx/model.onnx, onnx/model_int8.onnx"
    with pytest.raises(PullError, match=said):
        pull(f"hf:{REPOSITORY}", folder=tmp_path, hub=hub)
    server.add("someone/empty", {"weights.bin": b"a"})
    with pytest.raises(PullError, match="someone/empty has no ONNX file; export the model"):
        pull("hf:someone/empty", folder=tmp_path, hub=hub)
    with pytest.raises(PullError, match="must be hf:OWNER/NAME/FILE"):
        pull("hf:model.onnx", folder=tmp_path)


def test_a_licence_that_is_not_open_must_be_accepted(
    server: HubServer, hub: Hub, tmp_path: Path
) -> None:
    server.add(REPOSITORY, {"model.onnx": graphs.vision({"image_embeds": 64})})
    server.licences[REPOSITORY] = "cc-by-nc-4.0"
    reference = f"hf:{REPOSITORY}/model.onnx"
    with pytest.raises(PullError, match=r"names the licence cc-by-nc-4.0; .*--accept-licence"):
        pull(reference, folder=tmp_path, hub=hub)
    assert not server.downloads("cdn")
    pulled = pull(reference, folder=tmp_path, hub=hub, accept_licence=True)
    origin = read_card(pulled.card).origin
    assert origin is not None
    assert "cc-by-nc-4.0" in str(origin.terms)


def test_a_name_that_is_taken_by_another_file_is_refused(
    server: HubServer, hub: Hub, tmp_path: Path
) -> None:
    pull(serve(server, "clip-vit-b-32"), folder=tmp_path, hub=hub, name="mine")
    server.add(REPOSITORY, {"model.onnx": graphs.vision({"image_embeds": 64})})
    with pytest.raises(PullError, match=r"there is an encoder mine of onnx/vision_model"):
        pull(f"hf:{REPOSITORY}/model.onnx", folder=tmp_path, hub=hub, name="mine")
    with pytest.raises(PullError, match=r"'\.\./x' cannot be the name of an encoder"):
        pull(f"hf:{REPOSITORY}/model.onnx", folder=tmp_path, hub=hub, name="../x")


def test_a_file_that_encodes_no_images_is_refused(
    server: HubServer, hub: Hub, tmp_path: Path
) -> None:
    server.add(REPOSITORY, {"onnx/model.onnx": graphs.text(64, output="text_embeds")})
    with pytest.raises(EncoderError, match="no input takes a batch of colour images"):
        pull(f"hf:{REPOSITORY}/onnx/model.onnx", folder=tmp_path, hub=hub)
    assert not (tmp_path / "dinov2-large").exists()


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("onnx/model.onnx", "dinov2-large"),
        ("onnx/vision_model.onnx", "dinov2-large"),
        ("onnx/vision_model_fp16.onnx", "dinov2-large-fp16"),
        ("model_quantized.onnx", "dinov2-large-quantized"),
        ("resnet.onnx", "dinov2-large-resnet"),
    ],
)
def test_a_file_of_a_hub_is_named_by_what_tells_it_apart(path: str, name: str) -> None:
    assert named_like(REPOSITORY, path) == name
