"""An open model, as every runtime gives it, and how to use the cores of a device for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

__all__ = ["Node", "Precision", "RunSettings", "Session"]

Precision: TypeAlias = Literal["fp32", "bf16"]


class Node(Protocol):
    """An input or an output of a model."""

    @property
    def name(self) -> str:
        """The name that the model has for it."""

    @property
    def type(self) -> str:
        """What it holds, in ONNX Runtime's words: ``tensor(float)``."""

    @property
    def shape(self) -> list[Any]:
        """The length of each axis; a name or ``None`` where that is open. Empty if unknown."""


class Session(Protocol):
    """An open model. ``onnxruntime.InferenceSession`` is one."""

    def get_inputs(self) -> Sequence[Node]:
        """Return the inputs, in the model's order."""

    def get_outputs(self) -> Sequence[Node]:
        """Return the outputs, in the model's order."""

    def run(self, output_names: Sequence[str], input_feed: Mapping[str, Any], /) -> Sequence[Any]:
        """Return the named outputs for arrays by the names of inputs. Thread-safe."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """``runs`` at a time of ``images`` each, with ``threads`` cores in each run on a processor.

    ``precision`` is that of the arithmetic, whatever the model's own numbers are.
    """

    runs: int = 1
    threads: int = 1
    images: int = 1
    precision: Precision = "fp32"
