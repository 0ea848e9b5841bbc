"""Ways to run an encoder that are worth measuring. Pure."""

from collections.abc import Iterator, Sequence

from lookalike.encoders.devices import Device
from lookalike.encoders.runtimes.sessions import Precision, RunSettings

__all__ = ["list_candidates", "sizes"]

_MANY_CORES = 8  # from here on, something between one core for a run and all of them may be best
_ALONE = (1, 2, 8)  # images in a run on one core: more leave its cache
_TOGETHER = (4, 16)  # on several cores, which only more images keep busy
_ON_A_CARD = (8, 32, 128)


def list_candidates(
    devices: Sequence[Device], cores: int, precisions: Sequence[Precision]
) -> Iterator[tuple[Device, RunSettings]]:
    """Yield devices and how to open a model on each, of one image in a run; see ``sizes``.

    ``precisions`` are those of OpenVINO; every other device has float32 only.
    """
    for device in devices:
        if not device.processor:
            yield device, RunSettings()
            continue
        for precision in precisions if device.runtime == "openvino" else ("fp32",):
            for runs, threads in _ways(cores):
                yield device, RunSettings(runs=runs, threads=threads, precision=precision)


def sizes(device: Device, settings: RunSettings, most: int | None, fixed: int | None) -> list[int]:
    """Return how many images to try in a run, for a model that takes ``most`` or a fixed number."""
    if fixed is not None:
        return [fixed]
    tried = _ALONE if settings.threads == 1 else _TOGETHER
    if not device.processor:
        tried = _ON_A_CARD
    return sorted({min(one, most or one) for one in tried})


def _ways(cores: int) -> list[tuple[int, int]]:
    """Runs at a time, and cores for each."""
    ways = [(cores, 1), (1, cores)]
    if cores >= _MANY_CORES:
        ways.insert(1, (cores // 4, 4))
    return list(dict.fromkeys(ways))
