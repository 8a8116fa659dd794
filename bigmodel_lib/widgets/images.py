"""The images that labs train on, or a red control."""

import functools

from bigmodel_lib.data.digits import LabelledImages, load_digits
from bigmodel_lib.data.download import DownloadError
from bigmodel_lib.widgets.base import RefusedError


@functools.lru_cache
def images_for(control: str, source: str, split: str = "train") -> LabelledImages:
    """Images of a source, kept for the next time.

    Args:
        control: which asked for them.
        source, split: of `load_digits`.

    Raises:
        RefusedError: they are neither here nor to be had.
    """
    try:
        return load_digits(source, split)
    except DownloadError as error:
        raise RefusedError(control, str(error)) from error
