"""Why two images are alike: what each region adds to their score."""

from lookalike.analysis.explanation.contributions import Divided, explain_pair
from lookalike.analysis.explanation.explanation import ExplainedImage, Explanation, Method

__all__ = ["Divided", "ExplainedImage", "Explanation", "Method", "explain_pair"]
