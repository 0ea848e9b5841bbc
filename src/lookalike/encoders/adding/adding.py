"""Making an encoder of any ONNX file: read it, propose a card, try it, compare, write."""

import re
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lookalike.core.atomic_files import write_file
from lookalike.encoders.adding.building import propose_card
from lookalike.encoders.adding.comparing import InputComparison, compare, in_range
from lookalike.encoders.adding.labelled_images import LabelledImage, images_for
from lookalike.encoders.adding.model_facts import read_facts
from lookalike.encoders.adding.proposals import Guess, name_for
from lookalike.encoders.adding.records import AddedEncoder, AddOptions
from lookalike.encoders.adding.trials import Trial, try_encoder
from lookalike.encoders.cards import (
    ModelCard,
    card_path,
    card_text,
    default_folder,
    shipped_encoders,
)
from lookalike.encoders.cards.reading import NAME_PATTERN
from lookalike.encoders.onnx_encoder import OnnxEncoder, fingerprint_of
from lookalike.encoders.reserved_names import reserved_for
from lookalike.errors import EncoderError

__all__ = ["FIRST_LINE", "add", "write_added"]

FIRST_LINE = "# Written by `lookalike encoder add`"
"""How a card that ``add`` wrote begins; others belong to whoever wrote them."""

# Options that a further try must repeat.
_SAID = ("preset", "size", "input", "output", "pooling", "range", "channels", "resize")


def add(
    file: str | Path,
    options: AddOptions | None = None,
    *,
    folder: Path | None = None,
    cache: Path | None = None,
    dry_run: bool = False,
) -> AddedEncoder:
    """Make an encoder of an ONNX file and write its card to ``folder``/NAME/NAME.toml.

    The file stays where it is, unless ``options.copy``. ``folder`` is ``default_folder`` if it is
    not given. With ``dry_run`` nothing is written. Raise ``EncoderError``: nothing is written then.
    """
    options = AddOptions() if options is None else options
    folder = default_folder() if folder is None else folder
    path = Path(file)
    if not path.is_file():
        raise EncoderError(f"{path}: there is no such file; give the path of an ONNX file")
    name = options.name or name_for(path)
    target = _target(name, folder, options)
    facts = read_facts(path, options.input)
    card, guesses, ranked = propose_card(facts, options, name, target)
    encoder = OnnxEncoder(card, device="cpu", cache=cache)
    images = images_for(options.images, comparing=options.compare)
    several = [one.image for one in images[:: max(len(images) // 6, 1)]]
    trial = try_encoder(encoder, several)
    if trial.depends_on_batch and card.input.max_batch is None:
        card = replace(card, input=replace(card.input, max_batch=1))
        encoder = OnnxEncoder(card, device="cpu", cache=cache)
        why = "embeddings depended on the other images of a batch"
        guesses.append(Guess(key="input.max_batch", value="1", reason=why))
        trial = try_encoder(encoder, several)
    compared, card = _compared(encoder, images, options, guesses)
    added = AddedEncoder(
        card=card,
        fingerprint=fingerprint_of(card),
        guesses=tuple(guesses),
        candidates=tuple(ranked),
        trial=trial,
        comparisons=tuple(compared),
        compared_on="drawn" if options.images is None else str(options.images),
        advice=tuple(_advice(file, card, options, trial, compared)),
        written=False,
    )
    return added if dry_run else write_added(added, copy=options.copy)


def write_added(added: AddedEncoder, *, copy: bool) -> AddedEncoder:
    """Write the card of an encoder that was added with ``dry_run``. Raise ``EncoderError``."""
    card = _write(added.card, added.guesses, copy=copy)
    return replace(added, card=card, written=True)


def _target(name: str, folder: Path, options: AddOptions) -> Path:
    if not re.fullmatch(NAME_PATTERN, name):
        raise EncoderError(
            f"{name!r} cannot be the name of an encoder: letters, digits, '.', '_', '-', at most 64"
        )
    if reserved := reserved_for(name):
        raise EncoderError(f"{reserved}; choose another --name")
    there = card_path(name, folder)
    if name in shipped_encoders():
        raise EncoderError(f"{name} is an encoder of lookalike's own; choose another --name")
    if there is None:
        return folder / name / f"{name}.toml"
    if not options.replace:
        raise EncoderError(
            f"there is an encoder {name} already ({there}); choose another --name, or replace it "
            "with --replace"
        )
    if not there.read_text(encoding="utf-8", errors="replace").startswith(FIRST_LINE):
        raise EncoderError(f"{there}: was not written by this command, so it is not replaced")
    return there


def _compared(
    encoder: OnnxEncoder,
    images: Sequence[LabelledImage],
    options: AddOptions,
    guesses: list[Guess],
) -> tuple[list[InputComparison], ModelCard]:
    """Compare ways to prepare images; return the results, and the card.

    A better range takes the place of a guessed one, so that a card whose range was guessed is the
    best by the measure that ``check_encoder`` uses. What the user says is only advised against.
    """
    card = encoder.card
    if not options.compare:
        return [], card
    found = compare(encoder, images)
    guessed = options.preset is None and options.range is None
    ranges = [one for one in found if one.key == "range" and one.better]
    if not guessed or not ranges:
        return found, card
    best = max(ranges, key=lambda one: one.map)
    card = replace(card, input=in_range(card.input, best.value))
    where = "drawn" if options.images is None else "your"
    why = (
        f"on {where} images mAP is {best.map:.2f} with it, and {found[0].map:.2f} with the range "
        "of the guessed preset"
    )
    guesses.append(Guess(key="range", value=best.value, reason=why))
    encoder = OnnxEncoder(card, device="cpu", cache=encoder.cache)
    return compare(encoder, images), card


def _advice(
    file: str | Path,
    card: ModelCard,
    options: AddOptions,
    trial: Trial,
    found: Sequence[InputComparison],
) -> list[str]:
    lines = trial.notes()
    better = [one for one in found if one.better]
    if better:
        best = max(better, key=lambda one: one.map)
        said = {key: getattr(options, key) for key in _SAID} | {best.key: best.value}
        given = [f"--{key}={value}" for key, value in said.items() if value is not None]
        again = [str(file), f"--name={card.name}", *given, "--replace"]
        command = shlex.join(["lookalike", "encoder", "add", *again])
        lines.append(
            f"{best.key} {best.value} fits better: mAP {found[0].map:.2f} → {best.map:.2f}; to "
            f"take it: {command}"
        )
    if not card.licence:
        lines.append("its licence is not known: look it up before you use it in a product")
    return lines


def _write(card: ModelCard, guesses: Sequence[Guess], *, copy: bool) -> ModelCard:
    """Write the card and, if that is wanted, copy the model beside it. A failure leaves nothing."""
    folder, source = card.path.parent, Path(card.weights.file)
    new = not folder.exists()
    copies = [source.name, *(one for one, _ in card.weights.data)] if copy else []
    for name in copies:
        if (folder / name).exists():
            raise EncoderError(f"{folder / name}: is there already; it is not overwritten")
    if copies:
        card = replace(card, weights=replace(card.weights, file=source.name))
    comment = f"{FIRST_LINE[2:]}; every key is explained in docs/encoders.md."
    comment += "".join(f"\nGuessed: {one.key} {one.value}: {one.reason}." for one in guesses)
    try:
        for name in copies:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source.parent / name, folder / name)
        folder.mkdir(parents=True, exist_ok=True)
        write_file(card.path, card_text(card, comment=comment))
    except BaseException as error:
        for name in copies:
            (folder / name).unlink(missing_ok=True)
        if new:
            shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, OSError):
            raise EncoderError(f"{folder}: cannot be written: {error.strerror or error}") from error
        raise
    return card
