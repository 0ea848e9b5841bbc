"""Evaluation: how good the results are, where a label (or group, or any field) is known.

Every query is an image of the collection; its own item is left out, exact duplicates under other
ids are not. A result is right if it is of the query's class. Results are sorted as in searches:
descending cosine to nine decimals, equal ones by ascending id. With R right results in all:

======================  ==========================================================================
``P@k``                 precision: right results among the first k, divided by k
``R@k``                 hit rate: 1 if one of the first k is right, else 0. Retrieval benchmarks
                        (Stanford Online Products, In-shop) call this Recall@k or CMC@k
``recall@k``            recall: right results among the first k, divided by R
``mAP``                 average precision over the whole ranking: P at the rank of each right
                        result, added up and divided by R (Manning, Raghavan, Schütze,
                        Introduction to Information Retrieval, 8.4)
``mAP@R``               likewise over the first R results only, divided by R (Musgrave, Belongie,
                        Lim, A Metric Learning Reality Check, arXiv 2003.08505, 3.2)
``R-precision``         P at k = R (Introduction to Information Retrieval, 8.4)
======================  ==========================================================================

Micro is the mean over queries; macro the mean over classes of their queries' mean. Intervals are
percentiles of bootstrapped means over queries (Efron, Tibshirani, An Introduction to the
Bootstrap, 13.3): they cover the random choice of queries, not of classes.
"""

from lookalike.analysis.evaluation.intervals import interval
from lookalike.analysis.evaluation.query_plan import class_of
from lookalike.analysis.evaluation.rankings import Measures, measures
from lookalike.analysis.evaluation.running import SAMPLE, compare, evaluate
from lookalike.analysis.evaluation.scores import (
    ClassScore,
    Comparison,
    Confusion,
    Difference,
    EvaluatedHit,
    EvaluatedQuery,
    Evaluation,
    Score,
    Split,
)

__all__ = [
    "SAMPLE",
    "ClassScore",
    "Comparison",
    "Confusion",
    "Difference",
    "EvaluatedHit",
    "EvaluatedQuery",
    "Evaluation",
    "Measures",
    "Score",
    "Split",
    "class_of",
    "compare",
    "evaluate",
    "interval",
    "measures",
]
