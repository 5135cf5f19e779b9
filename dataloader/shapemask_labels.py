"""The labels of ShapeMask that RetinaNet does not have."""

import tensorflow.compat.v1 as tf

from dataloader import labellers
from dataloader import mask_crops
from ops import boxes as box_ops
from ops import preprocess
from utils import fields


class MaskTargets:
  """Masks of some objects to learn from; arXiv:1904.03239, section 4.

  For N objects `mask_boxes`, `mask_outer_boxes` [N, 4], yxyx, pixels of the
  network input; `mask_classes` int64, `mask_is_valid` int32 [N]; `mask_targets`
  [N, S, S] and `fine_mask_targets` [N, S*F, S*F], 0 or 1, within the outer
  boxes. Without a type it is float32; padding is 0.
  """

  def __init__(self, section, mask_classes, clip_to_border=False):
    """Takes the settings.

    Args:
      section: YAML section `shapemask_parser`.
      mask_classes: ids of the classes whose masks are learnt; None: all.
      clip_to_border: `architecture.clip_boxes_to_border`.
    """
    self._section = section
    self._mask_classes = mask_classes
    self._clip_to_border = clip_to_border
    size = section.mask_crop_size
    self._sides = size, size * section.upsample_factor

  def __call__(self, sample):
    section, count = self._section, self._section.num_sampled_masks
    num_objects = tf.shape(sample.boxes)[0]
    chosen = sample.draws.distinct('objects', num_objects, count)

    def choose(values, fill):
      return preprocess.pad_or_clip(tf.gather(values, chosen), count, fill)

    limits = box_ops.clip_limits(tuple(section.output_size),
                                 self._clip_to_border)
    boxes = box_ops.clip_boxes(
        box_ops.jitter_boxes(
            choose(sample.boxes, 0.), section.box_jitter_scale,
            unit_normal=sample.draws.normal('jitter', [count, 4])), limits)
    # They may reach into the padding, where no mask is.
    outer_boxes = box_ops.outer_boxes(boxes, limits, section.outer_box_scale)
    classes = choose(sample.classes, 0)
    targets = mask_crops.crop_sample(
        sample._replace(masks=tf.gather(sample.masks, chosen)),
        outer_boxes[:tf.size(chosen)], sorted(set(self._sides)), section)
    targets = [preprocess.pad_or_clip(tf.cast(target >= .5, tf.float32), count,
                                      0.) for target in targets]
    # In an image with objects, padding counts as valid, with an empty mask,
    # unless classes decide; published models were trained this way.
    is_valid = tf.logical_and(
        num_objects > 0,
        mask_crops.is_of_classes(classes, self._mask_classes))
    return {fields.MASK_BOXES: boxes, fields.MASK_OUTER_BOXES: outer_boxes,
            fields.MASK_CLASSES: classes,
            fields.MASK_IS_VALID: tf.cast(is_valid, tf.int32),
            fields.MASK_TARGETS: targets[0],
            fields.FINE_MASK_TARGETS: targets[-1]}

  def spec(self):
    coarse, fine = self._sides
    return {name: tf.TensorSpec([self._section.num_sampled_masks] + shape,
                                dtype) for name, shape, dtype in (
        (fields.MASK_BOXES, [4], tf.float32),
        (fields.MASK_OUTER_BOXES, [4], tf.float32),
        (fields.MASK_CLASSES, [], tf.int64),
        (fields.MASK_IS_VALID, [], tf.int32),
        (fields.MASK_TARGETS, [coarse, coarse], tf.float32),
        (fields.FINE_MASK_TARGETS, [fine, fine], tf.float32))}

  def padding(self):
    return labellers.filled(self.spec())
