"""Pictures of pictures."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes


def mosaic(images, columns: int, gap: int = 2) -> np.ndarray:
    """Images (N, 1, h, w) in rows, with a grey gap of so many pixels round each.

    Returns:
        One picture (rows·(h + gap) + gap, columns·(w + gap) + gap); 0 in the gaps and in the
        places left over.

    Raises:
        ValueError: not grey images, or no column.
    """
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[1] != 1 or columns < 1:
        raise ValueError(
            f"need images (N, 1, h, w) and columns >= 1, got {images.shape} and {columns}"
        )
    count, _, h, w = images.shape
    rows = -(-count // columns)
    framed = np.zeros((rows * columns, h + gap, w + gap), dtype=images.dtype)
    framed[:count, gap:, gap:] = images[:, 0]
    picture = framed.reshape(rows, columns, h + gap, w + gap).swapaxes(1, 2)
    return np.pad(picture.reshape(rows * (h + gap), -1), ((0, gap), (0, gap)))


def image_grid(images, columns: int = 10, *, title: str = "", ax: Axes | None = None) -> Axes:
    """Show images (N, 1, h, w) in [-1, 1] as one grid, white ink on black."""
    ax = plt.gca() if ax is None else ax
    ax.imshow(mosaic(images, columns), cmap="gray", vmin=-1, vmax=1, interpolation="nearest")
    ax.set_title(title)
    ax.set_axis_off()
    return ax
