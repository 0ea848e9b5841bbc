"""Backbones of timm, exported by torch; skipped where timm and torch are not installed."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("huggingface_hub", reason="the extra hub is not installed")

from hub_server import HubServer
from lookalike.encoders import load_encoder
from lookalike.encoders.hub import curated_encoders, pull
from lookalike.encoders.hub.files import Hub
from lookalike.encoders.hub.timm_models import describe
from lookalike.errors import PullError

MODEL = "test_vit.r160_in1k"  # 0.4 million weights, made for tests by timm's authors


@pytest.fixture
def timm() -> Any:  # noqa: ANN401 - the module, which has no types
    pytest.importorskip("torch", reason="the extra export is not installed")
    return pytest.importorskip("timm", reason="the extra export is not installed")


@pytest.fixture
def server(timm: Any, tmp_path: Path) -> Iterator[HubServer]:  # noqa: ANN401 - likewise
    """A hub with weights of the model, seeded."""
    import safetensors.torch  # noqa: PLC0415 - after the check that torch is there
    import torch  # noqa: PLC0415 - likewise

    torch.manual_seed(0)
    weights = timm.create_model(MODEL, pretrained=False).state_dict()
    safetensors.torch.save_file(weights, tmp_path / "weights")
    with HubServer() as server:
        server.add(f"timm/{MODEL}", {"model.safetensors": (tmp_path / "weights").read_bytes()})
        yield server


def test_a_backbone_is_exported_with_the_preprocessing_of_its_weights(
    timm: Any,  # noqa: ANN401 - the module
    server: HubServer,
    tmp_path: Path,
) -> None:
    import safetensors.torch  # noqa: PLC0415 - after the check that torch is there
    import torch  # noqa: PLC0415 - likewise
    from timm.data import create_transform, resolve_model_data_config  # noqa: PLC0415 - likewise

    hub = Hub(endpoint=server.address, cache=tmp_path / "cache")
    pulled = pull(f"timm:{MODEL}", folder=tmp_path / "encoders", hub=hub)
    encoder = load_encoder(pulled.card)
    assert (pulled.name, encoder.dim) == (MODEL, 64)

    theirs = timm.create_model(MODEL, pretrained=False, num_classes=0)
    theirs.load_state_dict(safetensors.torch.load_file(tmp_path / "weights"), strict=False)
    theirs.eval()
    transform = create_transform(**resolve_model_data_config(theirs), is_training=False)
    noise = np.random.default_rng(0).integers(0, 256, (3, 40, 60, 3), dtype=np.uint8)
    images = [Image.fromarray(one).resize((300, 200)) for one in noise]
    with torch.inference_mode():
        rows = theirs(torch.stack([transform(one) for one in images])).numpy()
    expected = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    vectors = encoder.encode([encoder.prepare(one) for one in images])
    assert (1 - (vectors * expected).sum(axis=1)).max() < 1e-3


def test_a_second_pull_exports_nothing(server: HubServer, tmp_path: Path) -> None:
    hub = Hub(endpoint=server.address, cache=tmp_path / "cache")
    first = pull(f"timm:{MODEL}", folder=tmp_path / "encoders", hub=hub)
    server.requests.clear()
    again = pull(f"timm:{MODEL}", folder=tmp_path / "encoders", hub=hub)
    assert (again.changed, again.revision) == (False, first.revision)
    assert server.requests == []


def test_weights_that_are_none_leave_nothing(server: HubServer, tmp_path: Path) -> None:
    server.add(f"timm/{MODEL}", {"model.safetensors": b"no weights" * 1000})
    hub = Hub(endpoint=server.address, cache=tmp_path / "cache")
    with pytest.raises(PullError, match=f"timm cannot load {MODEL}"):
        pull(f"timm:{MODEL}", folder=tmp_path / "encoders", hub=hub)
    assert not (tmp_path / "encoders" / MODEL).exists()


def test_an_unknown_backbone_is_helped(timm: Any) -> None:  # noqa: ANN401 - the module
    with pytest.raises(PullError, match=rf"timm {timm.__version__} has no weights .*convnext_tiny"):
        describe("convnext_tinny")


def test_listed_backbones_are_known(timm: Any) -> None:  # noqa: ANN401 - the module
    assert timm
    listed = [one.timm for one in curated_encoders().values() if one.timm is not None]
    assert listed
    for name in listed:
        assert describe(name).name == name


def test_without_timm_what_to_install_is_said(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['timm'] = None\n"
        "from pathlib import Path; from lookalike.encoders.hub import pull\n"
        "from lookalike.errors import PullError\n"
        "try: pull('timm:resnet50', folder=Path(sys.argv[1]))\n"
        "except PullError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path], capture_output=True, text=True, check=True
    )
    assert "pip install 'lookalike[export]'" in done.stdout
