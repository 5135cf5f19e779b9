"""Which places of an image the samples of a mask stand for.

A mask of a box is S x S samples. Where they were taken decides where they
belong: pasting is the exact inverse of the crop that the model was trained on.
Everything is along one axis, in continuous coordinates: pixel p of an image
reaches from p to p + 1.

Of a box from `start` to `stop`, the fraction u of a place is (place - start) /
(stop - start).

* `CELLS`: the samples are S cells that tile the box. Sample j lies at u =
  (j + 1/2) / S, pixel p at p + 1/2.
* `CornerGrid`: tf.image.crop_and_resize, as upstream. The first and the last
  sample lie on the borders, sample i at u = i / (C - 1); and the first and the
  last pixel lie on the borders of the image, pixel p of P at p * P / (P - 1).
  Mask R-CNN cuts its targets out of such a crop of C x C, taking that for
  cells: sample j of the target reads sample (j + 1/2) * C / S.
* `LEGACY`: upstream's paste, which is the inverse of neither.
"""

import math
from typing import NamedTuple

import numpy as np

# Values of the keys `mask_crop_grid`.
CELLS_NAME, CORNERS_NAME = 'cells', 'corners'

# Pixels: places on a border count as inside however they were rounded.
_TOLERANCE = 1e-4


class Axis(NamedTuple):
  """The pixels of a box along one axis.

  Attributes:
    first: the first pixel of the box that lies in the image.
    positions: float64 [L], of this and the following pixels, in samples: 0 is
      the first sample.
  """
  first: int
  positions: np.ndarray


class MaskGrid(NamedTuple):
  """How masks were sampled.

  Attributes:
    name: 'cells', 'corners' or 'legacy'.
    crop_size: int, C, of 'corners': samples of the crop that the masks were
      cut out of as cells; 0: they are the crop itself.
  """
  name: str
  crop_size: int

  def axis(self, start: float, stop: float, num_pixels: int,
           num_samples: int) -> Axis:
    """The pixels of a box along one axis.

    Args:
      start: float, where the box begins, pixels of the image.
      stop: float, where it ends.
      num_pixels: int, P, of the image.
      num_samples: int, S, of the mask.

    Returns:
      Axis: all pixels whose place is within the box; of a box between two of
      them the one that its middle lies in.
    """
    stretch, shift = self._pixel_places(num_pixels)
    scale, offset = self._samples(num_samples)
    first = math.ceil((start - shift - _TOLERANCE) / stretch)
    last = math.floor((stop - shift + _TOLERANCE) / stretch)
    if first > last:
      first = last = math.floor((start + stop) / 2.)
      stretch, shift, start, stop = 0., .5, 0., 1.
    first, last = max(first, 0), min(last, num_pixels - 1)
    scale /= max(stop - start, _TOLERANCE)
    positions = np.arange(first, last + 1) * (stretch * scale)
    positions += (shift - start) * scale + offset
    return Axis(first, positions)

  def _pixel_places(self, num_pixels):
    """(stretch, shift): pixel p lies at p * stretch + shift."""
    if self.name == CORNERS_NAME and num_pixels > 1:
      return num_pixels / (num_pixels - 1.), 0.
    return 1., .5

  def _samples(self, num_samples):
    """(scale, offset): a fraction u of the box is sample u * scale + offset."""
    if self.name == CELLS_NAME:
      return num_samples, -.5
    if not self.crop_size:
      return num_samples - 1., 0.
    return num_samples * (self.crop_size - 1.) / self.crop_size, -.5


CELLS = MaskGrid(CELLS_NAME, 0)
LEGACY = MaskGrid('legacy', 0)


def corners(crop_size: int = 0) -> MaskGrid:
  """The MaskGrid of upstream's crop; see `MaskGrid`."""
  return MaskGrid(CORNERS_NAME, crop_size)
