"""Batches of predictions to the metrics of LVIS."""

from typing import Any, Mapping, Optional

import numpy as np

from evaluation import annotations as annotations_lib
from evaluation import coco_evaluator
from evaluation import lvis_metrics


class LVISEvaluator(coco_evaluator.COCOEvaluator):
  """The evaluator of COCO with the metrics of LVIS; see lvis_metrics."""

  def __init__(self, annotations: Any = None, **kwargs: Any) -> None:
    """Reads the annotations.

    Args:
      annotations: path of an LVIS JSON file or its content as a dict; None
        only where nothing is evaluated.
      **kwargs: as of `COCOEvaluator`, without max_detections and
        novel_categories.

    Raises:
      ValueError: if the annotations do not say which categories were looked
        for.
    """
    name = 'The annotations'
    if isinstance(annotations, str):
      name = annotations
      annotations = annotations_lib.read_json(annotations)
    super().__init__(annotations, **kwargs)
    self._federation = None
    if annotations is not None:
      self._federation = lvis_metrics.load(annotations, self._given, name)
      self._given_notes += self._federation.messages
      self.reset()

  def update(self, predictions: Mapping[str, np.ndarray],
             groundtruths: Optional[Mapping[str, np.ndarray]] = None) -> None:
    """Adds a batch; `groundtruths` is not used.

    Args:
      predictions: {name: array [B, ...]}, see `COCOEvaluator.update`.
      groundtruths: see there.

    Raises:
      ValueError: without annotations, and see there.
    """
    if self._federation is None:
      raise ValueError('The metrics of LVIS need annotations: ground truth '
                       'that comes with the batches does not say which '
                       'categories were looked for.')
    super().update(predictions)

  def _metrics(self, scored, columns, image_rows, iou_type):
    """See the base class."""
    return lvis_metrics.evaluate(scored, self._federation, columns, iou_type,
                                 self._per_category, image_rows)

  def _limit_messages(self, scored):
    """See the base class."""
    if self._num_slots >= lvis_metrics.MAX_DETECTIONS:
      return []
    return ['The metrics of LVIS count %d detections of an image, the model '
            'gives at most %d (postprocess.max_total_size).' % (
                lvis_metrics.MAX_DETECTIONS, self._num_slots)]
