"""What is wrong with the records of a data set, for a configuration."""

import collections

import cv2
import numpy as np
import tensorflow.compat.v1 as tf

from utils import object_sizes

# level: ERROR (training stops or learns something wrong), WARNING (probably a
# mistake) or NOTE. check: its name. where: 'file: record 3, image/source_id 7'.
# detail: str.
Finding = collections.namedtuple('Finding', 'level check where detail')

ERROR, WARNING, NOTE = 'error', 'warning', 'note'

_OUTSIDE = 1e-3     # of the picture; rounding of converters stays below
_IN_PIXELS = 2.     # coordinates above it are no fractions of a picture
_MASK_BORDER = 3.   # pixels by which a box may miss its mask
_SIDES = ('ymin', 'xmin', 'ymax', 'xmax')


class DataChecker:
  """Takes one record after the other; keeps counts, not records."""

  def __init__(self, num_classes, max_num_instances=None, needs_masks=False,
               anchor_sizes=None, output_size=None, match_threshold=0.5,
               decode=True):
    """Takes what the configuration says.

    Args:
      num_classes: int, background included.
      max_num_instances: int, objects that labels hold; None: no limit.
      needs_masks: whether the model learns from masks.
      anchor_sizes: float [N, 2], heights and widths of the anchors, pixels of
        the network input; None leaves this out.
      output_size: (height, width), ints, that pictures are fitted into.
      match_threshold: float, smallest IoU of an anchor that learns an object.
      decode: whether to decode pictures and masks, which takes most time.
    """
    self._num_classes = num_classes
    self._max_num_instances = max_num_instances
    self._needs_masks = needs_masks
    self._anchor_sizes = anchor_sizes
    self._output_size = output_size
    self._match_threshold = match_threshold
    self._decode = decode
    self._first_of_id = {}
    self.findings = []
    self.num_records = self.num_without_objects = self.num_crowds = 0
    self.class_counts = collections.Counter()
    self.size_counts = collections.Counter()
    self.object_counts = collections.Counter()  # {objects of a picture: count}
    self.anchor_ious = []

  def _add(self, level, check, where, detail):
    self.findings.append(Finding(level, check, where, detail))

  def check(self, path, number, serialized):
    """Checks one record.

    Args:
      path: of its file.
      number: int, in the file, from 0.
      serialized: bytes.
    """
    self.num_records += 1
    where = '%s: record %d' % (path, number)
    try:
      features = tf.train.Example.FromString(serialized).features.feature
    except Exception:  # pylint: disable=broad-except
      # The type depends on the implementation of protobuf.
      self._add(ERROR, 'no_example', where, 'It is no tf.train.Example.')
      return
    where = self._check_id(features, where)
    size = self._check_picture(features, where)
    objects = self._check_lists(features, where)
    if objects is None:
      return
    classes, boxes, crowds, masks, areas = objects
    self._count(classes, crowds, where)
    self._count_sizes(areas, boxes, crowds, size)
    self._check_classes(classes, where)
    for i, box in enumerate(boxes):
      self._check_box(box, '%s, object %d' % (where, i), size)
    if size and self._anchor_sizes is not None:
      self._match(boxes[~crowds], size)
    self._check_masks(masks, boxes, size, where)

  def _check_id(self, features, where):
    """`where` with the id of the picture."""
    source_id = _bytes(features, 'image/source_id')
    if not source_id:
      self._add(NOTE, 'no_id', where,
                'It has no image/source_id; one is made of its bytes.')
      return where
    name = source_id.decode('utf-8', 'replace')
    where += ', image/source_id %s' % name
    first = self._first_of_id.setdefault(source_id, where)
    if first is not where:
      self._add(ERROR, 'duplicate_id', where,
                'The id is that of %s, too: evaluation cannot tell the '
                'pictures apart.' % first)
    return where

  def _check_picture(self, features, where):
    """(height, width), or None if it cannot be known."""
    encoded = _bytes(features, 'image/encoded')
    stored = [features['image/' + side].int64_list.value
              for side in ('height', 'width')]
    stored = tuple(int(s[0]) for s in stored) if all(stored) else None
    if not encoded:
      self._add(ERROR, 'undecodable_image', where, 'It has no image/encoded.')
      return stored
    if not self._decode:
      return stored
    image = cv2.imdecode(np.frombuffer(encoded, np.uint8),
                         cv2.IMREAD_REDUCED_GRAYSCALE_8)
    if image is None:
      self._add(ERROR, 'undecodable_image', where,
                'image/encoded (%d bytes) is no picture.' % len(encoded))
      return stored
    # A reduced picture is rounded to whole pixels, up or down.
    if stored and np.any(np.abs(np.array(image.shape) * 8. - stored) > 8):
      self._add(ERROR, 'wrong_size', where, 'image/height and image/width are '
                '%d x %d, but the picture has about %d x %d.' % (
                    stored + tuple(8 * s for s in image.shape)))
    return stored or tuple(8 * s for s in image.shape)

  def _check_lists(self, features, where):
    """(classes [K], boxes [K, 4], is crowd [K], masks, areas), or None."""
    classes = np.array(
        features['image/object/class/label'].int64_list.value, np.int64)
    sides = [features['image/object/bbox/' + side].float_list.value
             for side in _SIDES]
    lengths = [len(side) for side in sides]
    crowds = features['image/object/is_crowd'].int64_list.value
    masks = features['image/object/mask'].bytes_list.value
    areas = features['image/object/area'].float_list.value
    if set(lengths) != {len(classes)} or len(crowds) not in (0, len(classes)):
      self._add(ERROR, 'list_lengths', where,
                'It has %d class ids, %s coordinates (%s) and %d is_crowd.' % (
                    len(classes), ', '.join(map(str, lengths)),
                    ', '.join(_SIDES), len(crowds)))
      return None
    if len(areas) not in (0, len(classes)):
      # Training does without areas.
      self._add(ERROR, 'area_length', where, 'It has %d class ids and %d area: '
                'an evaluation cannot tell which is whose.' % (
                    len(classes), len(areas)))
      areas = []
    crowds = np.array(crowds or [0] * len(classes), bool)
    boxes = np.array(sides, np.float64).T.reshape(-1, 4)
    return classes, boxes, crowds, masks, np.array(areas, np.float64)

  def _count(self, classes, crowds, where):
    num_objects = len(classes)
    self.object_counts[num_objects] += 1
    self.class_counts.update(classes.tolist())
    self.num_crowds += int(crowds.sum())
    if not num_objects:
      self.num_without_objects += 1
    limit = self._max_num_instances
    if limit is not None and num_objects > limit:
      self._add(ERROR, 'too_many_objects', where,
                'It has %d objects, max_num_instances is %d.' % (
                    num_objects, limit))

  def _count_sizes(self, areas, boxes, crowds, size):
    """By the areas that the evaluation takes: stored ones, else of boxes."""
    if not len(areas):
      sides = (boxes[:, 2:] - boxes[:, :2]) * (size or (np.nan, np.nan))
      areas = np.prod(sides, axis=1)
    self.size_counts.update(object_sizes.count(areas[~crowds]))

  def _check_classes(self, classes, where):
    for class_id in sorted(set(classes.tolist())):
      if class_id == 0:
        self._add(ERROR, 'class_0', where, 'An object is of class 0, which is '
                  'the background: count classes from 1.')
      elif not 0 < class_id < self._num_classes:
        self._add(ERROR, 'class_range', where,
                  'An object is of class %d; architecture.num_classes is %d, '
                  'so classes are 1 to %d.' % (
                      class_id, self._num_classes, self._num_classes - 1))

  def _check_box(self, box, where, size):
    text = 'The box is [%s] (%s).' % (
        ', '.join('%.4g' % v for v in box), ', '.join(_SIDES))
    if not np.all(np.isfinite(box)):
      self._add(ERROR, 'box_not_finite', where, text)
      return
    y0, x0, y1, x1 = box
    if box.max() > _IN_PIXELS:
      self._add(ERROR, 'box_in_pixels', where,
                text + ' Coordinates are fractions of the picture, 0 to 1.')
    elif y0 > y1 or x0 > x1:
      self._add(ERROR, 'box_inverted', where, text)
    elif y0 == y1 or x0 == x1:
      self._add(WARNING, 'box_without_area', where,
                text + ' Training leaves the object out.')
    elif box.min() < -_OUTSIDE or box.max() > 1. + _OUTSIDE:
      level = ERROR if min(y1, x1) <= 0 or max(y0, x0) >= 1 else WARNING
      self._add(level, 'box_outside', where, text)

  def _match(self, boxes, size):
    """Notes the IoU of each box with the best anchor, both at one place."""
    scale = min(out / float(side) for out, side in zip(self._output_size, size))
    sides = (boxes[:, 2:] - boxes[:, :2]) * size * scale
    sides = np.where(np.isfinite(sides), sides, 0.)
    sides = sides[np.all(sides > 0, axis=1)][:, np.newaxis]
    inter = np.prod(np.minimum(sides, self._anchor_sizes), axis=-1)
    union = (np.prod(sides, axis=-1) + np.prod(self._anchor_sizes, axis=-1)
             - inter)
    if len(sides):
      self.anchor_ious.extend((inter / union).max(axis=1).tolist())

  def _check_masks(self, masks, boxes, size, where):
    if self._needs_masks and (len(masks) != len(boxes) or not all(masks)):
      self._add(ERROR, 'missing_masks', where,
                'It has %d objects and %d masks (image/object/mask).' % (
                    len(boxes), sum(map(bool, masks))))
    if not self._decode or len(masks) != len(boxes):
      return
    for i, (png, box) in enumerate(zip(masks, boxes)):
      if png:
        self._check_mask(png, box, size, '%s, object %d' % (where, i))

  def _check_mask(self, png, box, size, where):
    mask = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE)
    if mask is None:
      self._add(ERROR, 'undecodable_mask', where, 'The mask is no PNG.')
      return
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
      self._add(WARNING, 'empty_mask', where, 'The mask has no pixel inside.')
      return
    if min(len(rows), len(columns)) == 1:
      self._add(WARNING, 'mask_is_a_line', where,
                'The mask is one pixel wide, as that of a polygon of two '
                'points.')
    around = np.array([rows[0], columns[0], rows[-1] + 1, columns[-1] + 1],
                      np.float64)
    pixels = box * (mask.shape * 2)
    if np.abs(pixels - around).max() <= _MASK_BORDER:
      return
    swapped = box[[1, 0, 3, 2]] * (mask.shape * 2)
    if np.abs(swapped - around).max() <= _MASK_BORDER:
      self._add(ERROR, 'box_swapped', where,
                'x and y of the box are exchanged: so it fits its mask.')
    else:
      self._add(WARNING, 'box_without_its_mask', where,
                'The box is not that of its mask: %s, %s pixels.' % (
                    np.round(pixels).tolist(), around.tolist()))

  def finish(self):
    """Adds what only all records together show.

    Returns:
      [Finding], the worst first.
    """
    everything = 'all records'
    if not self.class_counts:
      self._add(ERROR, 'no_objects', everything, 'No record has an object.')
    else:
      missing = [i for i in range(1, self._num_classes)
                 if i not in self.class_counts]
      if missing:
        self._add(NOTE, 'class_gaps', everything,
                  '%d of %d classes have no object: %s%s.' % (
                      len(missing), self._num_classes - 1,
                      ', '.join(map(str, missing[:20])),
                      ' ...' if len(missing) > 20 else ''))
    if self.num_without_objects:
      self._add(NOTE, 'images_without_objects', everything,
                '%d of %d pictures have no object.' % (
                    self.num_without_objects, self.num_records))
    share = self.share_without_anchor()
    if share > .1:
      self._add(WARNING, 'no_anchor_fits', everything,
                'For %.0f %% of the objects the best anchor has an IoU below '
                '%g: change anchor.anchor_size, anchor.num_scales, '
                'anchor.aspect_ratios, the levels or output_size.' % (
                    100 * share, self._match_threshold))
    order = {ERROR: 0, WARNING: 1, NOTE: 2}
    self.findings.sort(key=lambda f: (order[f.level], f.check))
    return self.findings

  def share_without_anchor(self):
    """Share of the objects that no anchor fits, 0..1."""
    if not self.anchor_ious:
      return 0.
    return float(np.mean(np.array(self.anchor_ious) < self._match_threshold))


def _bytes(features, key):
  """The first bytes of a feature; empty when there are none."""
  values = features[key].bytes_list.value
  return values[0] if values else b''


def for_config(config, decode=True):
  """The DataChecker of an experiment with boxes.

  Args:
    config: experiment with a parser of boxes.
    decode: see DataChecker.
  """
  architecture = config.architecture
  section = getattr(config, architecture.parser)
  return DataChecker(
      architecture.num_classes, section.max_num_instances,
      getattr(architecture, 'include_mask', False),
      _anchor_sizes(config), section.output_size,
      # Of the RPN, whose own threshold is met by moving anchors, not here.
      getattr(section, 'match_threshold', 0.5), decode)


def _anchor_sizes(config):
  """float [N, 2]: heights and widths of the anchors of all levels, pixels."""
  anchor, architecture = config.anchor, config.architecture
  sizes = []
  for level in range(architecture.min_level, architecture.max_level + 1):
    for scale in range(anchor.num_scales):
      side = anchor.anchor_size * 2. ** (level + scale / anchor.num_scales)
      for ratio in anchor.aspect_ratios:
        sizes.append((side / ratio ** .5, side * ratio ** .5))
  return np.array(sizes)
