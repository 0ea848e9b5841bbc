"""Write the weights that ship: part of the way from the base encoder's to the trained ones.

    python -m training.blend --card efficientnet-lite2 --share 0.5 FOLDER/student/weights.npz \
        -o src/lookalike/encoders/shipped/lookalike-v1.npz

Weights halfway keep more of what the base knows than the trained ones, and most of what they gained
(Wortsman et al., "Robust fine-tuning of zero-shot models", 2022, arXiv 2109.01903). Several files
are averaged first ("Model soups", 2022, arXiv 2203.05482). Prints the SHA-256 for the card.
"""

import argparse
import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lookalike.core.atomic_files import write_file
from lookalike.encoders.cards import find_card
from lookalike.encoders.trained_weights import trained_bytes
from lookalike.encoders.weights import read_weights

__all__ = ["blend"]

Arrays = dict[str, NDArray[np.generic]]


def blend(base: Arrays, trained: Sequence[Arrays], share: float) -> Arrays:
    """Return base weights + ``share`` x (mean of the trained weights - base weights)."""
    found: Arrays = {}
    for name in trained[0]:
        mean = sum(np.asarray(arrays[name], np.float64) for arrays in trained) / len(trained)
        start = np.asarray(base[name], np.float64)
        found[name] = (start + share * (mean - start)).astype(np.float32)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights", type=Path, nargs="+", help="of training.train (.npz)")
    parser.add_argument("--card", default="efficientnet-lite2", help="of the base encoder")
    parser.add_argument("--share", type=float, required=True, help="0 is the base, 1 the trained")
    parser.add_argument("-o", "--out", type=Path, required=True)
    options = parser.parse_args()
    trained = []
    for path in options.weights:
        with np.load(path) as file:
            trained.append({name: file[name] for name in file.files})
    content = trained_bytes(blend(read_weights(find_card(options.card)), trained, options.share))
    write_file(options.out, content)
    print(f"{options.out}: {len(content):,} bytes, SHA-256 {hashlib.sha256(content).hexdigest()}")


if __name__ == "__main__":
    main()
