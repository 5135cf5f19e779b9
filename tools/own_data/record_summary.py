"""What the records of a data set hold, in figures that settings depend on."""

import collections
import io
import typing

import numpy as np
from PIL import Image

from dataloader import examples
from dataloader import file_patterns
from dataloader import image_checks
from dataloader import record_files

DETECTION, CLASSIFICATION, SEGMENTATION = (
    'detection', 'classification', 'segmentation')
# A feature that every record of the kind has.
_KEYS = (('image/segmentation/class/encoded', SEGMENTATION),
         ('image/class/label', CLASSIFICATION))
_SIDES = ('ymin', 'xmin', 'ymax', 'xmax')


class Summary(typing.NamedTuple):
  """Figures of a set.

  Attributes:
    kind: DETECTION, CLASSIFICATION or SEGMENTATION.
    image_sizes: float64 [N, 2], heights and widths of the images.
    shares: float64 [K, 2], heights and widths of the objects that are learnt,
      as shares of their images.
    images: int64 [K], rows of `image_sizes`.
    highest_class: int; 0 without objects.
    most_objects: int, in one image.
    has_masks: whether there are objects, all of them with a mask.
  """
  kind: str
  image_sizes: np.ndarray
  shares: np.ndarray
  images: np.ndarray
  highest_class: int
  most_objects: int
  has_masks: bool

  @property
  def num_images(self) -> int:
    return len(self.image_sizes)


def read(pattern: str, key: str) -> Summary:
  """Reads all records of a set.

  Args:
    pattern: pattern of the files.
    key: the flag or key of the pattern, for the error.

  Returns:
    Summary.

  Raises:
    ValueError: naming the file, and the record, that cannot be used.
  """
  kinds, sizes, shares, images = collections.Counter(), [], [], []
  highest = most = num_objects = num_masks = 0
  for path, number, serialized in record_files.iterate(
      file_patterns.expand(pattern, key)):
    try:
      features = examples.features_of(serialized)
    except examples.ExampleError as e:
      raise ValueError('%s: record %d %s' % (path, number, e))
    kind = _kind(features)
    kinds[kind] += 1
    classes, boxes, masks = _labels(features, kind)
    shares.append(boxes)
    images += [len(sizes)] * len(boxes)
    sizes.append(_size(features))
    highest = max([highest] + classes)
    most = max(most, len(classes))
    num_objects += len(classes)
    num_masks += masks
  if len(kinds) != 1:
    raise ValueError('%s: the records are of %s.' % (
        pattern, ' and '.join(sorted(kinds)) or 'nothing: there is none'))
  return Summary(
      next(iter(kinds)), np.array(sizes, np.float64).reshape([-1, 2]),
      np.concatenate(shares), np.array(images, np.int64), highest, most,
      0 < num_objects == num_masks)


def _kind(features):
  return next((kind for key, kind in _KEYS if key in features), DETECTION)


def _size(features):
  """(height, width) as stated, else of the image."""
  size = image_checks.stored_size(features)
  if size:
    return size
  encoded = features['image/encoded'].bytes_list.value[0]
  return Image.open(io.BytesIO(encoded)).size[::-1]


def _labels(features, kind):
  """[class id], float64 [K, 2] shares of boxes that are learnt, masks."""
  empty = np.zeros([0, 2])
  if kind == CLASSIFICATION:
    return list(features['image/class/label'].int64_list.value), empty, 0
  if kind == SEGMENTATION:
    encoded = features[_KEYS[0][0]].bytes_list.value[0]
    classes = np.unique(np.array(Image.open(io.BytesIO(encoded))))
    return [int(i) for i in classes if i != 255], empty, 0
  classes = list(features['image/object/class/label'].int64_list.value)
  boxes = np.array([features['image/object/bbox/' + side].float_list.value
                    for side in _SIDES], np.float64).T.reshape([-1, 4])
  crowds = features['image/object/is_crowd'].int64_list.value
  if len(crowds) == len(boxes):
    boxes = boxes[~np.array(crowds, bool)]
  shares = boxes[:, 2:] - boxes[:, :2]
  masks = sum(map(bool, features['image/object/mask'].bytes_list.value))
  return classes, shares[np.all(shares > 0, axis=1)], masks
