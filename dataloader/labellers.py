"""Labellers that several parsers share, and `Labels`, which combines them.

A labeller is an object with `__call__` (Sample -> labels), `spec()` (the nest
of tf.TensorSpec of these labels) and `padding()` (labels of an example without
content, which fills up the last batch of an evaluation). Labels are a dict with
the keys of utils/fields.py, so that labellers can be combined. The docstring of
a labeller's class describes them: names, types, shapes, of one image.
"""

import tensorflow.compat.v1 as tf

from dataloader import source_ids
from ops import anchors as anchor_ops
from ops import preprocess
from ops import views as view_ops
from utils import fields


class Labels:
  """The labels of several labellers in one dict."""

  def __init__(self, *labellers):
    self._labellers = labellers

  def __call__(self, sample):
    return _merged(labeller(sample) for labeller in self._labellers)

  def spec(self):
    return _merged(labeller.spec() for labeller in self._labellers)

  def padding(self):
    return _merged(labeller.padding() for labeller in self._labellers)


def _merged(parts):
  result = {}
  for part in parts:
    result.update(part)
  return result


class Named:
  """A labeller whose labels are one tensor, as a dict with one key."""

  def __init__(self, key, labeller):
    self._key, self._labeller = key, labeller

  def __call__(self, sample):
    return {self._key: self._labeller(sample)}

  def spec(self):
    return {self._key: self._labeller.spec()}

  def padding(self):
    return {self._key: self._labeller.padding()}


class ImageInfo:
  """`image_info` float32 [4, 2]: from the network input back to the image.

  Rows: original size, desired size, scale, offset, each (y, x).
  """

  def __init__(self, image_size):
    """Takes (height, width), ints, of the network input."""
    self._size = [float(side) for side in image_size]

  def __call__(self, sample):
    return {fields.IMAGE_INFO: sample.image_info}

  def spec(self):
    return {fields.IMAGE_INFO: tf.TensorSpec([4, 2], tf.float32)}

  def padding(self):
    return {fields.IMAGE_INFO: tf.constant(
        [self._size, self._size, [1., 1.], [0., 0.]])}


class Views:
  """`views`: the image in other sizes and mirrored; see utils/views.py."""

  def __init__(self, views, output_size, stride, dtype):
    """Takes what they are.

    Args:
      views: [utils.views.View], without the plain one.
      output_size: (height, width), ints, that plain images are fitted into.
      stride: int, that sides of the network input are multiples of.
      dtype: type of the images, 'float32' or 'bfloat16'.
    """
    self._views = list(views)
    self._output_size, self._stride = output_size, stride
    self._dtype = tf.as_dtype(dtype)

  def __call__(self, sample):
    result = {}
    for index, view in enumerate(self._views):
      image, image_info = view_ops.make(
          sample.record['image'], view, self._output_size, self._stride)
      result[index] = self._labels(tf.cast(image, self._dtype), image_info)
    return {fields.VIEWS: result}

  def _labels(self, image, image_info):
    return {fields.IMAGES: image, fields.IMAGE_INFO: image_info}

  def _padded_size(self, view):
    return preprocess.compute_padded_size(view.size(self._output_size),
                                          self._stride)

  def spec(self):
    return {fields.VIEWS: {index: self._labels(
        tf.TensorSpec(self._padded_size(view) + [3], self._dtype),
        tf.TensorSpec([4, 2], tf.float32))
                           for index, view in enumerate(self._views)}}

  def padding(self):
    return {fields.VIEWS: {index: dict(
        ImageInfo(self._padded_size(view)).padding(),
        **{fields.IMAGES: tf.zeros(self._padded_size(view) + [3],
                                   self._dtype)})
                           for index, view in enumerate(self._views)}}


class SourceId:
  """`source_id`: int64 [], the id of the image; see source_ids."""

  def __call__(self, sample):
    return {fields.SOURCE_ID: source_ids.to_int64(sample.record['source_id'])}

  def spec(self):
    return {fields.SOURCE_ID: tf.TensorSpec([], tf.int64)}

  def padding(self):
    return {fields.SOURCE_ID: tf.constant(fields.PADDING_ID, tf.int64)}


class AnchorBoxes:
  """`anchor_boxes` of every level, for models that do not compute them.

  {level: float32 [h*w*A, 4]}, yxyx, pixels of the network input.
  """

  def __init__(self, anchor_boxes):
    """Takes {level: float32 NumPy array [h*w*A, 4]}."""
    self._boxes = anchor_boxes

  def __call__(self, sample):
    del sample
    return {fields.ANCHOR_BOXES: {
        level: tf.constant(boxes) for level, boxes in self._boxes.items()}}

  def spec(self):
    return {fields.ANCHOR_BOXES: {
        level: tf.TensorSpec(boxes.shape, tf.float32)
        for level, boxes in self._boxes.items()}}

  def padding(self):
    return filled(self.spec())


def filled(spec, values=None):
  """Labels without content.

  Args:
    spec: {label: nest of tf.TensorSpec}.
    values: {label: number that fills it}, where that is not 0.

  Returns:
    {label: nest of tensors}.
  """
  def fill(part, value):
    return tf.nest.map_structure(
        lambda s: tf.fill(s.shape, tf.cast(value, s.dtype)), part)
  return {name: fill(part, (values or {}).get(name, 0))
          for name, part in spec.items()}


def anchor_spec(anchors, image_size, depth, dtype):
  """tf.TensorSpec of a label with `depth` numbers for every anchor.

  Args:
    anchors: ops.anchors.AnchorGenerator; A anchors in a cell.
    image_size: (height, width), ints, of the network input.
    depth: int.
    dtype: type of the numbers.

  Returns:
    {level: TensorSpec [h, w, A * depth]}.
  """
  depth *= anchors.anchors_per_location
  return {level: tf.TensorSpec(
      anchor_ops.cells(image_size, level) + (depth,), dtype)
          for level in range(anchors.min_level, anchors.max_level + 1)}
