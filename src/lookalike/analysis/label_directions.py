"""Words without a text encoder: by the direction of the label, or of the class, that they name.

The images of a label lie together, so a label is a direction in the space of images: from the other
items to its own. Within labels images vary too, in ways that say nothing about the label; Fisher's
linear discriminant (The use of multiple measurements in taxonomic problems, 1936) takes that out.
It is regularised (Friedman, Regularized discriminant analysis, 1989), since there are more
dimensions than items.
"""

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.core.filters import And, Condition, Exists, In, Not, Value
from lookalike.core.keywords import STOP_WORDS, split
from lookalike.core.protocols import ClassEncoder, Store
from lookalike.core.sampling import sample
from lookalike.core.vectors import Vector, unit_rows

__all__ = ["Named", "label_direction", "named_by", "named_direction"]

_LABELS = 10_000  # of a collection, those of most items, among which words look for names
_FEW = 20  # labels or classes that words may name in part
_SHORT = 3  # letters of a word that names something in part
_BETWEEN = re.compile(r"[\s/_,;:|()]+")  # compounds of a name
_OWN = 200  # items of a label that give its direction
_OTHERS = 1000  # and others
_SHRINKAGE = 1.0  # of 0.1 to 10: best on projected embeddings, and nearly so on whole ones
_STEPS = 10  # of conjugate gradients: more change nothing that was measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """What words name: ``labels`` of the collection, or ``classes`` of the encoder.

    ``vector`` (dim,) is their direction, of length 1.
    """

    vector: Vector
    labels: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """What was named, for people."""
        what, names = ("label", self.labels) if self.labels else ("class", self.classes)
        listed = ", ".join(map(repr, names[:3])) + (" …" if len(names) > 3 else "")  # noqa: PLR2004 - enough
        plural = "" if len(names) == 1 else "es" if what == "class" else "s"
        return f"the {what}{plural} {listed}"


def named_direction(store: Store, text: str, classes: ClassEncoder | None) -> Named | None:
    """Return what a text names, and its direction; ``None`` if it names nothing.

    A label of the collection that is named whole comes first, then a class of the encoder, then
    labels that share words with the text.
    """
    labels = [str(label) for label, _ in store.search.facets("label", limit=_LABELS) if label]
    whole = named_by(text, labels, whole=True)
    if whole and (vector := label_direction(store, whole)) is not None:
        return Named(vector=vector, labels=whole)
    bound = store.bound()
    if classes is not None and bound is not None:
        named = named_by(text, classes.names, whole=True, head=True)
        rows = classes.vectors() if named else None
        if rows is not None and rows.shape[1] == bound[2]:
            places = [place for place, name in enumerate(classes.names) if name in named]
            return Named(vector=unit_rows(rows[places].sum(axis=0)[None])[0], classes=named)
    part = named_by(text, labels, whole=False)
    if part and (vector := label_direction(store, part)) is not None:
        return Named(vector=vector, labels=part)
    return None


def named_by(
    text: str, names: Iterable[str], *, whole: bool, head: bool = False
) -> tuple[str, ...]:
    """Return those of ``names`` that a text names. Pure.

    ``whole``: all words of the name are in the text, whatever their order, and no longer name is;
    or all words of the text are in the name. Otherwise the names that share most of the text's
    words with it, where a word of few names counts more. At most 20 names: more say nothing.

    Stop words are passed over; those alone name only what has the same and no others.
    ``Flip-Flops`` is not named by its first part alone. With ``head``, words of a name that is not
    named whole must include its head noun, the last: ``wolf`` names ``red wolf``, ``red`` does not.
    """
    asked = _useful(split(text))
    words = {name: _useful(split(name)) for name in dict.fromkeys(names)}
    if asked <= STOP_WORDS:
        found = [name for name, own in words.items() if asked and own == asked]
    elif whole:
        inside = [name for name, own in words.items() if own and own <= asked]
        found = [name for name in inside if not any(words[name] < words[one] for one in inside)]
        if not found and asked:
            wider = [name for name in words if asked <= words[name]]
            found = [name for name in wider if asked == _counted(name, asked, head=head)]
    else:
        words = {name: _counted(name, asked, head=head) for name in words}
        frequency: dict[str, int] = defaultdict(int)
        for own in words.values():
            for word in own:
                frequency[word] += 1
        useful = {word for word in frequency if len(word) >= _SHORT or not word.isascii()}
        weights = {
            name: sum(math.log2(1 + len(words) / frequency[one]) for one in sorted(own & useful))
            for name, own in words.items()
        }
        most = max(weights.values(), default=0.0)
        found = [name for name, weight in weights.items() if most and weight >= most - 1e-9]
    return tuple(found) if len(found) <= _FEW else ()


def _useful(words: Iterable[str]) -> frozenset[str]:
    """Return the words that are not stop words; all of them where there are no others."""
    every = frozenset(words)
    return every - STOP_WORDS or every


def _counted(name: str, asked: frozenset[str], *, head: bool) -> frozenset[str]:
    """Return those of the words ``asked`` that count for a name, as ``named_by`` has it."""
    found: set[str] = set()
    counts = False  # the compound at hand, and so the last in the end
    for compound in filter(None, map(str.strip, _BETWEEN.split(name))):
        words = split(compound)  # its parts, then the whole
        last = compound.rpartition("-")[2]
        ends = words if last.isdigit() else [*split(last), *words[-1:]]
        counts = not asked.isdisjoint(ends)
        if counts:
            found.update(words)
    return frozenset(found) & asked if counts or not head else frozenset()


def label_direction(store: Store, labels: Sequence[str]) -> Vector | None:
    """Return the direction of the items of these labels, (dim,) of length 1.

    200 of these items and 1,000 of other labels (or, without any, of none) are looked at. ``None``
    where there are none of either, or where both are alike.
    """
    own_items: Condition = In("label", tuple(Value(label) for label in labels))
    own = sample(store, _OWN, where=own_items)
    others = sample(store, _OTHERS, where=And((Exists("label"), Not(own_items))))
    others = others or sample(store, _OTHERS, where=Not(own_items))
    if not own or not others:
        return None
    rows = store.items.vectors([item.id for item in (*own, *others)]).astype(np.float64)
    groups: dict[str, list[int]] = defaultdict(list)
    for place, item in enumerate((*own, *others)):
        if item.label:
            groups[item.label].append(place)
    residuals = [
        (rows[places] - rows[places].mean(axis=0)) * math.sqrt(len(places) / (len(places) - 1))
        for places in groups.values()
        if len(places) > 1
    ]
    difference = rows[: len(own)].mean(axis=0) - rows[len(own) :].mean(axis=0)
    direction = _discriminant(np.concatenate(residuals), difference) if residuals else difference
    if not np.linalg.norm(difference) > 1e-6 or not np.isfinite(direction).all():  # noqa: PLR2004 - alike
        return None
    vector: Vector = unit_rows(direction[None])[0]
    return vector


def _discriminant(
    residuals: NDArray[np.float64], difference: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Solve (S + a m I) x = ``difference`` (dim,), S = ``residuals``' (n, dim) covariance.

    m is the mean of S's diagonal, a the shrinkage. By conjugate gradients (Hestenes and Stiefel,
    1952), which never forms S.
    """
    count, dim = residuals.shape
    ridge = _SHRINKAGE * float((residuals**2).sum()) / count / dim
    if not ridge > 0:
        return difference
    found = np.zeros_like(difference)
    rest = difference.copy()
    step = rest.copy()
    squared = float(rest @ rest)
    least = squared * 1e-12
    for _ in range(_STEPS):
        if squared <= least:
            break
        changed = residuals.T @ (residuals @ step) / count + ridge * step
        length = squared / float(step @ changed)
        found += length * step
        rest -= length * changed
        before, squared = squared, float(rest @ rest)
        step = rest + squared / before * step
    return found
