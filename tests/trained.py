"""What takes seconds to make and several test modules use: made once, and only read."""

import functools

from bigmodel_lib.data.digits import LabelledImages, load_digits
from bigmodel_lib.metrics import train_digit_classifier
from bigmodel_lib.models.cnn import DigitCNN


@functools.cache
def digits(split: str) -> LabelledImages:
    """The embedded digits."""
    return load_digits("digits", split)


@functools.cache
def classifier() -> DigitCNN:
    """The classifier that judges generators, trained here and never read from a cache."""
    return train_digit_classifier(digits("train"))
