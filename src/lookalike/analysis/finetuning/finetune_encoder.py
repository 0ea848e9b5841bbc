"""Fine-tune an encoder on the labels of a collection."""

import hashlib
import json
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lookalike.analysis.evaluation import class_of
from lookalike.analysis.finetuning.data_split import split_items
from lookalike.analysis.finetuning.encoder_files import card_name, is_written, write_encoder
from lookalike.analysis.finetuning.quality import Epoch, FinetuningReport, Recipe, SplitQuality
from lookalike.core.arguments import checked
from lookalike.core.cpus import usable_cores
from lookalike.core.filters import Condition
from lookalike.core.progress import ProgressCallback, ignore_progress
from lookalike.core.records import Item
from lookalike.encoders.cards import ModelCard, find_card
from lookalike.encoders.weights import read_weights
from lookalike.errors import CollectionError, EncoderError, ExportError

if TYPE_CHECKING:
    from lookalike.collection import Collection


__all__ = ["finetune"]

_CHECKPOINT = "training.pt"
_TEMPORARY = re.compile(r"front\.onnx|view-\d+\.f2")


@checked
def finetune(
    collection: "Collection",
    to: Path,
    *,
    by: str = "label",
    base: str | Path = "efficientnet-lite0",
    where: str | Condition | None = None,
    recipe: Recipe = Recipe(),  # noqa: B008 - frozen
    minutes: float | None = None,
    share: float | None = None,
    seed: int = 0,
    threads: int | None = None,
    anew: bool = False,
    progress: ProgressCallback = ignore_progress,
    on_epoch: Callable[[Epoch, SplitQuality], None] = lambda epoch, before: None,  # noqa: ARG005 - does nothing
    stop: Callable[[], bool] = lambda: False,
) -> FinetuningReport:
    """Fine-tune an encoder on the collection's labels, and write it to the folder ``to``.

    ``by`` is ``label``, ``group`` or a metadata field; items without it are not used. ``base``
    is an EfficientNet-Lite (Lite0 to Lite2 by name) or a card of one. A fifth of the images and
    a tenth of the labels are held out: each epoch is evaluated on them, the best one is kept, and
    training ends when nothing gets better. The collection stays as it is.

    What is written lies on the straight line from the first weights to that epoch's (Wortsman et
    al., "Robust fine-tuning of zero-shot models", 2022, arXiv 2109.01903): ``share`` of the way, or
    where results are best and no worse than before, both for the trained labels and for the
    others. Without such a point nothing is written.

    When ``stop`` returns true, or after ``minutes`` of reading and training, the best so far is
    written. A file ``training.pt`` beside it stores the progress: the next call with the same
    images and recipe continues from the last finished epoch, or writes another ``share``, unless
    ``anew``. Sets PyTorch's number of threads to ``threads``.

    ``progress`` counts images, first in the stage "reading", then in the stage "training".
    ``on_epoch`` is called after each epoch, with it and the quality before training.

    Raise ``EncoderError`` without PyTorch and for another kind of network, ``CollectionError``
    for too few labels or images, ``ExportError`` for a folder that cannot be written or holds
    another training or a finished encoder.
    """
    if share is not None and not 0 < share <= 1:
        raise ValueError(f"share must be above 0 and at most 1, not {share}")
    began = time.monotonic()
    card = find_card(base)
    if card.weights.builder != "efficientnet-lite":
        raise EncoderError(
            f"{card.name} cannot be fine-tuned: only a checkpoint of an EfficientNet-Lite can "
            "(efficientnet-lite0, efficientnet-lite1, efficientnet-lite2)"
        )
    arrays = read_weights(card)
    _check_folder(to, anew=anew)
    items, names = _collect_labelled(collection, by, where)
    number = {name: at for at, name in enumerate(sorted(set(names)))}
    classes = np.array([number[name] for name in names], dtype=np.intp)
    sides = split_items(classes, [_list_keys(item, by) for item in items], seed=seed)
    if find_spec("torch") is None:
        raise EncoderError(
            "fine-tuning needs PyTorch, which is not installed; "
            "run: pip install 'lookalike[finetune]'"
        )
    # Imported here: it takes seconds, and every mistake above is found without it.
    from lookalike.analysis.finetuning.maps import Maps, front_of  # noqa: PLC0415 - loads onnx
    from lookalike.analysis.finetuning.training_loop import FinetuningRun  # noqa: PLC0415 - loads PyTorch

    try:
        to.mkdir(parents=True, exist_ok=True)
        if anew:
            _set_aside(to / _CHECKPOINT)
        with _open_work_folder(to) as work:
            front = front_of(card, arrays, recipe.stages, work, threads=threads or usable_cores())
            with Maps(collection, items, front, folder=work, seed=seed) as maps:
                run = FinetuningRun(
                    maps,
                    classes,
                    sides,
                    arrays,
                    recipe,
                    checkpoint=to / _CHECKPOINT,
                    plan=_hash_plan(items, names, card=card, recipe=recipe, by=by, seed=seed),
                    seed=seed,
                    threads=threads or usable_cores(),
                    began=began,
                    seconds=None if minutes is None else minutes * 60,
                    share=share,
                    progress=progress,
                    on_epoch=on_epoch,
                    stop=stop,
                )
                found = run.run()
        written = None
        if found.arrays is not None:
            trained_on = f"{found.images:,} images with {found.labels:,} labels"
            written = write_encoder(to, card, found.arrays, trained_on=trained_on)
    except OSError as error:
        raise ExportError(f"the encoder cannot be written to {to}: {error.strerror}") from error
    return FinetuningReport(
        card=written,
        base=card.name,
        images=found.images,
        labels=found.labels,
        new_labels=len(np.unique(classes[sides.new])),
        before=found.before,
        after=found.after,
        epochs=found.epochs,
        best=found.best,
        share=found.share,
        skipped=found.skipped,
        interrupted=found.interrupted,
        seconds=found.seconds,
    )


def _collect_labelled(
    collection: "Collection", by: str, where: str | Condition | None
) -> tuple[list[Item], list[str]]:
    items, names = [], []
    for item in collection.items(where):
        name = class_of(item, by)
        if name is not None:
            items.append(replace(item, metadata={}))
            names.append(name)
    different = len(set(names))
    if different < 2:  # noqa: PLR2004 - one label tells nothing apart
        raise CollectionError(
            f"fine-tuning needs at least 2 different values of {by}, but the items have "
            f"{different}; `lookalike label` sets labels, and catalogues provide them"
            + "".join(f"; {note.message}" for note in collection.notes(where, field=by))
        )
    return items, names


def _list_keys(item: Item, by: str) -> tuple[str, ...]:
    """Return what connects an item to others, so that none is evaluated that shares it."""
    if item.group and by != "group":
        return f"digest {item.digest}", f"group {item.group}"
    return (f"digest {item.digest}",)


def _hash_plan(
    items: Sequence[Item],
    names: Sequence[str],
    *,
    card: ModelCard,
    recipe: Recipe,
    by: str,
    seed: int,
) -> str:
    """Return a digest of everything that decides the result of a training, except its time."""
    lines = [[item.id, item.digest, name] for item, name in zip(items, names, strict=True)]
    facts = [card.fingerprint(), asdict(recipe), by, seed, lines]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


@contextmanager
def _open_work_folder(to: Path) -> Iterator[Path]:
    """Yield a folder for large temporary files; remove what a killed training left there."""
    work = to / ".training"
    if work.is_symlink():
        raise ExportError(f"{work} is a link; remove it, or give another folder")
    work.mkdir(exist_ok=True)
    _clear(work)
    try:
        yield work
    finally:
        _clear(work)
        with suppress(OSError):  # it contains other files
            work.rmdir()


def _clear(work: Path) -> None:
    """Delete the files that a training writes, and no others."""
    for file in work.iterdir():
        if _TEMPORARY.fullmatch(file.name):
            with suppress(OSError):
                file.unlink()


def _check_folder(to: Path, *, anew: bool) -> None:
    card = to / f"{card_name(to)}.toml"
    network = card.with_suffix(".onnx")
    resumed = not anew and (to / _CHECKPOINT).exists()  # which is read before anything is written
    theirs = card if card.exists() else network
    if not is_written(card) and theirs.exists() and not (resumed and theirs == network):
        raise ExportError(
            f"{theirs} exists and was not written by `lookalike finetune`; give another folder"
        )
    if card.exists() and not anew and not resumed:
        raise ExportError(
            f"{to} holds an encoder already; give another folder, or --anew to replace it"
        )


def _set_aside(checkpoint: Path) -> None:
    """Delete the checkpoint of an earlier training; rename another program's file."""
    from lookalike.analysis.finetuning.training_loop import is_checkpoint  # noqa: PLC0415 - loads PyTorch

    if is_checkpoint(checkpoint):
        checkpoint.unlink()
    elif os.path.lexists(checkpoint):
        checkpoint.rename(checkpoint.with_name(f"{checkpoint.name}.{secrets.token_hex(4)}.kept"))
