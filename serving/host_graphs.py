"""Small graphs beside an exported model: before it, and behind it.

Several threads may use them at once: predictor.Predictor does.
"""

import threading

import tensorflow.compat.v1 as tf

from ops import detections
from ops import nms_candidates
from ops import preprocess
from serving import inputs


class Preparation:
  """Brings images to what a fixed input takes."""

  def __init__(self):
    self._sessions = {}
    self._lock = threading.Lock()  # whoever comes first builds

  def _run(self, image, key, function):
    with self._lock:
      if key not in self._sessions:
        self._sessions[key] = self._build(function)
      session, fed, results = self._sessions[key]
    return session.run(results, {fed: image})

  def _build(self, function):
    with tf.Graph().as_default() as graph:
      fed = tf.placeholder(tf.uint8, [None, None, 3])
      return tf.Session(graph=graph), fed, function(fed)

  def prepared(self, image, spec):
    """(float32 [h, w, 3], image_info) of uint8 [H, W, 3]: inputs.prepare."""
    return self._run(image, ('prepared', spec),
                     lambda fed: inputs.prepare(fed, spec))

  def info(self, image, spec):
    """image_info float32 [4, 2] of uint8 [H, W, 3]; see inputs.prepare."""
    return self._run(image, ('info', spec),
                     lambda fed: inputs.prepare(fed, spec)[1])

  def placed(self, image, spec):
    """(uint8 [h, w, 3], image_info) of uint8 [H, W, 3], in the size fed."""
    def place(fed):
      pixels, info = preprocess.resize_and_crop_image(fed, spec.size, spec.size)
      return tf.cast(tf.round(pixels), tf.uint8), info
    return self._run(image, ('placed', spec), place)


class Suppression:
  """Non-maximum suppression of raw boxes, by the rules of a configuration."""

  def __init__(self, config):
    """Takes an experiment; None: the rules of the defaults."""
    self._config, self._built = config, None
    self._lock = threading.Lock()

  def __call__(self, boxes, scores):
    """{name: array [B, ...]} of ops.detections.detect.

    Args:
      boxes: float32 [B, N, 1 or C, 4], yxyx, pixels of the network's input.
      scores: float32 [B, N, C], without background.
    """
    with self._lock:
      if self._built is None:
        self._built = self._build(boxes.shape, scores.shape)
      session, fed, results = self._built
    return session.run(results, dict(zip(fed, (boxes, scores))))

  def _build(self, *shapes):
    """(session, placeholders of boxes and scores, results)."""
    with tf.Graph().as_default() as graph:
      fed = [tf.placeholder(tf.float32, (None,) + shape[1:])
             for shape in shapes]
      options = {}
      if self._config:
        section = self._config.postprocess
        options = {name: getattr(section, name) for name in (
            'nms_version', 'use_batched_nms', 'max_total_size',
            'nms_iou_threshold', 'score_threshold', 'pre_nms_num_boxes')}
      results = detections.detect(_RawOutputs(*fed), **options)
      return tf.Session(graph=graph), fed, results


class _RawOutputs:
  """Stands in for nms_candidates.DenseOutputs."""

  def __init__(self, boxes, scores):
    self._boxes, self._scores = boxes, scores

  def pool(self, size=None):
    """All boxes."""
    del size
    return nms_candidates.Pool(self._boxes, self._scores, None)

  def first_class_box(self):
    """Zeros: nobody looks at what fills unused places."""
    return tf.zeros_like(self._boxes[:, 0, 0])
