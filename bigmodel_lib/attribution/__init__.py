"""Which pixels does an answer depend on, and may one believe the map that says so?"""

from bigmodel_lib.attribution.deletion import deletion_curve
from bigmodel_lib.attribution.methods import (
    METHODS,
    Method,
    OnInk,
    attribute,
    fits,
    patch_numbers,
    to_ink,
)
from bigmodel_lib.attribution.sanity import cascade, rank_correlation, structural_similarity

__all__ = [
    "METHODS",
    "Method",
    "OnInk",
    "attribute",
    "cascade",
    "deletion_curve",
    "fits",
    "patch_numbers",
    "rank_correlation",
    "structural_similarity",
    "to_ink",
]
