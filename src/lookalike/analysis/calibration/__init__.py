"""What a score means in a collection: from which cosine a match is strong, fair or weak.

    from lookalike.analysis import calibration

    scale = calibration.get_calibration(shop)
    found = scale.match_hits(shop.search("query.jpg"), min_match="fair")
    print(found.hits, found.matches, found.nothing)

A cosine of 0.6 is high among images of anything and low among shoes on white. So a sample of the
collection measures two things: how similar two of its images are by chance, and how similar an
image is to its nearest neighbour. Exact duplicates and images of one group are excluded from both,
because they only show how similar a product is to itself.

======  ==========================================================================================
weak    from the score that the best of n unrelated images is expected to reach by chance. At most
        the score that 19 of 20 sampled items reach with their nearest neighbour, because if all
        images are of one kind, two random images are no measure of chance
fair    from halfway between weak and strong
strong  from the score that half of the sampled items reach with their nearest neighbour; at least
        three tenths of the way from weak to 1, because if nothing has a similar image, the nearest
        neighbours are as far away as chance
======  ==========================================================================================

Chance is a normal distribution through the median and the lower quartile of random pairs: their
upper half contains pairs that are truly similar and would count similarity as chance.
"""

from lookalike.analysis.calibration.measurement import (
    SAMPLE,
    compute_thresholds,
    estimate_chance,
)
from lookalike.analysis.calibration.scale import (
    FIXED,
    Calibration,
    Level,
    Match,
    MatchedHits,
    Spread,
    Values,
)
from lookalike.analysis.calibration.stored_scale import (
    calibrate,
    choose_scale,
    get_calibration,
    holds,
    load_calibration,
)

__all__ = [
    "FIXED",
    "SAMPLE",
    "Calibration",
    "Level",
    "Match",
    "MatchedHits",
    "Spread",
    "Values",
    "calibrate",
    "choose_scale",
    "compute_thresholds",
    "estimate_chance",
    "get_calibration",
    "holds",
    "load_calibration",
]
