"""Finds what is wrong with the records of a data set for a configuration."""

import collections

import numpy as np

from dataloader import image_checks
from dataloader import label_checks
from dataloader import record_checker
from ops import anchors as anchor_ops
from utils import object_sizes

Finding = record_checker.Finding
ERROR, WARNING, NOTE = (record_checker.ERROR, record_checker.WARNING,
                        record_checker.NOTE)

TOO_LARGE = label_checks.TOO_LARGE
TOO_MANY, TOO_MANY_TO_LEARN = 'too_many_objects', 'too_many_to_learn'

_OUTSIDE = 1e-3     # of the image; rounding of converters stays below
_IN_PIXELS = 2.     # coordinates above it are not fractions of an image
_MANY_CROWDS = .5   # share of the objects; in COCO it is below 0.02
_SIDES = ('ymin', 'xmin', 'ymax', 'xmax')


class DataChecker(record_checker.RecordChecker):
  """Checks objects: classes, boxes, masks, and anchors that fit them."""

  def __init__(self, num_classes, max_num_instances=None, needs_masks=False,
               anchor_sizes=None, output_size=None, match_threshold=0.5,
               decode=True, trains_on_crowds=False, learns_all=False,
               has_one_class=False):
    """Takes the settings.

    Args:
      num_classes: int, background included.
      max_num_instances: int, how many objects labels hold; None: no limit.
      needs_masks: whether the model learns from masks.
      anchor_sizes: float [N, 2], heights and widths of the anchors, pixels of
        the network input; None: they are not checked.
      output_size: (height, width), ints, that images are fitted into.
      match_threshold: float, smallest IoU of an anchor that learns an object.
      decode: whether to decode images and masks, which takes most time.
      trains_on_crowds: whether crowds are objects like the others.
      learns_all: whether training stops at images of more than
        `max_num_instances` objects, as evaluation does.
      has_one_class: whether all objects count as one class.
    """
    super().__init__(num_classes, decode)
    self._trains_on_crowds = trains_on_crowds
    self._learns_all = learns_all
    self._has_one_class = has_one_class
    self._max_num_instances = max_num_instances
    self._needs_masks = needs_masks
    self._anchor_sizes = anchor_sizes
    self._output_size = output_size
    self._match_threshold = match_threshold
    self._num_usable = 0  # objects that training learns from
    self.anchor_ious = []

  def _check_labels(self, features, size, where):
    objects = self._check_lists(features, where)
    if objects is None:
      return None
    classes, boxes, crowds, masks, areas = objects
    self._count(classes, boxes, crowds, where)
    self._count_sizes(areas, boxes, crowds, size)
    self._check_classes(classes, where)
    for i, box in enumerate(boxes):
      self._check_box(box, '%s, object %d' % (where, i), size)
    if size and self._anchor_sizes is not None:
      self._match(boxes[~crowds], size, where)
    self._check_masks(masks, boxes, size, where)
    self._check_cut_masks(
        features['image/object/cut_mask'].bytes_list.value, masks, size, where)
    return classes.tolist(), boxes.tolist()

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
      # Training does not use areas.
      self._add(ERROR, 'area_length', where, 'It has %d class ids and %d area: '
                'an evaluation cannot tell which is whose.' % (
                    len(classes), len(areas)))
      areas = []
    crowds = np.array(crowds or [0] * len(classes), bool)
    boxes = np.array(sides, np.float64).T.reshape(-1, 4)
    return classes, boxes, crowds, masks, np.array(areas, np.float64)

  def _count(self, classes, boxes, crowds, where):
    num_objects = len(classes)
    self.object_counts[num_objects] += 1
    self.class_counts.update(classes.tolist())
    self.num_crowds += int(crowds.sum())
    if not num_objects:
      self.num_without_objects += 1
    with np.errstate(invalid='ignore'):  # NaN is found by other checks
      has_area = np.all(boxes[:, 2:] > boxes[:, :2], axis=1)
      is_inside = np.all((boxes[:, 2:] > 0.) & (boxes[:, :2] < 1.), axis=1)
    num_usable = int((has_area & is_inside & (
        ~crowds | self._trains_on_crowds)).sum())
    self._num_usable += num_usable
    counts = collections.Counter(zip(classes.tolist(), map(tuple, boxes)))
    num_repeated = num_objects - len(counts)
    if num_repeated:
      self._add(WARNING, 'duplicate_object', where,
                '%d of %d objects have the class and the box of another one.'
                % (num_repeated, num_objects))
    limit = self._max_num_instances
    if limit is not None and num_objects > limit:
      self._add(ERROR, TOO_MANY_TO_LEARN if (
          self._learns_all and num_usable > limit) else TOO_MANY, where,
                'It has %d objects, max_num_instances is %d.' % (
                    num_objects, limit))

  def _count_sizes(self, areas, boxes, crowds, size):
    """By the areas that the evaluation uses: stored ones, else of boxes."""
    if not len(areas):
      sides = (boxes[:, 2:] - boxes[:, :2]) * (size or (np.nan, np.nan))
      areas = np.prod(sides, axis=1)
    self.size_counts.update(object_sizes.count(areas[~crowds]))

  def _check_classes(self, classes, where):
    if self._has_one_class:
      return
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
                text + ' Coordinates are fractions of the image, 0 to 1.')
    elif y0 > y1 or x0 > x1:
      self._add(ERROR, 'box_inverted', where, text)
    elif y0 == y1 or x0 == x1:
      self._add(WARNING, 'box_without_area', where,
                text + ' Training leaves the object out.')
    elif box.min() < -_OUTSIDE or box.max() > 1. + _OUTSIDE:
      level = ERROR if min(y1, x1) <= 0 or max(y0, x0) >= 1 else WARNING
      self._add(level, 'box_outside', where, text)

  def _match(self, boxes, size, where):
    """Notes the IoU of each box with the best anchor, centres aligned."""
    scale = min(out / float(side) for out, side in zip(self._output_size, size))
    if min(size) * scale < .5:
      self._add(WARNING, 'thin_image', where,
                'It has %d x %d pixels. Fitted into %d x %d, one pixel is left '
                'of a side.' % (tuple(size) + tuple(self._output_size)))
    sides = (boxes[:, 2:] - boxes[:, :2]) * size * scale
    sides = np.where(np.isfinite(sides), sides, 0.)
    sides = sides[np.all(sides > 0, axis=1)]
    self.anchor_ious.extend(best_ious(sides, self._anchor_sizes).tolist())

  def _check_masks(self, masks, boxes, size, where):
    if self._needs_masks and (len(masks) != len(boxes) or not all(masks)):
      self._add(ERROR, 'missing_masks', where,
                'It has %d objects and %d masks (image/object/mask).' % (
                    len(boxes), sum(map(bool, masks))))
    if not self._decode or len(masks) != len(boxes):
      return
    for i, (png, box) in enumerate(zip(masks, boxes)):
      if png:
        for level, check, detail in image_checks.check_mask(png, box, size):
          self._add(level, check, '%s, object %d' % (where, i), detail)

  def _check_cut_masks(self, cut_masks, masks, size, where):
    if cut_masks and len(cut_masks) != len(masks):
      self._add(ERROR, 'cut_masks', where,
                'It has %d masks cut to their objects (image/object/cut_mask) '
                'and %d of the size of the image (image/object/mask): convert '
                'it again.' % (len(cut_masks), len(masks)))
    elif self._decode and size:
      for i, (cut, png) in enumerate(zip(cut_masks, masks)):
        for finding in image_checks.check_cut_mask(cut, png, size):
          self._add(*finding[:2], '%s, object %d' % (where, i), finding[2])

  def _check_all_labels(self):
    everything = record_checker.EVERYTHING
    num_objects = sum(self.class_counts.values())
    if not num_objects:
      self._add(ERROR, 'no_objects', everything, 'No record has an object.')
    else:
      self._missing_classes(first=1)
      self._check_crowds(num_objects)
    if self.num_without_objects:
      self._add(NOTE, 'images_without_objects', everything,
                '%d of %d images have no object.' % (
                    self.num_without_objects, self.num_records))
    share = self.share_without_anchor()
    if share > .1:
      self._add(WARNING, 'no_anchor_fits', everything,
                'For %.0f %% of the objects the best anchor has an IoU below '
                '%g: change anchor.anchor_size, anchor.num_scales, '
                'anchor.aspect_ratios, the levels or output_size.' % (
                    100 * share, self._match_threshold))

  def _check_crowds(self, num_objects):
    """Adds a finding if no object is left that training learns from."""
    all_are = self.num_crowds == num_objects
    if self.num_crowds > _MANY_CROWDS * num_objects:
      self._add(
          ERROR if all_are and not self._trains_on_crowds else WARNING,
          'all_crowds' if all_are else 'many_crowds',
          record_checker.EVERYTHING,
          '%d of %d objects are crowds (image/object/is_crowd), which are '
          'neither trained on nor scored. If they are ordinary objects, set '
          'iscrowd to 0 in the annotations and convert again.' % (
              self.num_crowds, num_objects))
    elif not self._num_usable:
      self._add(ERROR, 'nothing_to_learn', record_checker.EVERYTHING,
                'Not one of %d objects, %d of them crowds, has a box with an '
                'area inside of its image.' % (num_objects, self.num_crowds))

  def share_without_anchor(self):
    """Share of the objects that no anchor fits, 0..1."""
    if not self.anchor_ious:
      return 0.
    return float(np.mean(np.array(self.anchor_ious) < self._match_threshold))


def for_config(config, decode=True):
  """The RecordChecker of an experiment.

  Args:
    config: an experiment.
    decode: see DataChecker.
  """
  architecture = config.architecture
  if not hasattr(config, 'anchor'):
    return label_checks.for_config(config, decode)
  section = getattr(config, architecture.parser)
  return DataChecker(
      architecture.num_classes, section.max_num_instances,
      getattr(architecture, 'include_mask', False),
      anchor_sizes(config.anchor, architecture.min_level,
                   architecture.max_level), section.output_size,
      # The RPN has no such key: anchors reach its own threshold at the right
      # place, which is not looked at here.
      getattr(section, 'match_threshold', 0.5), decode,
      not section.skip_crowd_during_training,
      architecture.parser == 'maskrcnn_parser',
      not getattr(section, 'use_category', True))


def anchor_sizes(anchor, min_level, max_level):
  """Heights and widths of the anchors of all levels.

  Args:
    anchor: section `anchor`.
    min_level: int.
    max_level: int.

  Returns:
    float64 [N, 2], pixels of the network input.
  """
  return anchor_ops.AnchorGenerator(
      min_level, max_level, anchor.num_scales, anchor.aspect_ratios,
      anchor.anchor_size).sizes()


def best_ious(sides, anchors):
  """IoU of each object with the best anchor, their centres aligned.

  Args:
    sides: float [K, 2], heights and widths above 0, pixels of the network
      input.
    anchors: float [N, 2], likewise.

  Returns:
    float64 [K].
  """
  sides = np.reshape(sides, [-1, 1, 2])
  inter = np.prod(np.minimum(sides, anchors), axis=-1)
  union = np.prod(sides, axis=-1) + np.prod(anchors, axis=-1) - inter
  return (inter / union).max(axis=1)
