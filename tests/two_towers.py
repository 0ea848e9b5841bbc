"""Encoders of images and words, made by program: colours and their names share a space.

    card = two_tower_card(tmp_path)            # tmp_path/colours.toml, its models and tokenizer
    encoder = load_encoder(card)
    encoder.text_encoder.encode_words(["something red"])

An image is its mean colour; a text is the sum of its colours. The two kinds differ by an offset of
their own, as CLIP's do (the modality gap), so a text is never as near as another image.
"""

import hashlib
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import tokenizers
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers

__all__ = ["COLOURS", "clip_tokenizer", "siglip_tokenizer", "text_model", "two_tower_card"]

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}
DIM = 8
SIDE = 8
BOS, EOS = "<|startoftext|>", "<|endoftext|>"
_GAP = 1.5
_TEXTS = [
    f"{first} {colour} {what}"
    for first in ("a photo of a", "the", "in", "something")
    for colour in COLOURS
    for what in ("bag", "shoe", "mug, isn't it?")
]

_CARD = """\
name = "colours"
title = "Colours and their names"
licence = "Apache-2.0"
source = "tests/two_towers.py"

[weights]
builder = "onnx"
file = "{image_file}"
sha256 = "{image_sha256}"

[input]
name = "pixel_values"
width = 8
height = 8
resize = "squash"
interpolation = "box"
mean = [127.5, 127.5, 127.5]
std = [127.5, 127.5, 127.5]

[output]
name = "image_embeds"
dim = 8

[words]
{words}
"""


@cache
def clip_tokenizer() -> tokenizers.Tokenizer:
    """Byte-level BPE with word ends, a begin and an end: CLIP's kind, trained on a few texts.

    Two that were trained may number tokens differently, so there is one.
    """
    made = tokenizers.Tokenizer(models.BPE(unk_token=EOS, end_of_word_suffix="</w>"))
    made.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(
                tokenizers.Regex(r"'s|'t|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"), "removed", invert=True
            ),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    made.decoder = decoders.ByteLevel()
    made.train_from_iterator(
        _TEXTS * 5,
        trainers.BpeTrainer(
            vocab_size=1000,
            show_progress=False,
            end_of_word_suffix="</w>",
            special_tokens=[BOS, EOS],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        ),
    )
    ends = [(one, made.token_to_id(one)) for one in (BOS, EOS)]
    made.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A {EOS}", special_tokens=ends
    )
    made.enable_truncation(5)  # as files have it; a card's own length counts
    made.enable_padding(length=9)
    return made


@cache
def siglip_tokenizer() -> tokenizers.Tokenizer:
    """Unigram without a begin, with ``</s>`` = 1 as the end: SigLIP's kind."""
    made = tokenizers.Tokenizer(models.Unigram())
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.train_from_iterator(
        _TEXTS * 5,
        trainers.UnigramTrainer(
            vocab_size=120,
            show_progress=False,
            unk_token="<unk>",  # noqa: S106 - a token of text
            special_tokens=["<pad>", "</s>", "<unk>"],
        ),
    )
    made.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    return made


def two_tower_card(
    folder: Path,
    *,
    files: Literal["one", "two"] = "two",
    tokenizer: tokenizers.Tokenizer | None = None,
    words: str = "",
    **text: Any,  # noqa: ANN401 - as `_text_part` takes them
) -> Path:
    """Write ``colours.toml`` and what it names into ``folder``, and return the card's path.

    ``files`` says whether one model has both halves. ``words`` are further lines of the table
    [words]; ``text`` goes to ``text_model``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    used = clip_tokenizer() if tokenizer is None else tokenizer
    content = used.to_str().encode()
    (folder / "tokenizer.json").write_bytes(content)
    lines = [
        f'tokenizer = "tokenizer.json"\ntokenizer_sha256 = "{_sha256(content)}"',
        'output = "text_embeds"' if "output" not in words else "",
        "length = 12" if "length" not in words else "",
        words,
    ]
    image, wordy = _image_part(), _text_part(used, **text)
    if files == "one":
        model = _model(_joined(image, wordy))
        (folder / "model.onnx").write_bytes(model)
        image_file, image_sha256 = "model.onnx", _sha256(model)
    else:
        model, texts = _model(image), _model(wordy)
        image_file, image_sha256 = "vision_model.onnx", _sha256(model)
        (folder / image_file).write_bytes(model)
        (folder / "text_model.onnx").write_bytes(texts)
        lines.insert(0, f'file = "text_model.onnx"\nsha256 = "{_sha256(texts)}"')
    card = folder / "colours.toml"
    card.write_text(
        _CARD.format(image_file=image_file, image_sha256=image_sha256, words="\n".join(lines)),
        encoding="utf-8",
    )
    return card


def text_model(tokenizer: tokenizers.Tokenizer, **text: Any) -> bytes:  # noqa: ANN401 - as `_text_part` takes them
    """Return the text half alone, as a serialised ONNX model."""
    return _model(_text_part(tokenizer, **text))


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


_Part = tuple[list[Any], list[Any], list[Any], dict[str, NDArray[Any]]]


def _joined(one: _Part, other: _Part) -> _Part:
    nodes, inputs, outputs = (mine + yours for mine, yours in zip(one[:3], other[:3], strict=True))
    return nodes, inputs, outputs, one[3] | other[3]


def _model(part: _Part) -> bytes:
    nodes, inputs, outputs, arrays = part
    graph = helper.make_graph(
        nodes,
        "colours",
        inputs,
        outputs,
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    onnx.checker.check_model(model)
    serialized: bytes = model.SerializeToString()
    return serialized


def _image_part() -> _Part:
    """``pixel_values`` (n, 3, 8, 8) → ``image_embeds`` (n, 8): the mean colour, and an offset."""
    onto = np.zeros((3, DIM), dtype=np.float32)
    onto[:3, :3] = np.eye(3)
    offset = np.zeros(DIM, dtype=np.float32)
    offset[6] = _GAP
    nodes = [
        helper.make_node("GlobalAveragePool", ["pixel_values"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["colour"]),
        helper.make_node("MatMul", ["colour", "onto"], ["spread"]),
        helper.make_node("Add", ["spread", "image_offset"], ["image_embeds"]),
    ]
    inputs = [
        helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])
    ]
    outputs = [helper.make_tensor_value_info("image_embeds", TensorProto.FLOAT, ["n", DIM])]
    return nodes, inputs, outputs, {"onto": onto, "image_offset": offset}


def _text_part(
    tokenizer: tokenizers.Tokenizer,
    *,
    ids: int = TensorProto.INT64,
    batch: int | str = "m",
    length: int | str = "length",
    mask: bool = True,
) -> _Part:
    """Return the text half: token ids (m, length) → a vector for each text, and each position.

    ``text_embeds`` (m, 8) is the sum of the tokens that the mask leaves, ``last_hidden_state``
    (m, length, 8) the sum of all tokens up to each position, padding too: a causal model.
    """
    table = np.zeros((tokenizer.get_vocab_size(), DIM), dtype=np.float32)
    for token, number in tokenizer.get_vocab().items():
        word = token.removesuffix("</w>").removeprefix("\N{LOWER ONE EIGHTH BLOCK}")
        if word in COLOURS:
            table[number, :3] = np.array(COLOURS[word]) / 127.5 - 1
        table[number, 5] = 0.02 * (1 + number % 5)  # every token moves the vector a little
    offset = np.zeros(DIM, dtype=np.float32)
    offset[7] = _GAP
    arrays: dict[str, NDArray[Any]] = {
        "tokens": table,
        "text_offset": offset,
        "axis": np.array(1, dtype=np.int64),
        "axes": np.array([1], dtype=np.int64),
        "last": np.array([-1], dtype=np.int64),
    }
    nodes = [helper.make_node("Gather", ["tokens", "input_ids"], ["each"])]
    inputs = [helper.make_tensor_value_info("input_ids", ids, [batch, length])]
    if mask:
        inputs.append(helper.make_tensor_value_info("attention_mask", ids, [batch, length]))
        nodes += [
            helper.make_node("Cast", ["attention_mask"], ["counts"], to=TensorProto.FLOAT),
            helper.make_node("Unsqueeze", ["counts", "last"], ["wide"]),
            helper.make_node("Mul", ["each", "wide"], ["some"]),
        ]
    nodes += [
        helper.make_node("ReduceSum", ["some" if mask else "each", "axes"], ["sum"], keepdims=0),
        helper.make_node("Add", ["sum", "text_offset"], ["text_embeds"]),
        helper.make_node("CumSum", ["each", "axis"], ["running"]),
        helper.make_node("Add", ["running", "text_offset"], ["last_hidden_state"]),
    ]
    outputs = [
        helper.make_tensor_value_info("text_embeds", TensorProto.FLOAT, [batch, DIM]),
        helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, [batch, length, DIM]),
    ]
    return nodes, inputs, outputs, arrays
