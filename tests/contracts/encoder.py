"""What every encoder promises. An encoder's test module subclasses this with a fixture."""

import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageDraw

from lookalike.core.protocols import Encoder, Prepared, patch_encoder_of
from lookalike.errors import ExplanationError

# Rounding: a run of two pictures may add up in another order than a run of one.
CLOSE = 1e-5


def drawn(seed: int, size: tuple[int, int] = (90, 70)) -> Image.Image:
    """A picture of coloured shapes; another seed is clearly another picture."""
    random = np.random.default_rng(seed)
    image = Image.new("RGB", size, tuple(random.integers(0, 256, 3).tolist()))
    pen = ImageDraw.Draw(image)
    for _ in range(6):
        left, top = random.random(2) * size
        width, height = (0.1 + random.random(2) / 2) * size
        colour = tuple(random.integers(0, 256, 3).tolist())
        shape = pen.ellipse if random.random() < 0.5 else pen.rectangle
        shape((left, top, left + width, top + height), fill=colour)
    return image


class EncoderContract:
    """Sentences; a subclass gives ``again``, which loads the encoder anew each time.

    ``share_error`` is how far the shares of positions may sum to something else than the embedding.
    """

    share_error = 1e-4

    @pytest.fixture(scope="class")
    @classmethod
    def encoder(cls, again: Callable[[], Encoder]) -> Encoder:
        return again()

    @pytest.fixture
    def batch(self, encoder: Encoder) -> list[Prepared]:
        return [encoder.prepare(drawn(seed)) for seed in range(7)]

    def test_vectors_are_unit_rows_of_float32(
        self, encoder: Encoder, batch: list[Prepared]
    ) -> None:
        vectors = encoder.encode(batch)
        assert vectors.shape == (7, encoder.dim)
        assert vectors.dtype == np.float32
        assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(7), abs=1e-6)

    def test_an_empty_batch_has_no_rows(self, encoder: Encoder) -> None:
        vectors = encoder.encode([])
        assert vectors.shape == (0, encoder.dim)
        assert vectors.dtype == np.float32

    def test_order_is_kept_whatever_the_companions(
        self, encoder: Encoder, batch: list[Prepared]
    ) -> None:
        together = encoder.encode(batch)
        alone = np.concatenate([encoder.encode([picture]) for picture in batch])
        assert np.abs(together - alone).max() < CLOSE
        assert np.abs(together[::-1] - encoder.encode(batch[::-1])).max() < CLOSE
        cosines = together @ together.T
        assert cosines.argmax(axis=1).tolist() == list(range(7))  # each is a picture of its own

    def test_the_same_picture_has_the_same_vector_each_time(
        self, encoder: Encoder, batch: list[Prepared]
    ) -> None:
        assert np.array_equal(encoder.encode(batch), encoder.encode(batch))

    def test_a_nearly_equal_picture_is_nearest(self, encoder: Encoder) -> None:
        images = [drawn(seed, (300, 240)) for seed in range(5)]
        vectors = encoder.encode([encoder.prepare(image) for image in images])
        smaller = [encoder.prepare(image.resize((280, 224))) for image in images]
        cosines = encoder.encode(smaller) @ vectors.T
        assert cosines.argmax(axis=1).tolist() == list(range(5))
        assert cosines.diagonal().min() > 0.97

    def test_a_prepared_picture_is_small_and_plain(self, encoder: Encoder) -> None:
        large = drawn(1, (2400, 1800))
        prepared = encoder.prepare(large)
        assert prepared.dtype == np.uint8
        assert prepared.ndim == 3
        assert prepared.shape[2] == 3
        assert prepared.nbytes < 1_000_000
        assert len(pickle.dumps(prepared)) < 1_100_000  # it holds on to nothing larger

    def test_preparing_leaves_the_picture_alone(self, encoder: Encoder) -> None:
        image = drawn(3)
        before = image.tobytes()
        encoder.prepare(image)
        assert image.tobytes() == before

    def test_pictures_may_be_prepared_and_encoded_on_many_threads(
        self, encoder: Encoder, batch: list[Prepared]
    ) -> None:
        alone = encoder.encode(batch)

        def whole(seed: int) -> float:
            vector = encoder.encode([encoder.prepare(drawn(seed))])
            return float(np.abs(vector - alone[seed]).max())

        with ThreadPoolExecutor(4) as pool:
            assert max(pool.map(whole, list(range(7)) * 2)) < CLOSE

    def test_any_size_and_proportion_can_be_prepared(self, encoder: Encoder) -> None:
        shapes = [(1, 1), (1, 900), (900, 1), (37, 20)]
        prepared = [encoder.prepare(drawn(5, shape)) for shape in shapes]
        assert encoder.encode(prepared).shape == (4, encoder.dim)

    def test_pictures_of_one_colour_have_a_vector(self, encoder: Encoder) -> None:
        colours = ["black", "white", "#7f7f7f", "#808080", "red"]
        plain = [encoder.prepare(Image.new("RGB", (64, 64), colour)) for colour in colours]
        assert np.isfinite(encoder.encode(plain)).all()

    def test_decoding_below_the_decode_size_is_never_asked_for(self, encoder: Encoder) -> None:
        prepared = encoder.prepare(drawn(0))
        if encoder.decode_size is not None:
            width, height = encoder.decode_size
            assert width >= prepared.shape[1]
            assert height >= prepared.shape[0]

    def test_loading_again_gives_the_same_encoder(
        self, encoder: Encoder, again: Callable[[], Encoder], batch: list[Prepared]
    ) -> None:
        other = again()
        assert (other.name, other.fingerprint, other.dim) == (
            encoder.name,
            encoder.fingerprint,
            encoder.dim,
        )
        assert np.abs(other.encode(batch) - encoder.encode(batch)).max() < CLOSE

    def test_the_fingerprint_is_short_and_names_the_encoder(self, encoder: Encoder) -> None:
        assert encoder.fingerprint.startswith(encoder.name)
        assert encoder.fingerprint.isprintable()
        assert len(encoder.fingerprint) < 100

    def test_shares_of_positions_add_up_to_the_vectors(
        self, encoder: Encoder, batch: list[Prepared]
    ) -> None:
        patches = patch_encoder_of(encoder)
        if patches is None:
            return
        try:
            shares = patches.shares(batch)
        except ExplanationError:
            return  # it pools no map
        assert (len(shares), shares.shape[-1]) == (7, encoder.dim)
        assert shares.dtype == np.float32
        assert shares.sum(axis=(1, 2)) == pytest.approx(encoder.encode(batch), abs=self.share_error)
