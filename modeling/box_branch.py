"""The box heads of two-stage models: one, or a cascade (arXiv:1712.00726).

Each stage of a cascade works on the boxes that the one before it predicts, and
is trained to separate objects by a higher overlap.
"""

from typing import Callable, NamedTuple, Sequence, Tuple

import tensorflow.compat.v1 as tf

from ops import boxes as box_ops
from ops import roi_align
from ops import roi_losses
from ops import roi_targets
from ops import tensor_types
from utils import fields

CROP_SIZE = 7  # features of a RoI, height and width; arXiv:1504.08083


class Stage(NamedTuple):
  """A box head, and the choice of its training data.

  Attributes:
    head: (roi_features [B, R, 7, 7, c], is_training) -> (class_outputs
      [B, R, C], box_outputs [B, R, C*4 or 4]), for example
      fast_rcnn.FastRCNNHead.
    sample: (rois, gt_boxes, gt_classes, same_draw) -> SampledRois, the regions
      that it is trained with; see roi_targets.sample_rois.
    box_weights: four floats that its encoded boxes are scaled by; see
      ops.boxes.
    suffix: suffix of the names of its outputs and losses.
  """
  head: Callable[[tf.Tensor, bool], Tuple[tf.Tensor, tf.Tensor]]
  sample: Callable[..., roi_targets.SampledRois]
  box_weights: Sequence[float]
  suffix: str


class BoxBranch:
  """Classifies RoIs and refines their boxes, in one or several stages."""

  def __init__(self, stages: Sequence[Stage],
               detect: Callable[..., tensor_types.Tensors],
               huber_loss_delta: float, class_agnostic: bool = False,
               class_ensemble: bool = False) -> None:
    """Takes the parts.

    Args:
      stages: [Stage].
      detect: (box_outputs, class_outputs, rois, image_shape,
        regression_weights) -> {name: tensor}; see
        ops.detections.generate_two_stage_detections.
      huber_loss_delta: float, where the box loss turns from square to linear.
      class_agnostic: bool, whether the heads give one box for all classes.
      class_ensemble: bool, whether detections take the mean class logits of
        all stages, not those of the last.
    """
    self._stages = stages
    self._detect = detect
    self._huber_loss_delta = huber_loss_delta
    self._class_agnostic = class_agnostic
    self._class_ensemble = class_ensemble

  def training_outputs(
      self, features: tensor_types.Levels, rois: tf.Tensor,
      labels: tensor_types.Nest, image_shape: tf.Tensor,
      is_training: bool = True
  ) -> Tuple[tensor_types.Nest, roi_targets.SampledRois]:
    """Samples RoIs and runs the heads on them.

    Args:
      features: {level: [B, h, w, c]}.
      rois: float32 [B, N, 4], yxyx, pixels of the network input.
      labels: `gt_boxes` [B, K, 4], yxyx, same pixels, `gt_classes` [B, K].
      image_shape: float32 [B, 1, 2], (height, width) to clip boxes to; see
        ops.boxes.clip_limits.
      is_training: Python bool; False for the losses of an evaluation: the same
        draw of RoIs for every image, and the heads of inference.

    Returns:
      {'class_outputs': float32 [B, R, C], logits, 'box_outputs': float32
      [B, R, C*4 or 4], (dy, dx, dh, dw), 'class_targets': int32 [B, R],
      'box_targets': float32 [B, R, 4]}, the names with the suffix of each
      stage, and the SampledRois of the last.
    """
    outputs = {}
    previous = None
    for stage in self._stages:
      if previous:
        rois = self._refine(*previous, image_shape)
      sampled = stage.sample(rois, labels[fields.GT_BOXES],
                             labels[fields.GT_CLASSES],
                             same_draw=not is_training)
      class_outputs, box_outputs = _run(stage, features, sampled.rois,
                                        is_training)
      outputs.update({
          fields.CLASS_OUTPUTS + stage.suffix: class_outputs,
          fields.BOX_OUTPUTS + stage.suffix: box_outputs,
          fields.CLASS_TARGETS + stage.suffix: sampled.classes,
          fields.BOX_TARGETS + stage.suffix: roi_targets.encode_box_targets(
              sampled, stage.box_weights)})
      previous = stage, sampled.rois, box_outputs, sampled.classes
    return outputs, sampled

  def detections(self, features: tensor_types.Levels, rois: tf.Tensor,
                 image_shape: tf.Tensor) -> tensor_types.Nest:
    """Runs the heads on all RoIs, and the detection generator on the result.

    Args:
      features: {level: [B, h, w, c]}.
      rois: float32 [B, R, 4], yxyx, pixels of the network input.
      image_shape: float32 [B, 1, 2].

    Returns:
      `class_outputs` and `box_outputs` as in training, and the detections or,
      with `postprocess.apply_nms` false, the raw tensors; see
      ops.detections.generate_two_stage_detections.
    """
    outputs = {}
    previous = None
    all_class_outputs = []
    for stage in self._stages:
      if previous:
        rois = self._refine(*previous, image_shape)
      class_outputs, box_outputs = _run(stage, features, rois, False)
      outputs[fields.CLASS_OUTPUTS + stage.suffix] = class_outputs
      outputs[fields.BOX_OUTPUTS + stage.suffix] = box_outputs
      all_class_outputs.append(class_outputs)
      # Background takes part, as in published models, though its box is not
      # trained.
      previous = stage, rois, box_outputs, tf.argmax(
          class_outputs, axis=2, output_type=tf.int32)
    if self._class_ensemble:
      class_outputs = tf.add_n(all_class_outputs) / len(all_class_outputs)
    outputs.update(self._detect(box_outputs, class_outputs, rois, image_shape,
                                regression_weights=stage.box_weights))
    return outputs

  def _refine(self, stage, rois, box_outputs, classes, image_shape):
    """The boxes that a stage predicts for its RoIs; without gradient.

    Args:
      stage: Stage.
      rois: float32 [B, R, 4].
      box_outputs: float32 [B, R, C*4 or 4].
      classes: int32 [B, R], the class whose box is taken, unless heads are
        class-agnostic.
      image_shape: float32 [B, 1, 2].

    Returns:
      float32 [B, R, 4].
    """
    if not self._class_agnostic:
      box_outputs = roi_losses.boxes_of_class(box_outputs, classes)
    boxes = box_ops.decode_boxes(box_outputs, rois, stage.box_weights)
    return tf.stop_gradient(box_ops.clip_boxes(boxes, image_shape))

  def losses(self, outputs: tensor_types.Nest,
             by_image: bool = False) -> tensor_types.Tensors:
    """Class and box loss, means over the stages.

    Args:
      outputs: result of `training_outputs`.
      by_image: whether losses of each image are wanted; see ops.roi_losses.

    Returns:
      {'fast_rcnn_class_loss', 'fast_rcnn_box_loss': float32 [], or [B] with
      `by_image`}. The stages of a cascade add their own losses with the suffix
      of the stage.
    """
    class_losses, box_losses, of_stages = [], [], {}
    for stage in self._stages:
      class_targets = outputs[fields.CLASS_TARGETS + stage.suffix]
      class_losses.append(roi_losses.fast_rcnn_class_loss(
          outputs[fields.CLASS_OUTPUTS + stage.suffix], class_targets,
          by_image))
      box_losses.append(roi_losses.fast_rcnn_box_loss(
          outputs[fields.BOX_OUTPUTS + stage.suffix], class_targets,
          outputs[fields.BOX_TARGETS + stage.suffix], self._huber_loss_delta,
          self._class_agnostic, by_image))
      if stage.suffix:
        of_stages.update({
            fields.FAST_RCNN_CLASS_LOSS + stage.suffix: class_losses[-1],
            fields.FAST_RCNN_BOX_LOSS + stage.suffix: box_losses[-1]})
    count = float(len(self._stages))
    return dict(of_stages, **{
        fields.FAST_RCNN_CLASS_LOSS: tf.add_n(class_losses) / count,
        fields.FAST_RCNN_BOX_LOSS: tf.add_n(box_losses) / count})

  def shares_of_objects(
      self, outputs: tensor_types.Nest) -> tensor_types.Tensors:
    """{`fg_bg_ratio` of each stage of a cascade: float32 []}, in 0..1.

    Args:
      outputs: result of `training_outputs`.
    """
    return {fields.FG_BG_RATIO + stage.suffix: tf.reduce_mean(tf.cast(
        outputs[fields.CLASS_TARGETS + stage.suffix] > 0, tf.float32))
            for stage in self._stages if stage.suffix}


def _run(stage, features, rois, is_training):
  """float32 class and box outputs of the head for RoIs [B, R, 4]."""
  crops = roi_align.multilevel_roi_align(features, rois, CROP_SIZE)
  # Losses and boxes are computed in float32 whatever the network runs in.
  return [tf.cast(values, tf.float32)
          for values in stage.head(crops, is_training)]
