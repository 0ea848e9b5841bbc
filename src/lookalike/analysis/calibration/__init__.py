"""What a score means in a collection: from which cosine on a match is strong, fair or weak.

    from lookalike.analysis import calibration

    scale = calibration.get_calibration(shop)
    found = scale.match_hits(shop.search("query.jpg"), min_match="fair")
    print(found.hits, found.matches, found.nothing)

A cosine of 0.6 is high among images of anything and low among shoes on white. So a sample
of the collection says two things: how alike two of its images are by chance, and how alike a
image is to its nearest. Exact duplicates and images of one group are passed over in both: they say
how alike a product is to itself.

======  ==========================================================================================
weak    from what the best of all items reaches by chance: of n unrelated images, the score that
        one is expected to pass. Never more than 19 of 20 sampled items reach with their nearest,
        for where everything is of one kind two images at random are no measure of chance
fair    from halfway between weak and strong
strong  from what half of the sampled items reach with their nearest; at least three tenths of the
        way from weak to 1, for where nothing has a look-alike the nearest is as far as chance
======  ==========================================================================================

Chance is a normal distribution through the median and the lower quartile of random pairs: their
upper half holds pairs that are truly alike, and would count likeness as chance.
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
