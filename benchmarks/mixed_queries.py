"""Several query images, and relevance feedback: which way of mixing finds more?

    python -m benchmarks.mixed_queries [--quick] [--json]

**Several images of one thing.** Each query is 1 to 5 images of one group (a class, a product, or
distorted views of one image); right results are the other items of the group. ``mean`` searches
with the mean of the unit vectors, ``best`` gives each item its best score with any of the images,
``ranks`` fuses their rankings (reciprocal rank fusion, k = 60). P@10 is of what is possible: some
groups have fewer than ten other items.

**Images of two things.** Two images of each of two groups; right are the others of both. ``weaker``
is the share of the ten results that belong to the group that has fewer of them, 0.5 at best.

**Feedback.** A user who wants the query's label sees ten results, likes at most two right ones,
dislikes at most two wrong ones, or both, and searches again; three rounds. P@10 of each round
counts results that the user has not marked before. Queries are those whose first ten are mixed (2
to 8 right). The weights of a grid are compared on one half of the queries; the figures by round are
of the other half.
"""

import csv
import io
import random
import zipfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import lookalike
from benchmarks.machine import (
    SHARED,
    ImageSet,
    Json,
    Report,
    arguments,
    caltech,
    indexed,
    myntra,
    workplace,
)
from benchmarks.robustness import background, blur, compress, crop, light, mirror, rotate
from lookalike.core.vectors import Matrix, mixed
from lookalike.encoders.qualities import DEFAULT_ENCODER
from lookalike.indexing.fitting import ProjectionDim
from lookalike.search.query import liked_and_disliked

K = 10
ROUNDS = 3
MARKED = 2  # results that a user likes, and dislikes, in a round
LIKED = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
DISLIKED = (0.0, 0.15, 0.25, 0.5, 0.75, 1.0)
_FUSION = 60
_NOT_A_CLASS = "BACKGROUND_Google"


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """Unit vectors (n, dim) and the group of each; "" for items that no query wants."""

    name: str
    vectors: Matrix
    groups: list[str]

    def members(self, least: int) -> dict[str, NDArray[np.intp]]:
        found: dict[str, list[int]] = defaultdict(list)
        for place, group in enumerate(self.groups):
            if group:
                found[group].append(place)
        return {name: np.array(rows) for name, rows in found.items() if len(rows) >= least}


# --- images --------------------------------------------------------------------------------------


def products(groups: int, each: int) -> ImageSet:
    """Images of Myntra whose products have one name: what a shop calls the same."""
    archive = SHARED / "data" / "myntra-small.zip"
    if not archive.exists():
        return caltech()  # drawn images
    with zipfile.ZipFile(archive) as zipped:
        table = csv.DictReader(io.StringIO(zipped.read("styles.csv").decode("utf-8")))
        there = {name for name in zipped.namelist() if name.endswith(".jpg")}
        named: dict[str, list[str]] = defaultdict(list)
        for row in table:
            if f"images/{row['id']}.jpg" in there:
                named[row["productDisplayName"]].append(f"{row['id']}.jpg")
        names = sorted(name for name, ids in named.items() if len(ids) >= each)
        chosen = random.Random(17).sample(names, min(groups, len(names)))
        labels = {one: name for name in chosen for one in sorted(named[name])[:each]}
        folder = workplace() / f"myntra-products-{len(labels)}"
        if not folder.exists():
            zipped.extractall(folder, [f"images/{one}" for one in labels])
    return ImageSet(
        key=folder.name,
        name=f"Myntra, {len(chosen)} products of {each} images",
        source=archive.name,
        folder=folder / "images",
        labels=labels,
    )


_VIEWS: tuple[Callable[[Image.Image], Image.Image], ...] = (
    lambda image: image,
    lambda image: crop(image, 0.6),
    lambda image: mirror(rotate(image, 15), 1),
    lambda image: light(crop(image, 0.8), 0.5),
    lambda image: compress(rotate(image, -30), 20),
    lambda image: background(mirror(crop(image, 0.7), 1), 0.6),
    lambda image: blur(rotate(image, 45), 0.02),
)


def views(objects: int, others: int) -> ImageSet:
    """Sharp images, some of them in seven distorted views, the group; the rest in one."""
    archive = SHARED / "data" / "sharp-photos.zip"
    if not archive.exists():
        return caltech()  # drawn images
    folder = workplace() / f"views-{objects}-{others}"
    with zipfile.ZipFile(archive) as zipped:
        names = random.Random(5).sample(sorted(zipped.namelist()), objects + others)
        labels = {}
        for number, name in enumerate(names):
            shown = _VIEWS if number < objects else _VIEWS[:1]
            for view, distort in enumerate(shown):
                path = f"{number:05}-{view}.png"
                labels[path] = f"{number:05}" if number < objects else ""
                if not (folder / path).exists():
                    folder.mkdir(exist_ok=True)
                    with Image.open(io.BytesIO(zipped.read(name))) as image:
                        distort(image.convert("RGB")).save(folder / path)
    return ImageSet(
        key=folder.name,
        name=f"{objects} sharp images in {len(_VIEWS)} views, {others:,} others",
        source=archive.name,
        folder=folder,
        labels=labels,
    )


def groups_of(image_set: ImageSet, *, dim: ProjectionDim = "auto") -> Groups:
    """The images of a set, projected as a new collection does, or not at all (``dim`` off)."""
    if dim == "auto":
        opened = indexed(image_set, encoder=DEFAULT_ENCODER, graph=False)
    else:
        folder = workplace() / "collections" / f"{image_set.key}-{DEFAULT_ENCODER}-{dim}"
        opened = lookalike.open(folder, encoder=DEFAULT_ENCODER, create=True)
        opened.index(image_set.folder, format="folder", dim=dim, optimize=False)
    with opened as shop:
        ids = [one for one, label in image_set.labels.items() if label != _NOT_A_CLASS]
        return Groups(
            name=image_set.name + ("" if dim == "auto" else ", not projected"),
            vectors=shop.vectors(ids),
            groups=[image_set.labels[one] for one in ids],
        )


# --- several images ------------------------------------------------------------------------------


def _by_mean(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    # The cosine with the mean of unit vectors is this but for a factor that is the same for all.
    means: NDArray[np.float32] = scores.mean(axis=0)
    return means


def _by_best(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    best: NDArray[np.float32] = scores.max(axis=0)
    return best


def _by_ranks(scores: NDArray[np.float32]) -> NDArray[np.float64]:
    ranks = np.argsort(np.argsort(-scores, axis=1), axis=1)
    fused: NDArray[np.float64] = (1 / (_FUSION + 1 + ranks)).sum(axis=0)
    return fused


_WAYS: dict[str, Callable[[NDArray[np.float32]], NDArray[np.floating]]] = {
    "mean": _by_mean,
    "best": _by_best,
    "ranks": _by_ranks,
}


def _ranked(scores: NDArray[np.floating], without: NDArray[np.intp]) -> NDArray[np.intp]:
    left = scores.astype(np.float64)
    left[without] = -np.inf
    return np.argsort(-left, kind="stable")[: len(left) - len(without)]


def _average_precision(right: NDArray[np.bool_]) -> float:
    found = np.flatnonzero(right)
    return float(np.mean(np.arange(1, len(found) + 1) / (found + 1)))


def several(one: Groups, *, draws: int) -> list[dict[str, Json]]:
    """P@10 and mAP with 1, 2, 3 and 5 images of a group."""
    made: list[dict[str, Json]] = []
    members = one.members(least=7)
    groups = np.array(one.groups)
    for count in (1, 2, 3, 5):
        chance = np.random.default_rng(count)
        found: dict[str, list[tuple[float, float]]] = defaultdict(list)
        for group, rows in members.items():
            for _ in range(draws):
                chosen = chance.choice(rows, count, replace=False)
                scores = one.vectors[chosen] @ one.vectors.T  # (count, n)
                for way, mix in _WAYS.items():
                    right = groups[_ranked(mix(scores), chosen)] == group
                    share = right[:K].sum() / min(K, len(rows) - count)
                    found[way].append((float(share), _average_precision(right)))
        made += [
            {
                "images": one.name,
                "query images": count,
                "mix": way,
                "P@10": round(float(np.mean([share for share, _ in pairs])), 4),
                "mAP": round(float(np.mean([precision for _, precision in pairs])), 4),
                "queries": len(pairs),
            }
            for way, pairs in found.items()
            if count > 1 or way == "mean"
        ]
    return made


def two_things(one: Groups, *, queries: int) -> list[dict[str, Json]]:
    """Two images of each of two groups, which have little to do with each other."""
    members = one.members(least=7)
    names, groups = sorted(members), np.array(one.groups)
    chance = np.random.default_rng(2)
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for _ in range(queries):
        pair = [names[at] for at in chance.choice(len(names), 2, replace=False)]
        chosen = np.concatenate([chance.choice(members[name], 2, replace=False) for name in pair])
        scores = one.vectors[chosen] @ one.vectors.T
        possible = min(K, sum(len(members[name]) - 2 for name in pair))
        for way, mix in _WAYS.items():
            first = groups[_ranked(mix(scores), chosen)[:K]]
            counts = [int((first == name).sum()) for name in pair]
            found[way].append((sum(counts) / possible, min(counts) / K))
    return [
        {
            "images": one.name,
            "mix": way,
            "P@10": round(float(np.mean([share for share, _ in pairs])), 4),
            "weaker": round(float(np.mean([weaker for _, weaker in pairs])), 4),
            "queries": len(pairs),
        }
        for way, pairs in found.items()
    ]


# --- feedback ------------------------------------------------------------------------------------


def _mixed_queries(one: Groups, count: int) -> list[int]:
    """Rows whose first ten results are neither all right nor all wrong."""
    groups = np.array(one.groups)
    rows = np.concatenate(list(one.members(least=10).values()))
    order = np.random.default_rng(11).permutation(rows)
    found: list[int] = []
    for row in order:
        first = _ranked(one.vectors @ one.vectors[row], np.array([row]))[:K]
        if 2 <= (groups[first] == groups[row]).sum() <= 8:
            found.append(int(row))
            if len(found) == count:
                break
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """What a user marks: ``likes`` and ``dislikes``; ``alone`` gives up the query meanwhile."""

    name: str
    likes: bool = True
    dislikes: bool = True
    alone: bool = False

    def weights(self) -> list[tuple[float, float]]:
        """Return the weights of the grid, of what is liked and what is disliked, both together."""
        liked = LIKED if self.likes and not self.alone else (1.0,)
        return [(one, other) for one in liked for other in (DISLIKED if self.dislikes else (0.0,))]


USERS = (
    User(name="likes and dislikes"),
    User(name="likes only", dislikes=False),
    User(name="dislikes only", likes=False),
    User(name="likes and dislikes, without the query", alone=True),
)
BEFORE = (0.75, 0.5)  # of docs/decisions/0016-service.md


def feedback_rounds(
    one: Groups,
    rows: Sequence[int],
    user: User,
    weights: tuple[float, float],
    *,
    best: bool = False,
) -> list[float]:
    """Return P@10 before feedback and after each round.

    With ``best`` an item has its best score with the query or a liked item, less what is disliked.
    """
    groups = np.array(one.groups)
    liked, disliked = weights
    totals = np.zeros(ROUNDS + 1)
    for row in rows:
        likes: list[int] = []
        dislikes: list[int] = []
        for number in range(ROUNDS + 1):
            if best:
                scores = (one.vectors[[row, *likes]] @ one.vectors.T).max(axis=0)
                if dislikes:
                    scores = scores - disliked * (one.vectors[dislikes] @ one.vectors.T).mean(
                        axis=0
                    )
            else:
                given = [
                    0.0 if user.alone and likes else 1.0,
                    *[liked / max(len(likes), 1)] * len(likes),
                    *[-disliked / max(len(dislikes), 1)] * len(dislikes),
                ]
                scores = one.vectors @ mixed(one.vectors[[row, *likes, *dislikes]], given)
            marked = np.array([row, *likes, *dislikes])
            first = _ranked(scores, marked)[:K]
            right = groups[first] == groups[row]
            totals[number] += right.mean()
            likes += [int(at) for at in first[right][:MARKED]] if user.likes else []
            dislikes += [int(at) for at in first[~right][:MARKED]] if user.dislikes else []
    return [round(float(total), 4) for total in totals / len(rows)]


def feedback(one: Groups, *, queries: int) -> tuple[list[dict[str, Json]], list[dict[str, Json]]]:
    """Return the figures of chosen weights, and those of the whole grid for likes and dislikes."""
    rows = _mixed_queries(one, 2 * queries)
    choosing, reported = rows[::2], rows[1::2]
    made: list[dict[str, Json]] = []
    shown: list[dict[str, Json]] = []
    for user in USERS:
        grid = {pair: feedback_rounds(one, choosing, user, pair) for pair in user.weights()}
        chosen = max(grid, key=lambda weights: sum(grid[weights][1:]))
        liked, disliked = liked_and_disliked(int(user.likes), int(user.dislikes), alone=user.alone)
        ways = {
            "now": ((liked if user.likes else 0.0, -disliked if user.dislikes else 0.0), False),
            "before": ((1.0 if user.alone else BEFORE[0], BEFORE[1]), False),
            "best of the grid": (chosen, False),
        }
        if user is USERS[0]:
            ways["textbook"] = ((0.75, 0.15), False)
            ways["best of scores"] = ((1.0, 0.5), True)
        for way, (weights, by_best) in ways.items():
            figures = feedback_rounds(one, reported, user, weights, best=by_best)
            row: dict[str, Json] = {"images": one.name, "user": user.name, "weights": way}
            row |= {"liked": weights[0]} if user.likes else {}
            row |= {"disliked": weights[1]} if user.dislikes else {}
            row |= {f"round {number}": figure for number, figure in enumerate(figures)}
            made.append(row | {"queries": len(reported)})
        for liked in sorted({pair[0] for pair in grid}):
            row = {"images": one.name, "user": user.name, "liked": liked}
            row |= {
                f"disliked {pair[1]}": round(float(np.mean(figures[1:])), 4)
                for pair, figures in grid.items()
                if pair[0] == liked
            }
            shown.append(row)
    return made, shown


def main() -> None:
    options = arguments(__doc__).parse_args()
    classes = groups_of(caltech())
    sets = [classes]
    if not options.quick:
        sets += [groups_of(products(250, 8)), groups_of(views(200, 1000))]
    labelled = [classes]
    if not options.quick:
        labelled += [groups_of(myntra(3000)), groups_of(caltech(), dim="off")]
    report = Report(
        name="mixed_queries", question="Several query images and feedback: what finds more?"
    )
    draws = 1 if options.quick else 3
    report.tables["several images of one thing"] = [
        row for one in sets for row in several(one, draws=draws)
    ]
    report.tables["images of two things"] = [
        row for one in sets[:2] for row in two_things(one, queries=100 if options.quick else 500)
    ]
    rounds, grids = [], []
    for one in labelled:
        some, whole = feedback(one, queries=30 if options.quick else 150)
        rounds += some
        grids += whole
    report.tables["P@10 by round of feedback"] = rounds
    report.tables[
        "mean P@10 of the three rounds by weights, on the half that they are chosen on"
    ] = grids
    report.notes = sorted({one.name for one in (*sets, *labelled)})
    report.print(as_json=options.json)


if __name__ == "__main__":
    main()
