"""Finds what is wrong with the encoded image and the masks of a record."""

from typing import Any, List, Mapping, Optional, Tuple

import cv2
import numpy as np

from dataloader import decoding
from utils import mask_files
from utils import orientation as orientations

ERROR, WARNING, NOTE = 'error', 'warning', 'note'

_TINY = 2          # pixels of a side; a placeholder rather than an image
_MASK_BORDER = 3.  # pixels by which a box may miss its mask


def stored_size(features: Mapping[str, Any]) -> Optional[Tuple[int, int]]:
  """(height, width) that a record states, ints; None without both."""
  height, width = (features['image/' + side].int64_list.value
                   for side in ('height', 'width'))
  return (int(height[0]), int(width[0])) if height and width else None


def check_image(
    encoded: bytes, stored: Optional[Tuple[int, int]], decode: bool
) -> Tuple[Optional[Tuple[int, int]], List[Tuple[str, str, str]]]:
  """Checks an image as training sees it: decoded by TensorFlow.

  Args:
    encoded: bytes; empty where the record has none.
    stored: (height, width) that the record states, or None.
    decode: whether to decode it, which takes most of the time.

  Returns:
    (height, width), or None if it cannot be known, and [(level, name of the
    check, what is wrong)].
  """
  is_possible = stored is not None and min(stored) > 0
  believed = stored if is_possible else None
  if not encoded:
    return believed, [(ERROR, 'undecodable_image', 'It has no image/encoded.')]
  found = []
  if stored is not None and not is_possible:
    found.append((ERROR, 'wrong_size', 'image/height and image/width are %d x '
                  '%d.' % stored))
  if not decode:
    return believed, found
  try:
    size = decoding.size(encoded)
  except decoding.DecodingError as e:
    return believed, found + [
        (ERROR, 'undecodable_image', 'TensorFlow cannot decode image/encoded '
         '(%d bytes): %s' % (len(encoded), e))]
  if is_possible and size != stored:
    found.append((ERROR, 'wrong_size', 'image/height and image/width are %d x '
                  '%d, but the image has %d x %d.' % (stored + size)))
  if min(size) < _TINY:
    found.append((WARNING, 'tiny_image',
                  'The image has %d x %d pixels.' % size))
  orientation = orientations.of_bytes(encoded)
  if orientation != 1:
    found.append((
        WARNING, 'exif_orientation', 'A camera noted EXIF orientation %d, '
        'which training does not follow: it learns from the image as stored. '
        'Boxes and masks made in a viewer that turns images do not fit. '
        'Convert the images again.' % orientation))
  return size, found


def check_mask(png: bytes, box: np.ndarray,
               size: Optional[Tuple[int, int]]) -> List[Tuple[str, str, str]]:
  """Checks the mask of an object.

  Args:
    png: bytes.
    box: float [4], yxyx, 0..1 of the image.
    size: (height, width) of the image, or None.

  Returns:
    [(level, name of the check, what is wrong)].
  """
  mask = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE)
  if mask is None:
    return [(ERROR, 'undecodable_mask', 'The mask is not a PNG.')]
  if size and mask.shape != tuple(size):
    return [(ERROR, 'mask_size', 'The mask has %d x %d pixels, the image %d x '
             '%d.' % (mask.shape + tuple(size)))]
  rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
  if not len(rows):
    return [(WARNING, 'empty_mask', 'The mask has no pixel inside.')]
  found = []
  if min(len(rows), len(columns)) == 1:
    found.append((WARNING, 'mask_is_a_line', 'The mask is one pixel wide, as '
                  'that of a polygon of two points.'))
  around = np.array([rows[0], columns[0], rows[-1] + 1, columns[-1] + 1],
                    np.float64)
  return found + _check_place(box * (mask.shape * 2),
                              box[[1, 0, 3, 2]] * (mask.shape * 2), around)


def check_cut_mask(cut: bytes, png: bytes,
                   size: Tuple[int, int]) -> List[Tuple[str, str, str]]:
  """Checks that a mask cut to its object is the mask.

  Args:
    cut: bytes, of image/object/cut_mask.
    png: bytes, of image/object/mask.
    size: (height, width) of the image.

  Returns:
    [(level, name of the check, what is wrong)].
  """
  try:
    is_equal = np.array_equal(mask_files.decode(cut, *size) > 0,
                              mask_files.decode(png, *size) > 0)
  except ValueError as e:
    return [(ERROR, 'cut_masks', 'image/object/cut_mask: %s' % e)]
  return [] if is_equal else [
      (ERROR, 'cut_masks', 'The mask cut to its object, which training reads '
       '(image/object/cut_mask), is not that of image/object/mask: convert the '
       'record again.')]


def _check_place(pixels, swapped, around):
  """Compares a box, as it is and with x for y, with that of its mask."""
  if np.abs(pixels - around).max() <= _MASK_BORDER:
    return []
  if np.abs(swapped - around).max() <= _MASK_BORDER:
    return [(ERROR, 'box_swapped',
             'x and y of the box are exchanged: so it fits its mask.')]
  return [(WARNING, 'box_without_its_mask',
           'The box is not that of its mask: %s, %s pixels.' % (
               np.round(pixels).tolist(), around.tolist()))]
