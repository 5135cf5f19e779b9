"""Training data of the second stage: sampled regions and their targets.

Made in the training graph, as they depend on the proposals: static shapes, no
gradient.
"""

from typing import NamedTuple, Optional, Sequence, Tuple

import tensorflow.compat.v1 as tf

from ops import boxes as box_ops
from ops import masks as mask_ops
from ops import sampling


class SampledRois(NamedTuple):
  """Regions and the objects they are assigned to.

  Attributes:
    rois: float32 [B, R, 4], yxyx, pixels of the network input.
    matched_boxes: float32 [B, R, 4], yxyx, same pixels.
    classes: int32 [B, R], 0 is background.
    indices: int32 [B, R], rows of the ground truth; for background 0, or -1
      where a region touches no object.
  """
  rois: tf.Tensor
  matched_boxes: tf.Tensor
  classes: tf.Tensor
  indices: tf.Tensor


def match_rois(rois: tf.Tensor, gt_boxes: tf.Tensor,
               gt_classes: tf.Tensor) -> Tuple[SampledRois, tf.Tensor]:
  """The object that each region overlaps most.

  Args:
    rois: float32 [B, R, 4], yxyx, pixels of the network input.
    gt_boxes: float32 [B, K, 4], same pixels. Rows whose coordinates are all
      negative are padding.
    gt_classes: int [B, K].

  Returns:
    SampledRois of all regions; zeros, class 0 and index -1 where a region
      touches no object.
    max_iou: float32 [B, R]; -1 in images without objects.
  """
  with tf.name_scope('match_rois'):
    iou = box_ops.pairwise_iou(rois, gt_boxes)
    max_iou = tf.reduce_max(iou, axis=2)
    indices = tf.argmax(iou, axis=2, output_type=tf.int32)  # first of equals
    touches = max_iou > 0.
    matched_boxes = tf.gather(gt_boxes, indices, batch_dims=1)
    matched_boxes *= tf.cast(touches, matched_boxes.dtype)[..., tf.newaxis]
    classes = tf.gather(tf.cast(gt_classes, tf.int32), indices, batch_dims=1)
    return SampledRois(
        rois, matched_boxes,
        tf.where(touches, classes, tf.zeros_like(classes)),
        tf.where(touches, indices, -tf.ones_like(indices))), max_iou


def sample_rois(rois: tf.Tensor, gt_boxes: tf.Tensor, gt_classes: tf.Tensor,
                num_samples: int = 512, fg_fraction: float = 0.25,
                fg_iou_thresh: float = 0.5, bg_iou_thresh_hi: float = 0.5,
                bg_iou_thresh_lo: float = 0., mix_gt_boxes: bool = True,
                skip_subsampling: bool = False, sample_padding: bool = False,
                permutation: Optional[tf.Tensor] = None,
                same_draw: bool = False) -> SampledRois:
  """Chooses the regions that a region head is trained on.

  Args:
    rois: float32 [B, N, 4], yxyx, pixels of the network input.
    gt_boxes: float32 [B, K, 4], same space. Rows whose coordinates are all
      negative are padding.
    gt_classes: int [B, K], from 1.
    num_samples: int, R.
    fg_fraction: float, at most this share of the samples are objects, unless
      there are not enough background regions.
    fg_iou_thresh: float; objects are regions with an IoU above it.
    bg_iou_thresh_hi: float; background are regions with an IoU below it ...
    bg_iou_thresh_lo: float; ... and of at least this. Regions that are neither
      are sampled only if the others do not suffice.
    mix_gt_boxes: whether `gt_boxes` are appended to the regions. Early in
      training there may be no proposal near an object.
    skip_subsampling: return all regions, in order.
    sample_padding: whether padding in `gt_boxes` counts as background, as in
      published training. Such a region never occurs in inference.
    permutation: int32 [B, N or N + K], instead of a draw; see
      `sampling.balanced_sample`.
    same_draw: whether the draw is the same for every image, batch and run, so
      that what an evaluation computes of them repeats.

  Returns:
    SampledRois, R = num_samples or as many as there are, in the order of the
    regions.

  Source: Fast R-CNN (arXiv:1504.08083), section 2.3.
  """
  with tf.name_scope('sample_rois'):
    gt_boxes = tf.cast(gt_boxes, rois.dtype)
    if mix_gt_boxes:
      rois = tf.concat([rois, gt_boxes], axis=1)
    rois = tf.stop_gradient(rois)
    matches, max_iou = match_rois(rois, gt_boxes, gt_classes)
    is_object = max_iou > fg_iou_thresh
    is_background = tf.logical_and(
        max_iou >= bg_iou_thresh_lo, max_iou < bg_iou_thresh_hi)
    zeros = tf.zeros_like(matches.classes)
    matches = matches._replace(
        classes=tf.where(is_background, zeros, matches.classes),
        indices=tf.where(is_background, zeros, matches.indices))
    if skip_subsampling:
      return matches
    is_candidate = tf.logical_or(is_object, is_background)
    if not sample_padding:
      is_candidate = tf.logical_and(
          is_candidate, tf.reduce_max(rois, axis=2) >= 0.)
    if same_draw:
      permutation = sampling.same_permutation(is_candidate)
    is_sampled = sampling.balanced_sample(
        is_candidate, is_object, num_samples, fg_fraction, permutation)
    return _first(matches, is_sampled, num_samples)


def _first(values, condition, count):
  """Rows where a condition holds, in order, then others up to `count`.

  Args:
    values: nest of [B, R, ...].
    condition: bool [B, R].
    count: int.

  Returns:
    The nest with [B, min(count, R), ...].
  """
  size = condition.shape[1].value
  count = min(count, size)
  # Different numbers: XLA does not promise the first of equals.
  order = tf.range(size, 0, -1) + size * tf.cast(condition, tf.int32)
  rows = tf.nn.top_k(order, count).indices
  return tf.nest.map_structure(
      lambda value: tf.gather(value, rows, batch_dims=1), values)


def encode_box_targets(
    sampled: SampledRois,
    weights: Sequence[float] = (10., 10., 5., 5.)) -> tf.Tensor:
  """The targets of the box head for each region.

  Args:
    sampled: SampledRois.
    weights: four floats; see `boxes.encode_boxes`.

  Returns:
    float32 [B, R, 4], (dy, dx, dh, dw); zeros for background.
  """
  with tf.name_scope('encode_box_targets'):
    targets = box_ops.encode_boxes(
        sampled.matched_boxes, sampled.rois, weights)
    is_object = tf.cast(sampled.classes > 0, targets.dtype)
    return tf.stop_gradient(targets * is_object[..., tf.newaxis])


def sample_mask_rois(
    sampled: SampledRois, gt_masks: tf.Tensor, num_samples: int,
    mask_target_size: int,
    means_of_cells: bool = False) -> Tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
  """The regions that the mask head is trained on, and its targets.

  Args:
    sampled: SampledRois.
    gt_masks: float32 [B, K, h, w], masks of the objects within their boxes.
    num_samples: int, N; the regions with an object come first, in order, then
      background fills up.
    mask_target_size: int, S.
    means_of_cells: see masks.crop_masks_in_boxes.

  Returns:
    rois: float32 [B, N, 4], yxyx, pixels of the network input; N =
      num_samples or as many as there are.
    classes: int32 [B, N], 0 where there is no object.
    mask_targets: float32 [B, N, S, S], 0..1, of the object within the region.

  Source: Mask R-CNN (arXiv:1703.06870), section 3.
  """
  with tf.name_scope('sample_mask_rois'):
    first = _first(sampled, sampled.classes > 0, num_samples)
    masks = tf.gather(gt_masks, tf.maximum(first.indices, 0), batch_dims=1)
    targets = mask_ops.crop_masks_in_boxes(
        masks, first.matched_boxes, first.rois, mask_target_size,
        sample_offset=0.5, means_of_cells=means_of_cells)
    return first.rois, first.classes, tf.stop_gradient(targets)
