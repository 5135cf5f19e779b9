"""The formulas of ROI align, sample by sample in NumPy."""

import math

import numpy as np


def align(feature, box, bound, size, offset=.5):
  """Crops one box out of one map, and says what it read.

  Args:
    feature: [h, w, C].
    box: (y0, x0, height, width), cells.
    bound: (last row, last column) that are read.
    size: int, samples along each axis.
    offset: float, where in its bin a sample lies.

  Returns:
    [size, size, C], and [(row, column of the crop, row, column of the map,
    weight)].
  """
  crop = np.zeros([size, size, feature.shape[2]])
  reads = []
  for i in range(size):
    for j in range(size):
      y = box[0] + (i + offset) * box[2] / size
      x = box[1] + (j + offset) * box[3] / size
      for row, row_weight in _neighbours(y, bound[0]):
        for column, column_weight in _neighbours(x, bound[1]):
          if row >= feature.shape[0] or column >= feature.shape[1]:
            continue  # zeros beyond the map
          weight = row_weight * column_weight
          crop[i, j] += weight * feature[row, column]
          reads.append((i, j, row, column, weight))
  return crop, reads


def _neighbours(point, bound):
  """[(cell, weight)] of the two cells around a point of one axis."""
  low = min(max(math.floor(point), 0), bound)
  high = min(low + 1, bound)
  return [(int(low), 1. - (point - low)), (int(high), point - low)]


def level(roi, min_level, max_level):
  """The pyramid level that a ROI reads."""
  area = float(roi[2] - roi[0]) * float(roi[3] - roi[1])
  if area <= 0.:
    return min_level
  found = math.floor(math.log(math.sqrt(area) / 224.) / math.log(2.)) + 4
  return min(max(found, min_level), max_level)


def multilevel_align(features, rois, size, border='clamp'):
  """`align` of every ROI on its level.

  Args:
    features: {level: [B, h, w, C]}.
    rois: [B, R, 4], yxyx pixels.
    size: int.
    border: 'clamp' or 'fade'.

  Returns:
    [B, R, size, size, C], and a function that takes the gradient with respect
    to it and returns {level: gradient with respect to the features}.
  """
  low, high = min(features), max(features)
  channels = features[low].shape[3]
  crops = np.zeros(rois.shape[:2] + (size, size, channels))
  reads = []
  for image, roi_list in enumerate(rois):
    for index, roi in enumerate(roi_list):
      place = level(roi, low, high)
      feature = features[place][image]
      if border == 'clamp':
        bound = [side / 2. ** (place - low) - 1.
                 for side in features[low].shape[1:3]]
      else:
        bound = feature.shape[:2]
      y0, x0, y1, x1 = np.float64(roi) / 2. ** place
      crops[image, index], some = align(
          feature, (y0, x0, y1 - y0, x1 - x0), bound, size)
      reads.extend((image, index, place) + read for read in some)

  def gradient(upstream):
    result = {place: np.zeros(feature.shape)
              for place, feature in features.items()}
    for image, index, place, i, j, row, column, weight in reads:
      result[place][image, row, column] += (
          weight * upstream[image, index, i, j])
    return result

  return crops, gradient


def crop_mask(mask, gt_box, target_box, size, offset=.5):
  """The part of a square mask [M, M] in a target box, [size, size]."""
  side = mask.shape[0]
  height, width = gt_box[2:] - gt_box[:2] + 1e-8
  box = ((target_box[0] - gt_box[0]) * side / height + 2.,
         (target_box[1] - gt_box[1]) * side / width + 2.,
         (target_box[2] - target_box[0]) * side / height,
         (target_box[3] - target_box[1]) * side / width)
  padded = np.pad(mask, 2, mode='constant')[:, :, np.newaxis]
  return align(padded, box, (side + 3., side + 3.), size, offset)[0][:, :, 0]
