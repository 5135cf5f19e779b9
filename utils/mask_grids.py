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

from typing import Any, NamedTuple

import numpy as np

# Values of the keys `mask_crop_grid`.
CELLS_NAME, CORNERS_NAME = 'cells', 'corners'

# Pixels: places on a border count as inside however they were rounded.
_TOLERANCE = 1e-4


class Axes(NamedTuple):
  """The pixels of N boxes along one axis.

  Attributes:
    firsts: int64 [N], the first pixel of each box that lies in the image.
    counts: int64 [N], how many there are, 0 or more.
    steps: float64 [N], samples from one pixel to the next.
    offsets: float64 [N], the sample of pixel 0 of the image.
  """
  firsts: np.ndarray
  counts: np.ndarray
  steps: np.ndarray
  offsets: np.ndarray

  def part(self, boxes: slice) -> 'Axes':
    """Those of some boxes."""
    return Axes(*(values[boxes] for values in self))

  def positions(self) -> np.ndarray:
    """float64 [sum of counts]: all pixels in samples; 0 is the first sample."""
    starts = np.cumsum(self.counts) - self.counts
    pixels = np.arange(self.counts.sum()) + np.repeat(
        self.firsts - starts, self.counts)
    return (pixels * np.repeat(self.steps, self.counts)
            + np.repeat(self.offsets, self.counts))


class MaskGrid(NamedTuple):
  """How masks were sampled.

  Attributes:
    name: 'cells', 'corners' or 'legacy'.
    crop_size: int, C, of 'corners': samples of the crop that the masks were
      cut out of as cells; 0: they are the crop itself.
  """
  name: str
  crop_size: int

  def axes(self, starts: np.ndarray, stops: np.ndarray, num_pixels: int,
           num_samples: int) -> Axes:
    """The pixels of boxes along one axis.

    Args:
      starts: float64 [N], where the boxes begin, pixels of the image.
      stops: float64 [N], where they end.
      num_pixels: int, P, of the image.
      num_samples: int, S, of the masks.

    Returns:
      Axes: of each box all pixels whose place is within it; of a box between
      two of them the one that its middle lies in.
    """
    stretch, shift = self._pixel_places(num_pixels)
    scale, offset = self._samples(num_samples)
    firsts = np.ceil((starts - shift - _TOLERANCE) / stretch)
    lasts = np.floor((stops - shift + _TOLERANCE) / stretch)
    between = firsts > lasts
    middles = np.floor((starts + stops) / 2.)
    firsts = np.where(between, middles, firsts).clip(0, num_pixels)
    lasts = np.where(between, middles, lasts).clip(-1, num_pixels - 1)
    scales = scale / np.where(
        between, 1., np.maximum(stops - starts, _TOLERANCE))
    return Axes(
        firsts.astype(np.int64),
        np.maximum(lasts - firsts + 1, 0).astype(np.int64),
        np.where(between, 0., stretch) * scales,
        np.where(between, .5, shift - starts) * scales + offset)

  def mirrored_place(self, num_samples: int) -> float:
    """Where the first sample of a mirrored mask lies in the mask, in samples.

    Sample j lies at this place - j.

    Args:
      num_samples: int, S, of the masks.
    """
    scale, offset = self._samples(num_samples)
    return scale + 2. * offset

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


def of_parser(section: Any, is_shapemask: bool) -> MaskGrid:
  """How the masks of a model lie that learns from the labels of a parser.

  Args:
    section: YAML section of the parser.
    is_shapemask: whether the crop itself is the target; other models cut
      theirs out of it.

  Returns:
    MaskGrid; CELLS for a parser without masks.
  """
  if getattr(section, 'mask_crop_grid', '') != CORNERS_NAME:
    return CELLS
  return corners(0 if is_shapemask else section.mask_crop_size)
