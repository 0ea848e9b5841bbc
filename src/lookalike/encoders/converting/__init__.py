"""Encoders from files of Keras, PyTorch and TensorFlow Lite, written as ONNX once, without those
frameworks.
"""

from lookalike.encoders.converting.adding import AddedEncoder, add_converted
from lookalike.encoders.converting.architectures import ARCHITECTURES, Architecture
from lookalike.encoders.converting.conversion import Conversion, convert

__all__ = [
    "ARCHITECTURES",
    "AddedEncoder",
    "Architecture",
    "Conversion",
    "add_converted",
    "convert",
]
