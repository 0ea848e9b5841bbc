"""The table ``[words]`` of a card: the text encoder, its tokenizer, and how to prepare text."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

if TYPE_CHECKING:
    from lookalike.encoders.cards import CardTable

__all__ = ["Cleaning", "TextCard", "TextPooling", "read_text_card"]

Cleaning: TypeAlias = Literal["clip", "siglip", "siglip2", "lower", "none"]
TextPooling: TypeAlias = Literal["none", "eos", "last", "mean"]

_SHA256 = "[0-9a-f]{64}"
_LONGEST = 4096  # tokens: far beyond any text encoder for images
_LARGEST_ID = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class TextCard:
    """A text encoder and how to feed it.

    ``file`` is an ONNX file, found like the weights of the images; ``None`` where their model has
    both halves. ``data`` are the further files that it reads. Texts are cleaned, split into tokens
    and padded with ``pad`` to ``length``. With ``eos``, it ends the tokens and ``bos`` begins them;
    without, the tokenizer's own rule does. ``input`` and ``mask`` are names of inputs; the mask is
    left out if the model has none. ``output`` is pooled over the positions as ``pooling`` says. The
    vector of a text is the mean over ``templates``, each with ``{}`` for the text.
    """

    file: str | None
    sha256: str | None
    tokenizer: str
    tokenizer_sha256: str
    output: str
    length: int
    pad: int = 0
    bos: int | None = None
    eos: int | None = None
    cleaning: Cleaning = "none"
    pooling: TextPooling = "none"
    input: str = "input_ids"
    mask: str = "attention_mask"
    templates: tuple[str, ...] = ()
    data: tuple[tuple[str, str], ...] = ()


def read_text_card(table: "CardTable") -> TextCard:
    """Return the table ``[words]``. Raise ``ModelCardError`` naming the key."""
    own = "file" in table
    for key in ("sha256", "data"):
        if key in table and not own:
            raise table.error(key, "is only for a file of its own; words.file is missing")
    pooling: TextPooling = table.choice("pooling", get_args(TextPooling), "none")
    if pooling == "eos" and "eos" not in table:
        raise table.error("eos", 'is missing; pooling = "eos" needs the id of that token')
    if "bos" in table and "eos" not in table:
        raise table.error("bos", "needs words.eos too; without both, the tokenizer adds its own")
    return TextCard(
        file=table.text("file") if own else None,
        sha256=table.text("sha256", pattern=_SHA256) if own else None,
        tokenizer=table.text("tokenizer"),
        tokenizer_sha256=table.text("tokenizer_sha256", pattern=_SHA256),
        output=table.text("output"),
        length=table.count("length", _LONGEST),
        pad=_id(table, "pad") or 0,
        bos=_id(table, "bos"),
        eos=_id(table, "eos"),
        cleaning=table.choice("cleaning", get_args(Cleaning), "none"),
        pooling=pooling,
        input=table.text("input") if "input" in table else "input_ids",
        mask=table.text("mask") if "mask" in table else "attention_mask",
        templates=_templates(table),
        data=table.digests("data") if "data" in table else (),
    )


def _id(table: "CardTable", key: str) -> int | None:
    return table.whole(key, 0, _LARGEST_ID) if key in table else None


def _templates(table: "CardTable") -> tuple[str, ...]:
    if "templates" not in table:
        return ()
    found = table.texts("templates")
    for one in found:
        if one.count("{}") != 1:
            raise table.error("templates", f"must have one {{}} for the words; {one!r} does not")
    return found
