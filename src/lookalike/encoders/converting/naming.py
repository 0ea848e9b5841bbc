"""What Keras, torchvision and timm call the layers of a network. Data, and the search for a match.

A naming maps the names that the graph builders use to those of a convolution or dense layer and of
the batch norm after it. The epsilon of the batch norms goes with the naming, because a file of
weights does not hold it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from lookalike.encoders.converting import mobilenetv2, resnet50, vgg16

__all__ = ["NAMINGS", "Framework", "Naming", "Network", "network_title"]

Network: TypeAlias = Literal["mobilenetv2", "vgg16", "resnet50"]
Framework: TypeAlias = Literal["keras", "torch"]
Names: TypeAlias = Mapping[str, tuple[str, str | None]]

_TITLES: Mapping[Network, str] = {
    "mobilenetv2": "MobileNetV2",
    "vgg16": "VGG16",
    "resnet50": "ResNet50",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """The names of one network in one framework.

    ``names`` maps a builder's name to (layer, batch norm or ``None``); those in ``optional`` may be
    missing from a file that was saved without its classifier. ``family`` matches the names of the
    layers in the repeated parts: one that the builder does not take means a larger network.
    """

    network: Network
    framework: Framework
    origin: str
    names: Names
    epsilon: float
    family: str
    optional: frozenset[str] = frozenset()

    @property
    def title(self) -> str:
        """For messages: "MobileNetV2 of torchvision"."""
        return f"{network_title(self.network)} of {self.origin}"


def network_title(network: Network) -> str:
    """Return how the network is written."""
    return _TITLES[network]


def _table(names: Iterable[str], rule: Callable[[str], tuple[str, str | None]]) -> Names:
    return {name: rule(name) for name in names}


def _keras_mobilenetv2(name: str) -> tuple[str, str | None]:
    fixed: dict[str, tuple[str, str | None]] = {
        "stem": ("Conv1", "bn_Conv1"),
        "head": ("Conv_1", "Conv_1_bn"),
        "classifier": ("predictions", None),
    }
    if name in fixed:
        return fixed[name]
    _, block, part = name.split(".")
    layer = f"expanded_conv_{part}" if block == "0" else f"block_{block}_{part}"
    return layer, f"{layer}_BN"


def _torchvision_mobilenetv2(name: str) -> tuple[str, str | None]:
    fixed: dict[str, tuple[str, str | None]] = {
        "stem": ("features.0.0", "features.0.1"),
        "head": ("features.18.0", "features.18.1"),
        "classifier": ("classifier.1", None),
    }
    if name in fixed:
        return fixed[name]
    _, block, part = name.split(".")
    inside = f"features.{int(block) + 1}.conv"
    at = {"expand": 0, "depthwise": 1, "project": 2}[part] - (block == "0")
    if part == "project":
        return f"{inside}.{at}", f"{inside}.{at + 1}"
    return f"{inside}.{at}.0", f"{inside}.{at}.1"


_TIMM_STAGES = (1, 2, 3, 4, 3, 3, 1)


def _timm_mobilenetv2(name: str) -> tuple[str, str | None]:
    fixed: dict[str, tuple[str, str | None]] = {
        "stem": ("conv_stem", "bn1"),
        "head": ("conv_head", "bn2"),
        "classifier": ("classifier", None),
    }
    if name in fixed:
        return fixed[name]
    _, number, part = name.split(".")
    places = [(stage, at) for stage, count in enumerate(_TIMM_STAGES) for at in range(count)]
    stage, at = places[int(number)]
    inside = f"blocks.{stage}.{at}"
    if number == "0":
        layer, norm = {"depthwise": ("conv_dw", "bn1"), "project": ("conv_pw", "bn2")}[part]
    else:
        layer, norm = {
            "expand": ("conv_pw", "bn1"),
            "depthwise": ("conv_dw", "bn2"),
            "project": ("conv_pwl", "bn3"),
        }[part]
    return f"{inside}.{layer}", f"{inside}.{norm}"


def _torch_vgg16(*, norms: bool, timm: bool) -> Names:
    names: dict[str, tuple[str, str | None]] = {}
    at = 0
    for group, count in enumerate(vgg16.GROUPS, 1):
        for number in range(1, count + 1):
            norm = f"features.{at + 1}" if norms else None
            names[f"block{group}_conv{number}"] = (f"features.{at}", norm)
            at += 3 if norms else 2  # convolution, batch norm, ReLU
        at += 1  # the pooling
    dense = (
        ("pre_logits.fc1", "pre_logits.fc2", "head.fc")
        if timm
        else ("classifier.0", "classifier.3", "classifier.6")
    )
    names |= {one: (layer, None) for one, layer in zip(_VGG_DENSE, dense, strict=True)}
    return names


def _keras_resnet50(name: str) -> tuple[str, str | None]:
    if name == "stem":
        return "conv1_conv", "conv1_bn"
    if name == "classifier":
        return "predictions", None
    _, stage, block, part = name.split(".")
    inside = f"conv{int(stage) + 2}_block{int(block) + 1}_{0 if part == 'shortcut' else part}"
    return f"{inside}_conv", f"{inside}_bn"


def _old_keras_resnet50(name: str) -> tuple[str, str | None]:
    if name == "stem":
        return "conv1", "bn_conv1"
    if name == "classifier":
        return "fc1000", None
    _, stage, block, part = name.split(".")
    branch = "1" if part == "shortcut" else f"2{'abc'[int(part) - 1]}"
    inside = f"{int(stage) + 2}{'abcdef'[int(block)]}_branch{branch}"
    return f"res{inside}", f"bn{inside}"


def _torch_resnet50(name: str) -> tuple[str, str | None]:
    if name == "stem":
        return "conv1", "bn1"
    if name == "classifier":
        return "fc", None
    _, stage, block, part = name.split(".")
    inside = f"layer{int(stage) + 1}.{block}"
    if part == "shortcut":
        return f"{inside}.downsample.0", f"{inside}.downsample.1"
    return f"{inside}.conv{part}", f"{inside}.bn{part}"


_CLASSIFIER = frozenset({"classifier"})
_VGG_DENSE = ("fc1", "fc2", "predictions")
_MOBILENETV2 = mobilenetv2.layer_names(classifier=True)
_RESNET50 = resnet50.layer_names(classifier=True)
_VGG16 = vgg16.layer_names(dense=3)

# Epsilons: keras/src/applications/{mobilenet_v2,resnet}.py; the older ResNet50 of Keras before
# keras-applications 1.0.7 used the default of BatchNormalization; PyTorch's default is 1e-5, which
# torchvision and timm keep for these networks.
NAMINGS: tuple[Naming, ...] = (
    Naming(
        network="mobilenetv2",
        framework="keras",
        origin="Keras",
        names=_table(_MOBILENETV2, _keras_mobilenetv2),
        family=r"block_\d+_.*",
        epsilon=1e-3,
        optional=_CLASSIFIER,
    ),
    Naming(
        network="vgg16",
        framework="keras",
        origin="Keras",
        names=_table(_VGG16, lambda name: (name, None)),
        family=r"block\d+_conv\d+",
        epsilon=0.0,
        optional=frozenset(_VGG_DENSE),
    ),
    Naming(
        network="resnet50",
        framework="keras",
        origin="Keras",
        names=_table(_RESNET50, _keras_resnet50),
        family=r"conv\d_block\d+_.*",
        epsilon=1.001e-5,
        optional=_CLASSIFIER,
    ),
    Naming(
        network="resnet50",
        framework="keras",
        origin="older Keras",
        names=_table(_RESNET50, _old_keras_resnet50),
        family=r"res\d\w_.*",
        epsilon=1e-3,
        optional=_CLASSIFIER,
    ),
    Naming(
        network="mobilenetv2",
        framework="torch",
        origin="torchvision",
        names=_table(_MOBILENETV2, _torchvision_mobilenetv2),
        family=r"features\.\d+\..*",
        epsilon=1e-5,
        optional=_CLASSIFIER,
    ),
    Naming(
        network="mobilenetv2",
        framework="torch",
        origin="timm",
        names=_table(_MOBILENETV2, _timm_mobilenetv2),
        family=r"blocks\.\d+\..*",
        epsilon=1e-5,
        optional=_CLASSIFIER,
    ),
    *(
        Naming(
            network="vgg16",
            framework="torch",
            origin=f"{'timm' if timm else 'torchvision'}{' with batch norms' if norms else ''}",
            names=_torch_vgg16(norms=norms, timm=timm),
            family=r"features\.\d+",
            epsilon=1e-5,
            optional=frozenset(_VGG_DENSE),
        )
        for norms in (True, False)
        for timm in (False, True)
    ),
    Naming(
        network="resnet50",
        framework="torch",
        origin="torchvision or timm",
        names=_table(_RESNET50, _torch_resnet50),
        family=r"layer\d+\.\d+\..*",
        epsilon=1e-5,
        optional=_CLASSIFIER,
    ),
)
