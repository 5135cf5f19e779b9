"""Masks of objects that are drawn in image files."""

from typing import Any, Iterator, List, Sequence, Tuple, Union

import cv2
import numpy as np

from tools.datasets import label_images

_NOISE = 64        # below it, values of many kinds are no mask
_SPECKS = 100      # objects of one file, half of them ...
_SPECK_PIXELS = 4  # ... not above this, are traces of a lossy format
_FEW_SPECKS = 8    # from here on they are doubtful

_LOSSY = ('mask with values in between (lossy or smoothed): inside is what '
          'exceeds half of the largest')
_FAINT = 'mask of faint noise only: taken for an empty one'
_SPECKLED = ('half of its numbers or colours have %d pixels or fewer: was the '
             'file saved as JPEG or resized?' % _SPECK_PIXELS)
_COLOURED = 'colours: one object for each, on black'


class ObjectError(ValueError):
  """A file that cannot be used, with its name and the reason."""


def masks(
    paths: Union[str, Sequence[str]]
) -> Iterator[Tuple[Any, np.ndarray, List[str]]]:
  """Yields the objects of an image, one after the other.

  Args:
    paths: path of a file whose pixels are the numbers or the colours of
      objects, 0 or black in the background; or [path] of files that have an
      object each, which is what is not black.

  Yields:
    path, bool [h, w], [note for people]. The first file is yielded without an
    object, too.

  Raises:
    ObjectError: if a file cannot be read, or was saved in a lossy format.
  """
  if isinstance(paths, str):
    numbers, notes = _numbers(paths)
    # The background comes first, as a mask of nothing.
    for value in [-1] + np.unique(numbers[numbers != 0]).tolist():
      yield paths, numbers == value, notes
      notes = []
    return
  for path in paths:
    values = _channels(_load(path))
    if values.ndim == 3:
      values = values.max(axis=-1)
    mask, notes = _inside(values)
    yield path, mask, notes


def _numbers(path):
  """(int32 [h, w], [note]) of a file of numbers or colours."""
  image = _load(path)
  if image.format == 'JPEG':
    raise ObjectError(
        '%s is a JPEG, which changes numbers: save the label image as '
        'PNG from the source.' % path)
  numbers, notes = _channels(image), []
  if numbers.ndim == 3:
    if np.any(numbers[..., :1] != numbers):
      notes.append(_COLOURED)
    # As in COCO's panoptic images; of gray the order is the same.
    numbers = numbers.dot([1, 256, 256 ** 2])
  values, counts = np.unique(numbers[numbers != 0], return_counts=True)
  are_specks = len(values) and np.median(counts) <= _SPECK_PIXELS
  if are_specks and len(values) > _FEW_SPECKS:
    notes.append(_SPECKLED)
  if are_specks and len(values) > _SPECKS:
    raise ObjectError(
        '%s has %d different numbers or colours, most of them of a few pixels. '
        'Was it saved as JPEG, or resized with interpolation? Every object '
        'needs one number.' % (path, len(values)))
  return numbers, notes


def _inside(values):
  """(bool [h, w], [note]) of the values of a mask."""
  largest = values.max()
  if np.all((values == 0) | (values == largest)):
    return values > 0, []
  if largest < _NOISE:
    return np.zeros(values.shape, bool), [_FAINT]
  return values > largest / 2., [_LOSSY]


def regions(mask: np.ndarray) -> List[np.ndarray]:
  """The connected regions of a mask, [bool [h, w]]; corners connect."""
  count, numbers = cv2.connectedComponents(mask.astype(np.uint8))
  return [numbers == i for i in range(1, count)]


def _load(path):
  try:
    return label_images.load(path)
  except (label_images.LabelError, OSError) as e:
    raise ObjectError('The mask %s cannot be read (%s).' % (path, e))


def _channels(image):
  """int32 [h, w], the numbers of a file, or [h, w, 3], its colours."""
  if image.mode in label_images.NUMBERS:
    return np.asarray(image).astype(np.int32)
  return np.asarray(image.convert('RGB')).astype(np.int32)
