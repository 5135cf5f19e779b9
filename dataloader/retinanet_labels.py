"""The labels of RetinaNet, which ShapeMask also uses."""

import tensorflow.compat.v1 as tf

from dataloader import labellers
from ops import matching
from ops import targets
from utils import fields


class AnchorTargets:
  """The targets of every anchor of a dense head; arXiv:1708.02002, section 4.

  Per level `cls_targets` int32 [h, w, A], the class id, -1 background, -2
  ignored, and `box_targets` float32 [h, w, 4A], (dy, dx, dh, dw);
  `num_positives` float32 []. See ops.targets.label_retinanet_anchors.
  """

  def __init__(self, section, anchors, image_size):
    """Takes the settings.

    Args:
      section: YAML section of the parser.
      anchors: ops.anchors.AnchorGenerator.
      image_size: (height, width), ints, of the network input.
    """
    self._section = section
    self._anchors = anchors
    self._image_size = image_size

  def __call__(self, sample):
    cls_targets, box_targets, num_positives = targets.label_retinanet_anchors(
        self._anchors.boxes(self._image_size), sample.boxes, sample.classes,
        self._image_size, self._section.match_threshold,
        self._section.unmatched_threshold)
    return {fields.CLS_TARGETS: cls_targets, fields.BOX_TARGETS: box_targets,
            fields.NUM_POSITIVES: num_positives}

  def spec(self):
    def per_anchor(depth, dtype):
      return labellers.anchor_spec(self._anchors, self._image_size, depth,
                                   dtype)
    return {fields.CLS_TARGETS: per_anchor(1, tf.int32),
            fields.BOX_TARGETS: per_anchor(4, tf.float32),
            fields.NUM_POSITIVES: tf.TensorSpec([], tf.float32)}

  def padding(self):
    return labellers.filled(self.spec(),
                            {fields.CLS_TARGETS: matching.IGNORED})
