"""Encoders from files of Keras, PyTorch and TensorFlow Lite, written as ONNX once, without those
frameworks.
"""

from lookalike.encoders.converting.adding import ConvertedEncoder, add_converted
from lookalike.encoders.converting.architectures import ARCHITECTURES, Architecture
from lookalike.encoders.converting.conversion import Conversion, convert

__all__ = [
    "ARCHITECTURES",
    "Architecture",
    "Conversion",
    "ConvertedEncoder",
    "add_converted",
    "convert",
]
