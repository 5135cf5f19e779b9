"""The slow second path: suppression box by box, in NumPy."""

import numpy as np


def overlaps(box, others):
  """IoU of one box [4] with others [N, 4], in float32; 0 without area."""
  height = np.minimum(box[2], others[:, 2]) - np.maximum(box[0], others[:, 0])
  width = np.minimum(box[3], others[:, 3]) - np.maximum(box[1], others[:, 1])
  intersection = np.maximum(height, 0.) * np.maximum(width, 0.)
  area = (box[2] - box[0]) * (box[3] - box[1])
  areas = (others[:, 2] - others[:, 0]) * (others[:, 3] - others[:, 1])
  union = area + areas - intersection
  return np.where(intersection > 0., intersection / np.maximum(union, 1e-12),
                  np.float32(0.))


def keep(boxes, iou_threshold, inclusive, max_output_size):
  """Rows of boxes [N, 4], best first, that greedy suppression keeps."""
  threshold = np.float32(iou_threshold)
  kept = []
  for row, box in enumerate(boxes):
    values = overlaps(box, boxes[kept])
    if not np.any(values >= threshold if inclusive else values > threshold):
      kept.append(row)
    if len(kept) == max_output_size:
      break
  return kept


def detect(boxes, scores, max_total_size, nms_iou_threshold, score_threshold,
           pre_nms_num_boxes=None, inclusive=False):
  """What is detected in one image.

  Args:
    boxes: float32 [N, 1 or C, 4].
    scores: float32 [N, C].
    max_total_size: int.
    nms_iou_threshold: float.
    score_threshold: float.
    pre_nms_num_boxes: int, or None for no limit.
    inclusive: whether an overlap of exactly the threshold suppresses.

  Returns:
    [(score, class from 0, box [4])], best first.
  """
  found = []
  for index in range(scores.shape[1]):
    of_class = boxes[:, index if boxes.shape[1] > 1 else 0]
    order = np.argsort(-scores[:, index], kind='stable')[:pre_nms_num_boxes]
    order = order[scores[order, index] > np.float32(score_threshold)]
    kept = order[keep(of_class[order], nms_iou_threshold, inclusive,
                      max_total_size)]
    found.extend((scores[row, index], index, of_class[row]) for row in kept)
  return sorted(found, key=lambda d: (-d[0], d[1]))[:max_total_size]
