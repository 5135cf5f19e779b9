"""Finds what is wrong with the labels of classifiers and of segmentation."""

import cv2
import numpy as np

from dataloader import record_checker
from dataloader import segmentation

ERROR, WARNING, NOTE = (record_checker.ERROR, record_checker.WARNING,
                        record_checker.NOTE)

TOO_LARGE = 'larger_than_output_size'
_MANY_IGNORED = .9  # share of the pixels


class ClassChecker(record_checker.RecordChecker):
  """Checks the labels of classification records."""

  UNIT = 'images'

  def _check_labels(self, features, size, where):
    labels = features['image/class/label'].int64_list.value
    label = int(labels[0]) if labels else -1
    if 0 <= label < self._num_classes:
      self.class_counts[label] += 1
    else:
      self._add(ERROR, 'class_range', where,
                'image/class/label is %d (-1: none); architecture.num_classes '
                'is %d, so classes are 0 to %d.' % (
                    label, self._num_classes, self._num_classes - 1))
    return label

  def _check_all_labels(self):
    _check_number_of_classes(self)
    # People who number classes from 1 do not use class 0.
    self._missing_classes(first=1)


class SegmentationChecker(record_checker.RecordChecker):
  """Checks the label maps of segmentation records."""

  UNIT = 'pixels'

  def __init__(self, num_classes, ignore_label, decode=True, most_pixels=None):
    """Takes the settings.

    Label maps are decoded in any case: they are what the model learns.

    Args:
      num_classes: see RecordChecker.
      ignore_label: int, the id of pixels without a class.
      decode: see RecordChecker.
      most_pixels: (height, width) that images have to fit into, which an
        evaluation does not resize; None: they are resized.
    """
    super().__init__(num_classes, decode)
    self._ignore_label = ignore_label
    self._most_pixels = most_pixels
    self.num_ignored = 0
    self.largest_size = (0, 0)  # height and width of the images, pixels

  def _check_labels(self, features, size, where):
    encoded = record_checker.first_bytes(features,
                                         segmentation.CLASSES_KEY)
    if not encoded:
      self._add(ERROR, 'missing_label_map', where,
                'It has no %s.' % segmentation.CLASSES_KEY)
    else:
      self._check_label_map(encoded, size, where)
    return encoded

  def _check_label_map(self, encoded, size, where):
    classes = cv2.imdecode(np.frombuffer(encoded, np.uint8),
                           cv2.IMREAD_GRAYSCALE)
    if classes is None:
      self._add(ERROR, 'undecodable_label_map', where,
                'The label map is not a PNG.')
      return
    self._check_room(classes.shape, where)
    if size and classes.shape != tuple(size):
      self._add(ERROR, 'label_map_size', where,
                'The label map has %d x %d pixels, the image %d x %d.' % (
                    classes.shape + tuple(size)))
    for class_id, count in zip(*np.unique(classes, return_counts=True)):
      if class_id == self._ignore_label:
        self.num_ignored += int(count)
      elif class_id < self._num_classes:
        self.class_counts[int(class_id)] += int(count)
      else:
        self._add(ERROR, 'class_range', where,
                  '%d pixels are of class %d; architecture.num_classes is %d, '
                  'so classes are 0 to %d.' % (
                      count, class_id, self._num_classes,
                      self._num_classes - 1))

  def _check_room(self, size, where):
    self.largest_size = tuple(map(max, self.largest_size, size))
    most = self._most_pixels
    if most and (size[0] > most[0] or size[1] > most[1]):
      self._add(WARNING, TOO_LARGE, where,
                'It has %d x %d pixels (height x width), more than '
                'segmentation_parser.output_size, %d x %d. Training resizes '
                'it, an evaluation without segmentation_parser.resize_eval '
                'does not.' % (tuple(size) + tuple(most)))

  def _check_all_labels(self):
    num_pixels = sum(self.class_counts.values())
    share = self.num_ignored / max(float(self.num_ignored + num_pixels), 1.)
    if self.num_ignored:
      level = (NOTE if share < _MANY_IGNORED else
               WARNING if num_pixels else ERROR)
      self._add(level, 'ignored_pixels', record_checker.EVERYTHING,
                '%.1f %% of the pixels are of no class (%d, '
                'segmentation_parser.ignore_label): they are neither trained '
                'on nor scored.' % (100. * share, self._ignore_label))
    if num_pixels:
      _check_number_of_classes(self)
      self._missing_classes(first=0)


def _check_number_of_classes(checker):
  """Adds a finding if all labels are of one class."""
  if len(checker.class_counts) == 1 and checker.num_records > 1:
    checker.findings.append(record_checker.Finding(
        WARNING, 'one_class', record_checker.EVERYTHING,
        'All %s are of class %d: a model has nothing to tell apart.' % (
            checker.UNIT, list(checker.class_counts)[0])))


def for_config(config, decode):
  """The RecordChecker of an experiment without boxes."""
  num_classes = config.architecture.num_classes
  if hasattr(config, 'segmentation_parser'):
    section = config.segmentation_parser
    return SegmentationChecker(
        num_classes, section.ignore_label, decode,
        None if section.resize_eval else section.output_size)
  return ClassChecker(num_classes, decode)
