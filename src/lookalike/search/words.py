"""Words as a query: when text is words rather than the path of an image, and their vector."""

import os
import re
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from lookalike.core.roots import expand_home
from lookalike.core.vectors import Vector
from lookalike.errors import WordsError
from lookalike.search.query import Encoded, ImageSource, ItemRef, Query, VectorFile, Words
from lookalike.search.vectors import load_vector

if TYPE_CHECKING:
    from lookalike.collection_encoding import CollectionEncoding

__all__ = [
    "has_words",
    "is_file",
    "is_folder",
    "named_query",
    "named_source",
    "no_file",
    "refusal",
    "words_vector",
]

# A path has a slash, a backslash or a suffix that begins with a letter: "size 2.5" has none.
_PATH = re.compile(r"[/\\]|^~|\.[A-Za-z]\w{0,4}$")


def is_file(name: str) -> bool:
    """Return whether there is a file of this name, readable or not. A folder is none."""
    place = expand_home(name)
    return os.path.lexists(place) and not os.path.isdir(place)  # noqa: PTH112 - never raises


def is_folder(name: str) -> bool:
    """Return whether there is a folder of this name."""
    return os.path.isdir(expand_home(name))  # noqa: PTH112 - never raises, however long a name


def named_source(
    source: ImageSource | ItemRef | Words | Encoded | VectorFile,
    *,
    is_file: Callable[[str], bool] = is_file,
) -> ImageSource | ItemRef | Words | Encoded | VectorFile:
    """Return ``Words`` for a ``str`` that neither names a file nor looks like a path.

    Everything else is returned as it is; a ``Path`` is always an image. Raise ``ValueError`` for
    text that is blank or cannot be stored, and names no file.
    """
    if not isinstance(source, str) or is_file(source):
        return source
    if _PATH.search(source) and _can_be_path(source):
        return source
    return Words(source, guessed=True)


def _can_be_path(text: str) -> bool:
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


def named_query(query: Query) -> Query:
    """Return the query with ``named_source`` of each of its parts, and vectors read from files.

    Raise ``ValueError`` for a file that holds no vector.
    """
    return Query(tuple(replace(part, source=_named(part.source)) for part in query.parts))


def _named(
    source: ImageSource | ItemRef | Words | Encoded | VectorFile,
) -> ImageSource | ItemRef | Words | Encoded | VectorFile:
    return load_vector(source.path) if isinstance(source, VectorFile) else named_source(source)


def has_words(query: Query) -> bool:
    """Return whether words are a part of a query that ``named_query`` has returned."""
    sources = [part.source for part in query.parts]
    return any(
        isinstance(one, Words) or (isinstance(one, Encoded) and one.words is not None)
        for one in sources
    )


def no_file(text: str) -> str:
    """Say why text that could have named a file is words."""
    return "this is a folder, not an image" if is_folder(text) else "there is no such file"


def refusal(collection: "CollectionEncoding", words: Words) -> WordsError:
    """Return the error for words that the collection's encoder would have to encode."""
    bound = collection.store.bound()
    name = "the encoder" if bound is None else f"the encoder {bound[0]}"
    what = f"{name} does not support search by words"
    if words.guessed:
        what = f"{no_file(words.text)}, and {what}"
    return WordsError(f"{words.text}: {what}")


def words_vector(collection: "CollectionEncoding", words: Words) -> Vector:
    """Return the vector of words in the space of the collection's images, (dim,) of length 1.

    Raise ``WordsError`` if the encoder does not support words, and ``EncoderError``.
    """
    encoder = collection.text_encoder
    if encoder is None:
        raise refusal(collection, words)
    vector: Vector = encoder.encode_words([words.text])[0]
    return vector
