"""Every kind of encoder passes the same sentences."""

from collections.abc import Callable

import pytest

from contracts.encoder import EncoderContract
from lookalike.encoders import OnnxEncoder, load_encoder
from networks import tiny_card


class TestTinyNetwork(EncoderContract):
    @pytest.fixture(scope="class")
    @classmethod
    def again(cls, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], OnnxEncoder]:
        card = tiny_card(tmp_path_factory.mktemp("tiny"))
        return lambda: load_encoder(card)


class TestMapPooledByTheEncoder(TestTinyNetwork):
    """A card as a person writes one: another shape, BGR, padding, the mean taken by us."""

    @pytest.fixture(scope="class")
    @classmethod
    def again(cls, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], OnnxEncoder]:
        card = tiny_card(tmp_path_factory.mktemp("pooled"), name="pooled", seed=3, dim=24)
        text = card.read_text(encoding="utf-8")
        text = text.replace('"rgb"', '"bgr"').replace('"squash"', '"pad"\nfill = [90, 90, 90]')
        text = text.replace('name = "features"', 'name = "map"\npooling = "avg"')
        card.write_text(text, encoding="utf-8")
        return lambda: load_encoder(card, threads=3)


class TestEfficientNetLite0(EncoderContract):
    @pytest.fixture(scope="class")
    @classmethod
    def again(cls, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], OnnxEncoder]:
        cache = tmp_path_factory.mktemp("cache")
        return lambda: load_encoder("efficientnet-lite0", cache=cache)
