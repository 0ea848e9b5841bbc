"""Weights drawn from a seed, so that a framework and a test can both have them without a file.

    array = seeded_array("block_3_expand/kernel", (1, 1, 24, 144))

The same name and shape give the same numbers on every machine. Names are those of the framework;
the last part decides what the numbers are like, so that activations stay within bounds.
"""

import math
import zlib

import numpy as np
from numpy.typing import NDArray

__all__ = ["seeded_array", "seeded_images"]


def seeded_array(name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return the weights with that name, float32."""
    random = np.random.default_rng(zlib.crc32(name.encode()))
    last = name.replace("/", ".").rpartition(".")[2]
    if last in ("moving_variance", "running_var"):
        return random.uniform(0.7, 1.8, shape).astype(np.float32)
    if last == "gamma" or (last == "weight" and len(shape) == 1):
        return random.uniform(0.5, 1.2, shape).astype(np.float32)
    if len(shape) < 2:
        return random.normal(0, 0.15, shape).astype(np.float32)
    # Of Keras the last axis is the output, of a depthwise kernel the last two; of PyTorch the first
    keras = last.endswith("kernel")
    output = (shape[-1] if shape[-1] > 1 or len(shape) == 2 else shape[-2]) if keras else shape[0]
    scale = np.float32(math.sqrt(2 * output / math.prod(shape)))
    return random.standard_normal(shape, dtype=np.float32) * scale


def seeded_images(count: int, side: int) -> NDArray[np.uint8]:
    """Return images of coloured blocks, each unlike the others, (count, side, side, 3)."""
    random = np.random.default_rng(7)
    places = np.arange(side)
    images = []
    for number in range(count):
        cells = random.integers(0, 256, (3 + 2 * number, 3 + 2 * number, 3))
        at = places * len(cells) // side
        images.append(cells[at][:, at] + random.integers(-20, 20, (side, side, 1)))
    return np.clip(np.stack(images), 0, 255).astype(np.uint8)
