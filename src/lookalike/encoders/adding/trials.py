"""Trying an encoder before anything is indexed with it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from lookalike.encoders.onnx_encoder import OnnxEncoder
from lookalike.errors import EncoderError

__all__ = ["Trial", "try_encoder"]

_IMAGES = 6
_SAME = 1 - 1e-6  # cosine of embeddings that do not tell two images apart
_ALIKE = 0.98  # mean cosine of different images above which images are hardly distinguished
_BATCH = 1e-3  # by which an embedding may differ in company: rounding, with half precision


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What a few images showed.

    ``alike`` is the mean cosine of different images, ``in_company`` the largest difference that
    other images in a batch make to an embedding's values, ``again`` what another run makes.
    """

    alike: float
    in_company: float
    again: float

    @property
    def depends_on_batch(self) -> bool:
        return self.in_company > _BATCH

    def notes(self) -> list[str]:
        """Return what a user should know."""
        found = []
        if self.alike > _ALIKE:
            found.append(
                f"embeddings of different images hardly differ (mean cosine {self.alike:.3f}): the "
                "output may be the wrong one, or the range of pixels"
            )
        if self.again > _BATCH:
            found.append("the same image gets another embedding in each run: the model has noise")
        return found


def try_encoder(encoder: OnnxEncoder, images: Sequence[Image.Image]) -> Trial:
    """Encode a few different images, alone, together and again.

    Raise ``EncoderError`` if that fails, if an embedding is not finite, or if all are the same.
    """
    batch = [encoder.prepare(one) for one in images[:_IMAGES]]
    together = encoder.encode(batch)
    alone = np.concatenate([encoder.encode([one]) for one in batch])
    again = encoder.encode(batch)
    cosines = together @ together.T
    others = cosines[~np.eye(len(batch), dtype=bool)]
    if others.min() > _SAME:
        raise EncoderError(
            f"{encoder.name}: all images get the same embedding from {encoder.card.output.name}; "
            "choose another tensor with --output, or check how images are prepared"
        )
    return Trial(
        alike=float(others.mean()),
        in_company=float(np.abs(together - alone).max()),
        again=float(np.abs(together - again).max()),
    )
