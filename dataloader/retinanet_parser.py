"""One record to the input and the targets of RetinaNet."""

import tensorflow.compat.v1 as tf

from dataloader import detection_parser
from ops import matching
from ops import targets
from utils import fields
from utils import modes


class DenseParser(detection_parser.DetectionParser):
  """Labels the anchors of a dense head; arXiv:1708.02002, section 4."""

  WITH_TARGETS = (modes.TRAIN, modes.EVAL, modes.PREDICT_WITH_GT)
  WITH_SOURCE_ID = (modes.PREDICT,)

  def _targets(self, sample, decoded, draws):
    del decoded, draws
    cls_targets, box_targets, num_positives = targets.label_retinanet_anchors(
        self._anchor_boxes, sample.boxes, sample.classes, self._padded_size,
        self._section.match_threshold, self._section.unmatched_threshold)
    return {fields.CLS_TARGETS: cls_targets, fields.BOX_TARGETS: box_targets,
            fields.NUM_POSITIVES: num_positives}

  def _targets_spec(self):
    return {fields.CLS_TARGETS: self._level_specs(1, tf.int32),
            fields.BOX_TARGETS: self._level_specs(4, tf.float32),
            fields.NUM_POSITIVES: tf.TensorSpec([], tf.float32)}

  def _padding_values(self):
    return {fields.CLS_TARGETS: matching.IGNORED}


class RetinanetParser(DenseParser):
  """Decodes, augments, resizes and labels."""

  SECTION = 'retinanet_parser'
