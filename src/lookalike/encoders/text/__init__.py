"""Text encoders: the second half of a card, which turns words into vectors beside the images'."""

from lookalike.encoders.text.card import TextCard, read_text_card

__all__ = ["TextCard", "read_text_card"]
