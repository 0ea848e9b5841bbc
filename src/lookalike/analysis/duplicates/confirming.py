"""Confirm that a pair are duplicates, at enough detail to see text. Pure.

    both images → aligned → the worst window → same, and sure enough to remove one

There are two limits: what is shown as near may differ more than what may be removed. Uncertain
cases (too little detail, transparent parts in one only, a part that only the duplicate shows) are
never sure.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from lookalike.analysis.duplicates.aligning import TRANSPOSES, Placement, align
from lookalike.analysis.duplicates.detail import Local, compare_locally

__all__ = ["SIDE_SHOWN", "SIDE_SURE", "ImageView", "Verdict", "confirm", "has_detail"]

SIDE_SHOWN = 512  # pixels on the longer side at which a pair is compared before it is shown
SIDE_SURE = 2048  # and before a file is removed

# Limits for windows of 8 x 8 pixels of a duplicate: docs/decisions/0021-duplicates-in-detail.md.
_NOISE = 6.0  # grey levels, rms, that every window may differ by
_OF_TEXTURE = 0.25  # and of the window's own contrast
_NEAR, _NEAR_COLOUR = 2.1, 22.0  # the worst window of a near duplicate, and its worst colour
_SURE, _SURE_COLOUR = 1.0, 12.0
_STANDS_OUT = 0.3, 3.0  # the worst window of a sure one: this much above the usual one, times this
_HINT = 256  # pixels: pairs that differ much at this size are not compared more closely
_TEXTURED = 8.0  # grey levels, rms, from which a window has content
_LEAST_TEXTURED = 20, 0.1  # windows that must have content, or this share of a small image's
_LEAST_PIXELS = 200  # pixels on the longer side that a much smaller duplicate needs
_MUCH_SMALLER = 0.45  # of the other's resolution
_MORE_DETAIL = 1.15  # times the kept one's resolution: beyond it, the duplicate shows more detail
_BEYOND = 0.02  # share of a side that the duplicate may show and the kept one does not
_LEAST_SIDE = 16  # pixels: less is not compared
_CELLS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageView:
    """An image to compare: ``grounds`` are RGB, on white, and also on black if parts are
    transparent.

    ``several``: the file has further pages or frames, which were not compared.
    """

    grounds: tuple[Image.Image, ...]
    several: bool = False

    def reduced(self, side: int) -> "ImageView":
        """Return the same, at most ``side`` pixels on the longer side."""
        if max(self.grounds[0].size) <= side:
            return self
        scale = side / max(self.grounds[0].size)
        size = tuple(max(1, round(length * scale)) for length in self.grounds[0].size)
        return ImageView(
            grounds=tuple(
                ground.resize((size[0], size[1]), Image.Resampling.BICUBIC, reducing_gap=3.0)
                for ground in self.grounds
            ),
            several=self.several,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """``same``: near duplicates. ``sure``: the second may be removed if the first is kept.

    ``difference`` is that of the worst place, as a share of what a near duplicate may have;
    ``reason`` is why it is not the same, or not sure. Not ``compared``: a file was not available.
    """

    same: bool
    sure: bool
    difference: float
    reason: str = ""
    compared: bool = True


def confirm(kept: ImageView, copy: ImageView, *, turn: int = 0, side: int = SIDE_SHOWN) -> Verdict:
    """Compare two images at up to ``side`` pixels.

    ``turn``, numbered as in ``signatures.hashes``, turns ``copy`` to match ``kept``.
    """
    placed: Placement | None = None
    for size in (_HINT, side) if side > _HINT else (side,):
        # Twice the size, so that a cropped part still has this one.
        pairs = _on_grounds(kept.reduced(2 * size), copy.reduced(2 * size), turn)
        placed = align(*pairs[0], side=size, begin=placed)
        worst: list[_Worst] = []
        for first, second in pairs:
            one, other = (np.asarray(part, np.float32) for part in placed.crops(first, second))
            if min(one.shape[:2]) < _LEAST_SIDE:
                return Verdict(same=True, sure=False, difference=1.0, reason="it is too small")
            worst.append(_find_worst(compare_locally(one, other, cells=_CELLS)))
        difference = max(one.share for one in worst)
        if difference > 1:
            return Verdict(
                same=False, sure=False, difference=difference, reason="it differs in one place"
            )
        if max(placed.size) < size:
            break
    assert placed is not None  # noqa: S101 - there is always a size
    if not any(one.shown for one in worst):
        return Verdict(same=False, sure=False, difference=9.0, reason="it shows nothing")
    reason = _why_unsure(kept, copy, pairs[0], placed, worst)
    return Verdict(same=True, sure=not reason, difference=difference, reason=reason)


def has_detail(view: ImageView) -> bool:
    """Return whether an image has enough detail to be distinguished from similar ones."""
    for ground in view.reduced(_HINT).grounds:
        pixels = np.asarray(ground, np.float32)
        if min(ground.size) < _LEAST_SIDE or _has_content(
            compare_locally(pixels, pixels, cells=_CELLS)
        ):
            return True
    return False


# --- the worst place ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Worst:
    share: float  # of what a near duplicate may have
    sure: bool
    shown: bool  # there is enough to see


def _find_worst(local: Local) -> _Worst:
    shares = local.left / (_NOISE + _OF_TEXTURE * local.texture)
    worst, colour = float(shares.max()), float(local.colour.max())
    textured = local.texture > _TEXTURED
    usual = float(np.median(shares[textured])) if textured.any() else 0.0
    least, times = _STANDS_OUT
    return _Worst(
        share=max(worst / _NEAR, colour / _NEAR_COLOUR),
        sure=worst <= min(_SURE, least + times * usual) and colour <= _SURE_COLOUR,
        shown=_has_content(local),
    )


def _has_content(local: Local) -> bool:
    count, share = _LEAST_TEXTURED
    return bool((local.texture > _TEXTURED).sum() >= min(count, share * local.texture.size))


def _on_grounds(
    kept: ImageView, copy: ImageView, turn: int
) -> list[tuple[Image.Image, Image.Image]]:
    """Return both on white; and on black, if both have transparent parts.

    First the ground on which there is more to see: it tells how the two lie.
    """
    pairs = [
        (first, _turn(second, turn))
        for first, second in zip(kept.grounds, copy.grounds, strict=False)
    ]
    return sorted(pairs, key=lambda pair: -min(_spread(image) for image in pair))


def _turn(image: Image.Image, turn: int) -> Image.Image:
    for operation in TRANSPOSES[turn]:
        image = image.transpose(operation)
    return image


def _spread(image: Image.Image) -> float:
    return float(np.asarray(image.convert("L").resize((32, 32))).std())


def _why_unsure(
    kept: ImageView,
    copy: ImageView,
    images: tuple[Image.Image, Image.Image],
    placed: Placement,
    worst: list[_Worst],
) -> str:
    """Return why the duplicate must not be removed, as a phrase; empty if it may be."""
    resolution = [
        (box[2] - box[0]) * (box[3] - box[1]) for box in (placed.first, placed.second)
    ]  # pixels of what both show
    smaller = (min(resolution) / max(resolution)) ** 0.5
    reasons = (
        (
            len(kept.grounds) != len(copy.grounds),
            "only one of the two has transparent parts",
        ),
        (
            kept.several or copy.several,
            "it has several pages or frames, and only the first was compared",
        ),
        (
            resolution[1] > resolution[0] * _MORE_DETAIL**2,
            "it shows more detail than the one that is kept",
        ),
        (
            smaller < _MUCH_SMALLER and max(placed.size) < _LEAST_PIXELS,
            "it is too small to be sure",
        ),
        (
            not _is_covered(images[1], placed),
            "it shows a part that the one that is kept does not",
        ),
        (
            not all(one.sure for one in worst),
            "it differs more in one place than a file to be removed may",
        ),
    )
    return next((reason for holds, reason in reasons if holds), "")


def _is_covered(copy: Image.Image, placed: Placement) -> bool:
    """Return whether the duplicate's area beyond the kept one's edges is small or plain."""
    left, top, right, bottom = placed.second
    width, height = copy.size
    beyond = (
        ((0, 0, left, height), left / width),
        ((right, 0, width, height), 1 - right / width),
        ((0, 0, width, top), top / height),
        ((0, bottom, width, height), 1 - bottom / height),
    )
    for box, share in beyond:
        if share > _BEYOND:
            # A pixel or two of the image itself reach into a frame where it was resized.
            part = np.asarray(copy.convert("L").crop(box), np.float32)
            if part.size and part.std() > _TEXTURED:
                return False
    return True
