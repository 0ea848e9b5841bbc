"""What every text encoder promises. A test module subclasses this with a fixture."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from lookalike.core.protocols import Encoder, TextEncoder, text_encoder_of

__all__ = ["TextEncoderContract"]

CLOSE = 1e-5
TEXTS = [
    "red",
    "a green bag",
    "the blue mug, isn't it?",
    "Something RED",
    "x" * 3000,
    "",
    "日本の茶碗 👍",
]


class TextEncoderContract:
    """Sentences; a subclass gives ``encoder``, whose words are tested."""

    @pytest.fixture
    def words(self, encoder: Encoder) -> TextEncoder:
        words = text_encoder_of(encoder)
        assert words is not None
        return words

    def test_vectors_of_texts_are_unit_rows_beside_the_images(
        self, encoder: Encoder, words: TextEncoder
    ) -> None:
        vectors = words.encode_words(TEXTS)
        assert vectors.shape == (len(TEXTS), encoder.dim)
        assert vectors.dtype == np.float32
        assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(len(TEXTS)), abs=1e-6)

    def test_no_texts_have_no_rows(self, encoder: Encoder, words: TextEncoder) -> None:
        vectors = words.encode_words([])
        assert vectors.shape == (0, encoder.dim)
        assert vectors.dtype == np.float32

    def test_order_is_kept_whatever_the_companions(self, words: TextEncoder) -> None:
        together = words.encode_words(TEXTS)
        assert np.abs(words.encode_words(TEXTS[::-1])[::-1] - together).max() < CLOSE
        alone = np.concatenate([words.encode_words([one]) for one in TEXTS])
        assert np.abs(together - alone).max() < CLOSE

    def test_the_same_text_has_the_same_vector_each_time(self, words: TextEncoder) -> None:
        vectors = words.encode_words(["red", "blue", "red"])
        assert np.array_equal(vectors[0], vectors[2])
        assert np.abs(words.encode_words(["red"])[0] - vectors[0]).max() < CLOSE
        assert not np.array_equal(vectors[0], vectors[1])

    def test_what_is_returned_may_be_changed(self, words: TextEncoder) -> None:
        before = words.encode_words(["red"]).copy()
        words.encode_words(["red"])[:] = 0
        assert np.array_equal(words.encode_words(["red"]), before)

    def test_texts_may_be_encoded_on_many_threads(self, words: TextEncoder) -> None:
        expected = words.encode_words(TEXTS)
        texts = [f"{one} {number}" for number in range(5) for one in TEXTS] + TEXTS * 3
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda one: words.encode_words([one])[0], texts))
        assert np.abs(np.stack(found[-len(TEXTS) :]) - expected).max() < CLOSE
