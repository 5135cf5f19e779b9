"""A detector that looks at several views of an image, and merges what it finds.

Boxes of all views go through suppression together. Masks are then found for the
merged boxes in every view, and averaged, as in Detectron's im_detect_mask_aug
(arXiv:1703.06870, appendix A).
"""

from typing import Any, Callable, List, Optional, Sequence

import tensorflow.compat.v1 as tf

from ops import boxes as box_ops
from ops import tensor_types
from ops import views as view_ops
from utils import fields
from utils import mask_grids
from utils import modes
from utils import views as views_lib


class ManyViews:
  """Another detector, whose `outputs` hold the detections of all views.

  Everything else is that of the plain view: training, losses, and what is
  computed where labels hold no views, as those of exports do not.
  """

  def __init__(self, model: Any, views: Sequence[views_lib.View],
               merge: Callable[[List[tensor_types.Tensors]],
                               tensor_types.Tensors],
               mask_grid: mask_grids.MaskGrid,
               clip_to_border: bool = False) -> None:
    """Takes the parts.

    Args:
      model: has `outputs_and_masks`; see modeling.maskrcnn.MaskRCNN.
      views: [utils.views.View], those in the labels, in their order.
      merge: [detections of a view] -> detections; see ops.detections.merge.
      mask_grid: mask_grids.MaskGrid, how the masks of the model are sampled.
      clip_to_border: whether boxes may reach the border of the network input,
        see modeling.maskrcnn.MaskRCNN.
    """
    self._model = model
    self._views = list(views)
    self._merge = merge
    self._mask_grid = mask_grid
    self._clip_to_border = clip_to_border

  def outputs(self, images: tf.Tensor, labels: Optional[tensor_types.Nest],
              mode: str) -> tensor_types.Nest:
    """Runs the network on every view.

    Args:
      images: [B, H, W, 3], the plain view.
      labels: of the model; `views`, {index: {'images': [B, h, w, 3],
        'image_info': [B, 4, 2]}}, holds the others.
      mode: one of utils.modes.

    Returns:
      Outputs of the model for the plain view, with the detections of all views
      in pixels of its network input.
    """
    if mode == modes.TRAIN or not labels or fields.VIEWS not in labels:
      return self._model.outputs(images, labels, mode)
    info = labels[fields.IMAGE_INFO]
    with _numbered_from_the_start(reuse=None):
      outputs, find_masks = self._model.outputs_and_masks(images, labels, mode)
    if fields.DETECTION_BOXES not in outputs:
      return outputs
    found, others = [_detections(outputs)], []
    for index, view in enumerate(self._views):
      of_view = labels[fields.VIEWS][index]
      view_info = of_view[fields.IMAGE_INFO]
      with _numbered_from_the_start(reuse=True):
        view_outputs, find_in_view = self._model.outputs_and_masks(
            tf.cast(of_view[fields.IMAGES], images.dtype),
            {fields.IMAGE_INFO: view_info}, mode)
      found.append(self._led_back(_detections(view_outputs), view, view_info,
                                  info))
      others.append((view, view_info, find_in_view))
    outputs.update(self._merge(found))
    if find_masks:
      outputs.update(self._masks(outputs, info, find_masks, others))
    return outputs

  def _led_back(self, detections, view, view_info, info):
    """Detections of a view in pixels of the plain network input."""
    boxes = view_ops.move_boxes(detections[fields.DETECTION_BOXES], view_info,
                                info, view.is_mirrored)
    return dict(detections, **{fields.DETECTION_BOXES: box_ops.clip_boxes(
        boxes, box_ops.clip_limits(info[:, 1:2], self._clip_to_border))})

  def _masks(self, outputs, info, find_masks, others):
    """Masks of the merged boxes: the mean over all views.

    Args:
      outputs: the merged detections.
      info: image_info of the plain view.
      find_masks: tensor_types.MaskFn of the plain view.
      others: [(View, its image_info, its MaskFn)].
    """
    boxes = outputs[fields.DETECTION_BOXES]
    classes = outputs[fields.DETECTION_CLASSES]
    with _numbered_from_the_start(reuse=True):
      result = find_masks(boxes, classes)
    outer_boxes = result.get(fields.DETECTION_OUTER_BOXES)
    masks = [result[fields.DETECTION_MASKS]]
    for view, view_info, find_in_view in others:
      def moved(some, view=view, view_info=view_info):
        return None if some is None else view_ops.move_boxes(
            some, info, view_info, view.is_mirrored)
      with _numbered_from_the_start(reuse=True):
        of_view = find_in_view(moved(boxes), classes, moved(outer_boxes))[
            fields.DETECTION_MASKS]
      masks.append(view_ops.mirror_masks(of_view, self._mask_grid)
                   if view.is_mirrored else of_view)
    return dict(result, **{
        fields.DETECTION_MASKS: tf.add_n(masks) / len(masks)})

  def losses(self, outputs: tensor_types.Nest, labels: tensor_types.Nest,
             is_training: bool = False) -> tensor_types.Tensors:
    """Those of the model, {name: float32 []}."""
    return self._model.losses(outputs, labels, is_training)

  def predictions(self, outputs: tensor_types.Nest,
                  labels: Optional[tensor_types.Nest],
                  with_losses: bool = True) -> tensor_types.Tensors:
    """Those of the model, {name: [B, ...]}; losses are of the plain view."""
    return self._model.predictions(outputs, labels, with_losses)


def _numbered_from_the_start(reuse):
  """A scope of variables in which names like conv2d_1 are counted afresh.

  Args:
    reuse: whether the variables exist, or None: as around it.
  """
  return tf.variable_scope(tf.get_variable_scope(), reuse=reuse)


def _detections(outputs):
  return {name: outputs[name] for name in (
      fields.NUM_DETECTIONS, fields.DETECTION_BOXES, fields.DETECTION_CLASSES,
      fields.DETECTION_SCORES)}
