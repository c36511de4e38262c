"""Photographs of all kinds that Python has."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Union

import numpy as np

from ._occlude import ImageError, Source

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image as PillowImage

    #: A path, the contents of a file, an array of `(height, width)` or `(height, width, 3)`, uint8 or
    #: floats from 0 to 1, or a picture of Pillow.
    Image = Union[str, os.PathLike[str], bytes, bytearray, memoryview, NDArray[Any], PillowImage]


def source(image: Image) -> Source:
    if isinstance(image, (str, os.PathLike)):
        path = os.fspath(image)
        # The command reads standard input for "-".
        return Source.file("./-" if path == "-" else path)
    if isinstance(image, (bytes, bytearray, memoryview)):
        return Source.contents(bytes(image))
    pillow = sys.modules.get("PIL.Image")
    if pillow is not None and isinstance(image, pillow.Image):
        image = _of_pillow(image)
    if not hasattr(image, "__array__"):
        kind = type(image).__name__
        raise TypeError(f"image is a {kind}, expected a path, bytes, a NumPy array or a picture of Pillow")
    return _pixels(np.asarray(image))


def _of_pillow(image: PillowImage) -> NDArray[Any]:
    """The pixels of a picture, as of the file that it was read from."""
    from PIL import ImageOps

    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16"):
        return np.asarray(image) / 65535
    if image.mode in ("I", "F"):
        problem = f"image has the mode {image.mode}, whose range is unknown, expected a picture with 8 or 16 bits"
        raise ImageError(f"{problem}; pass an array of floats from 0 to 1")
    return np.asarray(image.convert("RGB"))


def _pixels(array: NDArray[Any]) -> Source:
    if not (array.ndim == 2 or array.ndim == 3 and array.shape[2] == 3) or array.size == 0:
        advice = ""
        if array.ndim == 3 and array.shape[2] == 4:
            advice = "; image[..., :3] drops the transparency"
        elif array.ndim == 3 and array.shape[0] in (1, 3):
            advice = "; numpy.moveaxis(image, 0, -1) puts the channels last"
        expected = "expected (height, width) or (height, width, 3)"
        raise ImageError(f"image has the shape {array.shape}, {expected}{advice}")
    if array.dtype.kind == "f":
        low, high = array.min(), array.max()
        # Also false for NaN.
        if not (low >= 0 and high <= 1):
            advice = "; image / 255 if its levels are 0 to 255" if 1 < high <= 255 else ""
            raise ImageError(f"image has floats from {low} to {high}, expected 0 to 1{advice}")
        # As for files with floats, half a level is rounded up.
        array = np.floor(array.astype(np.float64) * 255 + 0.5).astype(np.uint8)
    elif array.dtype != np.uint8:
        advice = "; image.astype('uint8') if its levels are 0 to 255"
        raise ImageError(f"image has the type {array.dtype}, expected uint8, or floats from 0 to 1{advice}")
    if array.ndim == 2:
        array = np.repeat(array[:, :, np.newaxis], 3, axis=2)
    height, width, _ = array.shape
    return Source.pixels(height, width, array.tobytes())
