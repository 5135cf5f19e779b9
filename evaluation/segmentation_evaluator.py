"""Batches of predicted label maps to the overlap of every class."""

from typing import Any, Dict, List, Mapping, Optional

import numpy as np

from evaluation import report
from evaluation import segmentation_results
from utils import types

UNDEFINED = -1.
_CLASS_METRIC = 'eval/iou_class_%d'
_REQUIRED = ('source_id', 'masks', 'image_info')


class SegmentationEvaluator:
  """Intersection over union of each class, over all pixels of a set.

  `reset()`, then `update()` for every batch, then `evaluate()`. What is kept
  of an image is a run-length code for each class in it. An update after
  `evaluate` begins the next evaluation.
  """

  results_name = 'predictions.json'

  def __init__(self, num_classes: int,
               label_map: Optional[types.LabelMap] = None) -> None:
    """Takes the classes.

    Args:
      num_classes: int, C.
      label_map: {class id: name} for the table; ids without one are shown as
        numbers.
    """
    self._num_classes = num_classes
    self._label_map = label_map or {}
    self.reset()

  def reset(self) -> None:
    """Forgets all predictions."""
    # Pixels by true class (row) and predicted class.
    self._confusion = np.zeros([self._num_classes] * 2, np.int64)
    self._results = []
    self._num_images = 0
    self._is_finished = False
    self.messages = []  # what a person should know of the last `evaluate`

  @property
  def category_names(self) -> Dict[int, str]:
    """{class id: name} of the label map."""
    return dict(self._label_map)

  @property
  def num_images(self) -> int:
    """Number of images that predictions were given for."""
    return self._num_images

  def update(self, predictions: Mapping[str, np.ndarray],
             groundtruths: Mapping[str, np.ndarray]) -> None:
    """Adds a batch without padding.

    Args:
      predictions: {name: array}: source_id int64 [B]; masks int [B, h, w, 1],
        the class of each pixel of the network input; image_info [B, 4, 2].
      groundtruths: {'masks': [B, h, w, 1], 'valid_masks': bool [B, h, w, 1]},
        the true classes, and where they count.

    Raises:
      ValueError: if a key is missing, or a pixel is of no class.
    """
    if self._is_finished:
      self.reset()
    for names, values in ((_REQUIRED, predictions),
                          (('masks', 'valid_masks'), groundtruths)):
      missing = [name for name in names if name not in values]
      if missing:
        raise ValueError('The batch has no %s; it has the keys %s.' % (
            ', '.join(missing), sorted(values)))
    is_valid = np.asarray(groundtruths['valid_masks'], bool)
    true = np.asarray(groundtruths['masks'])[is_valid].astype(np.int64)
    predicted = np.asarray(predictions['masks'])[is_valid].astype(np.int64)
    self._check_classes(true, predictions['source_id'])
    size = self._num_classes
    self._confusion += np.bincount(
        true * size + predicted, minlength=size * size).reshape([size, size])
    image_ids = np.reshape(predictions['source_id'], [-1]).tolist()
    self._num_images += len(image_ids)
    self._results.extend(segmentation_results.to_results(predictions,
                                                         image_ids))

  def _check_classes(self, true, source_ids):
    wrong = true[(true < 0) | (true >= self._num_classes)]
    if len(wrong):
      raise ValueError(
          'A label map of the images %s has pixels of class %d. '
          'architecture.num_classes is %d: classes are 0 to %d; '
          'segmentation_parser.ignore_label is for pixels without one.' % (
              np.reshape(source_ids, [-1]).tolist(), wrong[0],
              self._num_classes, self._num_classes - 1))

  def evaluate(self) -> Dict[str, float]:
    """Counts.

    Returns:
      {'miou', 'eval/iou_class_<id>' of all classes: float}. A class without a
      true pixel is -1; in the mean it counts as 0 if it was predicted, and not
      at all if it was not.

    Raises:
      ValueError: if there was no update.
    """
    if not self._num_images:
      raise ValueError('There are no predictions to evaluate.')
    hits = np.diag(self._confusion).astype(np.float64)
    num_true = self._confusion.sum(axis=1)
    union = num_true + self._confusion.sum(axis=0) - hits
    iou = hits / np.maximum(union, 1.)
    metrics = {'miou': float(iou[union > 0].mean()) if union.any() else 0.}
    for i in range(self._num_classes):
      metrics[_CLASS_METRIC % i] = float(iou[i]) if num_true[i] else UNDEFINED
    self._is_finished = True
    return metrics

  def results(self) -> List[Dict[str, Any]]:
    """COCO results of regions; see segmentation_results."""
    return self._results

  def format_table(self, metrics: Mapping[str, float]) -> str:
    """The figures as text, a row for each class."""
    num_true = self._confusion.sum(axis=1).tolist()
    return report.format_class_table(
        ['mean IoU  %s' % report.figure(metrics['miou'])], 'IoU', 'pixels',
        [(i, self._label_map.get(i, str(i)), count, metrics[_CLASS_METRIC % i])
         for i, count in enumerate(num_true)], limit=None)
