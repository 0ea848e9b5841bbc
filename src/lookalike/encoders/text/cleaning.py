"""Cleaning text as a text encoder's training data was cleaned.

Another cleaning is another text: the same words get another vector. Sources: CLIP, open_clip
(``tokenizer.py``: ``basic_clean``, ``whitespace_clean``, ``canonicalize_text``) and big_vision for
SigLIP and SigLIP 2.
"""

import html
import string

from lookalike.encoders.text.card import Cleaning
from lookalike.errors import EncoderError

__all__ = ["clean"]

_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def clean(text: str, how: Cleaning) -> str:
    """Return text as the tokenizer expects it.

    - ``clip``: repair broken encodings (ftfy), unescape HTML twice, collapse blanks, lower case.
    - ``siglip``: underscores become blanks, punctuation goes, lower case, collapse blanks.
    - ``siglip2``, ``lower``: lower case.
    - ``none``: as it is.

    Raise ``EncoderError`` where ``clip`` needs a package that is not installed.
    """
    if how == "clip":
        unescaped = html.unescape(html.unescape(_repaired(text)))
        return " ".join(unescaped.split()).lower()
    if how == "siglip":
        return " ".join(text.replace("_", " ").translate(_NO_PUNCTUATION).lower().split())
    if how in ("siglip2", "lower"):
        return text.strip().lower()
    return text


def _repaired(text: str) -> str:
    try:
        import ftfy  # noqa: PLC0415 - of an extra, and only for words
    except ImportError as error:
        raise EncoderError(
            "this encoder's words need ftfy; run: pip install 'lookalike[words]'"
        ) from error
    return ftfy.fix_text(text)
