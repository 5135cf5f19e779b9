"""The labels of Mask R-CNN and its relatives; arXiv:1703.06870, section 3.1."""

import functools

import tensorflow.compat.v1 as tf

from dataloader import detection
from dataloader import labellers
from dataloader import mask_crops
from ops import preprocess
from ops import targets
from utils import fields


class RpnTargets:
  """The targets of every anchor of the region proposal network (RPN).

  Per level `rpn_score_targets` int32 [h, w, A], 1 object, 0 background, -1 not
  sampled, and `rpn_box_targets` float32 [h, w, 4A], (dy, dx, dh, dw). See
  ops.targets.label_rpn_anchors.
  """

  def __init__(self, section, anchors, image_size):
    """Takes what the configuration says.

    Args:
      section: YAML section `maskrcnn_parser`.
      anchors: ops.anchors.AnchorGenerator.
      image_size: (height, width), ints, of the network input.
    """
    self._section = section
    self._anchors = anchors
    self._image_size = image_size

  def __call__(self, sample):
    section = self._section
    score_targets, box_targets = targets.label_rpn_anchors(
        self._anchors.boxes(self._image_size), _with_pasted(sample, 'boxes'),
        self._image_size, section.rpn_match_threshold,
        section.rpn_unmatched_threshold, section.rpn_batch_size_per_im,
        section.rpn_fg_fraction,
        choose=functools.partial(sample.draws.distinct, 'anchors'))
    return {fields.RPN_SCORE_TARGETS: score_targets,
            fields.RPN_BOX_TARGETS: box_targets}

  def spec(self):
    def per_anchor(depth, dtype):
      return labellers.anchor_spec(self._anchors, self._image_size, depth,
                                   dtype)
    return {fields.RPN_SCORE_TARGETS: per_anchor(1, tf.int32),
            fields.RPN_BOX_TARGETS: per_anchor(4, tf.float32)}

  def padding(self):
    return labellers.filled(self.spec(), {fields.RPN_SCORE_TARGETS: -1})


class Objects:
  """The objects that RoIs are matched with: K = `max_num_instances` rows.

  `gt_boxes` float32 [K, 4], yxyx, pixels of the network input; `gt_classes`
  int64 [K]; `gt_masks` float32 [K, c, c], c = `mask_crop_size`, each cropped to
  its box; all padded with -1. Pasted objects come last, and the last of them
  are left out where there are too many. Running it fails for an image with more
  objects of its own.
  """

  def __init__(self, section, has_masks, key, purpose='training'):
    """Takes what the configuration says.

    Args:
      section: YAML section `maskrcnn_parser`.
      has_masks: whether the labels hold masks.
      key: configuration key of `max_num_instances`, for the error.
      purpose: 'training' or 'evaluation', likewise.
    """
    self._section = section
    self._has_masks = has_masks
    self._key = key
    self._purpose = purpose

  def __call__(self, sample):
    count = self._section.max_num_instances
    sample = sample._replace(boxes=detection.check_capacity(
        sample.boxes, sample.record['source_id'], count, self._key,
        self._purpose))
    labels = {fields.GT_BOXES: _with_pasted(sample, 'boxes'),
              fields.GT_CLASSES: _with_pasted(sample, 'classes')}
    if self._has_masks:
      masks, = mask_crops.crop_sample(
          sample, sample.boxes, [self._section.mask_crop_size], self._section)
      labels[fields.GT_MASKS] = _with_pasted(
          sample._replace(masks=masks), 'masks')
    return {name: preprocess.pad_or_clip(values, count, -1)
            for name, values in labels.items()}

  def spec(self):
    count, side = self._section.max_num_instances, self._section.mask_crop_size
    spec = {fields.GT_BOXES: tf.TensorSpec([count, 4], tf.float32),
            fields.GT_CLASSES: tf.TensorSpec([count], tf.int64)}
    if self._has_masks:
      spec[fields.GT_MASKS] = tf.TensorSpec([count, side, side], tf.float32)
    return spec

  def padding(self):
    spec = self.spec()
    return labellers.filled(spec, dict.fromkeys(spec, -1))


def _with_pasted(sample, name):
  """A field of the sample, followed by that of the pasted objects."""
  values = getattr(sample, name)
  if sample.pasted is None:
    return values
  return tf.concat([values, getattr(sample.pasted, name)], axis=0)
