"""Tells the keypoints of YOLO's label files from polygons."""

from typing import Sequence

import numpy as np

from ops import tensorflow_later as tf
from tools.datasets import annotation_checks
from utils import text_files

_LINES_LOOKED_AT = 200
_POSE_SHARE = .9  # of the lines, whose points lie in the box of the line
_VISIBILITIES = (0, 1, 2)
_AROUND = 1.1  # Keypoints may lie a little outside of the box.
_CORNER_ERROR = .01
_MANY_LINES = 10  # so that polygons would not all be left of and above .67


def check_none(paths: Sequence[str]) -> None:
  """Raises ConversionError if boxes are followed by keypoints, it seems.

  They have as many numbers as some polygons, and would give boxes around
  numbers of several kinds.

  Args:
    paths: those of label files.
  """
  rows = []
  for path in paths:
    for line in text_files.read_lines(path, tf.gfile.Open):
      try:
        numbers = list(map(float, line.split()))[1:]
      except ValueError:
        return  # It is an error of its own.
      if numbers:
        rows.append(numbers)
    if len(rows) >= _LINES_LOOKED_AT:
      break
  if len({len(row) for row in rows}) != 1:
    return
  for size in (3, 2):
    count, rest = divmod(len(rows[0]) - 4, size)
    if count > 0 and not rest and _are_poses(np.array(rows), size):
      raise annotation_checks.ConversionError(
          '%s: each line looks like a box and %d keypoint(s) of %d numbers, '
          'not like a polygon. If it is, write `kpt_shape: [%d, %d]` into '
          'data.yaml, next to `names`, or give --keypoints=%d,%d; the boxes '
          'are used. If it is not: `kpt_shape: [0, 2]`, or --keypoints=0,2.' % (
              paths[0], count, size, count, size, count, size))


def _are_poses(rows, size):
  """Whether rows are boxes with keypoints.

  Args:
    rows: float [N, 4 + K * size].
    size: of a keypoint: 2, or 3 with its visibility.

  Returns:
    bool: whether points lie in the box; and the visibilities are some, or,
    without them, the width and height would be a corner far from the others, or
    many boxes are within the image.
  """
  points = rows[:, 4:].reshape([len(rows), -1, size])
  x, y = points[..., 0], points[..., 1]
  is_seen = (x != 0) | (y != 0)
  xy, wh = rows[:, 0:2], rows[:, 2:4]
  is_inside = ((2 * abs(x - xy[:, :1]) <= wh[:, :1] * _AROUND)
               & (2 * abs(y - xy[:, 1:]) <= wh[:, 1:] * _AROUND))
  if np.mean(np.all(is_inside | ~is_seen, axis=1)) < _POSE_SHARE:
    return False
  if size == 3:
    return bool(np.isin(points[..., 2], _VISIBILITIES).all())
  if points.shape[1] == 2 and np.allclose(
      xy + points[:, 0], wh + points[:, 1], atol=_CORNER_ERROR):
    return False  # Rotated rectangles: the diagonals have one center.
  x, y = np.where(is_seen, [x, y], [xy[:, :1], xy[:, 1:]])
  points = np.stack([np.hstack([xy[:, :1], x]), np.hstack([xy[:, 1:], y])], -1)
  low, high = points.min(axis=1), points.max(axis=1)
  extents = (high - low).max(axis=1)
  away = np.maximum(low - wh, wh - high).max(axis=1)
  if np.median(away - extents) > 0:
    return True
  return len(rows) >= _MANY_LINES and bool(np.all(
      (xy - wh / 2 > -_CORNER_ERROR) & (xy + wh / 2 < 1 + _CORNER_ERROR)))
