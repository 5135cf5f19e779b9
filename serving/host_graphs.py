"""Small graphs beside an exported model: before it, and behind it."""

import tensorflow.compat.v1 as tf

from ops import detections
from ops import nms_candidates
from ops import preprocess
from serving import inputs


class Preparation:
  """Brings images to what a fixed input takes."""

  def __init__(self):
    self._sessions = {}

  def _run(self, image, key, function):
    if key not in self._sessions:
      with tf.Graph().as_default() as graph:
        fed = tf.placeholder(tf.uint8, [None, None, 3])
        results = function(fed)
        self._sessions[key] = tf.Session(graph=graph), fed, results
    session, fed, results = self._sessions[key]
    return session.run(results, {fed: image})

  def prepared(self, image, spec):
    """(float32 [h, w, 3], image_info)."""
    return self._run(image, ('prepared', spec),
                     lambda fed: inputs.prepare(fed, spec))

  def info(self, image, spec):
    """image_info of the image in the network's input."""
    return self._run(image, ('info', spec),
                     lambda fed: inputs.prepare(fed, spec)[1])

  def placed(self, image, spec):
    """(uint8 [h, w, 3], image_info): the image fits into the pixels fed."""
    def place(fed):
      pixels, info = preprocess.resize_and_crop_image(fed, spec.size, spec.size)
      return tf.cast(tf.round(pixels), tf.uint8), info
    return self._run(image, ('placed', spec), place)


class Suppression:
  """Non-maximum suppression of raw boxes, by the rules of a configuration."""

  def __init__(self, config):
    """Takes an experiment; None: the rules of the defaults."""
    self._config, self._session = config, None

  def __call__(self, boxes, scores):
    """{name: array [B, ...]} of arrays [B, N, 1 or C, 4] and [B, N, C]."""
    if self._session is None:
      self._build(boxes.shape, scores.shape)
    return self._session.run(
        self._results, {self._boxes: boxes, self._scores: scores})

  def _build(self, boxes_shape, scores_shape):
    with tf.Graph().as_default() as graph:
      self._boxes = tf.placeholder(tf.float32, (None,) + boxes_shape[1:])
      self._scores = tf.placeholder(tf.float32, (None,) + scores_shape[1:])
      options = {}
      if self._config:
        section = self._config.postprocess
        options = {name: getattr(section, name) for name in (
            'nms_version', 'use_batched_nms', 'max_total_size',
            'nms_iou_threshold', 'score_threshold', 'pre_nms_num_boxes')}
      self._results = detections.detect(
          _RawOutputs(self._boxes, self._scores), **options)
      self._session = tf.Session(graph=graph)


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
