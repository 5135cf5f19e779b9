"""The prediction dictionary that evaluation on the host reads.

Estimator predictions are one flat dictionary of batch-first tensors, so
prefixes distinguish the three kinds of content: `pred_`, `gt_` and `loss_`
(utils/fields.py). `executor/evaluation.py` splits them again on the host.
"""

from typing import Optional

from ops import tensor_types
from utils import fields

_GROUNDTRUTH_KEYS = ('source_id', 'height', 'width', 'num_detections', 'boxes',
                     'classes', 'areas', 'is_crowds')


def detection_predictions(
    outputs: tensor_types.Nest,
    labels: Optional[tensor_types.Nest]) -> tensor_types.Tensors:
  """Detections and, when the labels carry it, the ground truth.

  Args:
    outputs: model outputs of inference; its `detection_*`, `raw_*` and
      `num_detections` entries are passed on.
    labels: needs `image_info` [B, 4, 2]; may have `source_id` [B] and
      `groundtruths`, a dict of [B, ...] tensors.

  Returns:
    {prefixed name: tensor [B, ...]}; boxes stay in pixels of the network input,
    those of the ground truth in pixels of the image.
  """
  predictions = {fields.PRED + fields.IMAGE_INFO: labels[fields.IMAGE_INFO]}
  for name, value in outputs.items():
    if name.startswith(('detection_', 'raw_')) or name == fields.NUM_DETECTIONS:
      predictions[fields.PRED + name] = value
  groundtruths = labels.get(fields.GROUNDTRUTHS)
  source_id = labels.get(fields.SOURCE_ID)
  if groundtruths is not None:
    source_id = groundtruths[fields.SOURCE_ID]
    for key in _GROUNDTRUTH_KEYS:
      if key in groundtruths:
        predictions[fields.GT + key] = groundtruths[key]
    predictions[fields.GT + fields.IMAGE_INFO] = labels[fields.IMAGE_INFO]
  if source_id is not None:
    predictions[fields.PRED + fields.SOURCE_ID] = source_id
  return predictions


def loss_predictions(losses: tensor_types.Tensors) -> tensor_types.Tensors:
  """The losses of each image, whatever batch it is in.

  Args:
    losses: {name: float32 [B]}.

  Returns:
    {prefixed name: float32 [B]}.
  """
  return {fields.LOSS + name: value for name, value in losses.items()}
