"""The encoders that are made of converted networks: which output, and how images are prepared.

Those named ``…-legacy`` prepare images as visual searches built on Keras commonly did, also where
that was a mistake, so that old and new results can be compared. The rest prepare images as the
weights were trained. Sources: ``imagenet_utils.preprocess_input`` of Keras, modes "tf" and "caffe";
torchvision's ``ImageClassification`` presets.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from lookalike.encoders.cards import Input, Interpolation, Triple
from lookalike.encoders.converting.graph import IMAGE
from lookalike.encoders.converting.naming import Framework, Network, network_title

__all__ = ["ARCHITECTURES", "Architecture", "default_architecture", "input_for"]

_CAFFE_MEAN: Triple = (103.939, 116.779, 123.68)  # blue, green, red
_ONES: Triple = (1.0, 1.0, 1.0)
_HALF: Triple = (127.5, 127.5, 127.5)
_IMAGENET_MEAN: Triple = (0.485, 0.456, 0.406)
_IMAGENET_STD: Triple = (0.229, 0.224, 0.225)
_TORCH_CROP = 0.875  # 224 of 256 pixels of the shorter side


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """A network, the output that is the embedding, and whether images are prepared as of old.

    ``output`` is "avg" or "max" over the positions of the last map, the flattened "map", or one of
    VGG16's dense layers. ``interpolation`` is that of the resize.
    """

    name: str
    network: Network
    output: Literal["avg", "max", "map", "fc1", "fc2"]
    interpolation: Interpolation = "bilinear"
    caffe: bool = False

    @property
    def legacy(self) -> bool:
        """Whether it prepares images as an older system did."""
        return self.name.endswith("-legacy")

    @property
    def title(self) -> str:
        """What it is, for people."""
        what = {
            "avg": "mean of the last map",
            "max": "maximum of the last map",
            "map": "last map, flattened",
            "fc1": "first dense layer",
            "fc2": "second dense layer",
        }[self.output]
        return f"{network_title(self.network)}, {what}"


_ALL = (
    Architecture(name="mobilenetv2", network="mobilenetv2", output="avg"),
    Architecture(name="mobilenetv2-map", network="mobilenetv2", output="map"),
    Architecture(
        name="mobilenetv2-legacy",
        network="mobilenetv2",
        output="avg",
        interpolation="nearest",
        caffe=True,
    ),
    Architecture(name="resnet50-avg", network="resnet50", output="avg"),
    Architecture(name="resnet50-max", network="resnet50", output="max"),
    Architecture(
        name="resnet50-max-legacy", network="resnet50", output="max", interpolation="nearest"
    ),
    Architecture(name="vgg16-avg", network="vgg16", output="avg"),
    Architecture(name="vgg16-max", network="vgg16", output="max"),
    Architecture(name="vgg16-fc1", network="vgg16", output="fc1"),
    Architecture(name="vgg16-fc1-legacy", network="vgg16", output="fc1", interpolation="bicubic"),
    Architecture(name="vgg16-fc2", network="vgg16", output="fc2"),
    Architecture(name="vgg16-fc2-legacy", network="vgg16", output="fc2", interpolation="nearest"),
)

ARCHITECTURES: Mapping[str, Architecture] = {one.name: one for one in _ALL}


def default_architecture(network: Network, *, dense: bool) -> Architecture:
    """Return what a network becomes if nothing is said; ``dense``: it has VGG16's dense layers."""
    if network == "mobilenetv2":
        return ARCHITECTURES["mobilenetv2"]
    if network == "resnet50":
        return ARCHITECTURES["resnet50-avg"]
    return ARCHITECTURES["vgg16-fc2" if dense else "vgg16-avg"]


def input_for(
    architecture: Architecture, framework: Framework, *, width: int, height: int
) -> Input:
    """Return how images are prepared for an architecture with weights of a framework."""
    torch = framework == "torch"
    caffe = not torch and (architecture.caffe or architecture.network != "mobilenetv2")
    mean, std = (_CAFFE_MEAN, _ONES) if caffe else (_HALF, _HALF)
    if torch:
        mean, std = _IMAGENET_MEAN, _IMAGENET_STD
    return Input(
        name=IMAGE,
        width=width,
        height=height,
        layout="nchw",
        channels="bgr" if caffe else "rgb",
        resize="crop" if torch else "squash",
        interpolation=architecture.interpolation,
        crop=_TORCH_CROP if torch else 1.0,
        fill=(0, 0, 0),
        scale=1 / 255 if torch else 1.0,
        mean=mean,
        std=std,
    )
