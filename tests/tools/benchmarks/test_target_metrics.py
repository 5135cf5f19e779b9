"""Tests of tools.benchmarks.target_metrics: the same figures by any program."""

import io

import numpy as np
from PIL import Image
import tensorflow.compat.v1 as tf

from serving import networks
from tests.serving import small_models
from tools.benchmarks import target_metrics
from utils import fields

LABELS = [1, 2, 3, 1, 2, 3, 1, 2, 3, 4, 5]  # of more than one batch


def _config(folder):
  """A classifier whose validation set is grey images, one shade each."""
  path = str(folder / 'val')
  with tf.python_io.TFRecordWriter(path) as writer:
    for i, label in enumerate(LABELS):
      stream = io.BytesIO()
      Image.new('RGB', (64, 64), (20 * i,) * 3).save(stream, 'PNG')
      writer.write(tf.train.Example(features=tf.train.Features(feature={
          'image/encoded': tf.train.Feature(bytes_list=tf.train.BytesList(
              value=[stream.getvalue()])),
          'image/class/label': tf.train.Feature(
              int64_list=tf.train.Int64List(value=[label]))}))
                   .SerializeToString())
  return small_models.config('classification', eval__eval_file_pattern=path)


def test_the_accuracy_of_any_function(tmp_path):
  """The shade of an image says which one it is."""
  shown = []

  def run(images, info):
    assert info.shape == (len(images), 4, 2)
    number = np.round((images[:, 0, 0, 0] * .229 + .485) * 255 / 20.)
    shown.extend(number.astype(int).tolist())
    answers = np.zeros([len(images), 7], np.float32)
    for row, i in enumerate(number.astype(int)):
      # The last two are wrong, one of them is second.
      answers[row, LABELS[i]] = .9 if i < 9 else .3 * (i == 9)
      answers[row, 0] += .5
    return {networks.PROBABILITIES: answers}

  metrics = target_metrics.metrics(_config(tmp_path), run)
  assert shown[:11] == list(range(11))  # then padding, which does not count
  assert metrics['top_1_accuracy'] == np.float64(9 / 11.)


class _Model:
  """A converted model of a fixed batch: what it is shown counts."""

  batch_size = 2

  def __init__(self):
    self.shapes = []

  def run(self, images):
    self.shapes.append(images.shape)
    boxes = np.tile(images[:, :1, 0], [1, 1, 2])[:, :, [0, 1, 0, 1]] * 0.
    return {fields.DETECTION_BOXES: boxes + np.float32([-9, 2, 90, 70]),
            fields.NUM_DETECTIONS: images[:, 0, 0, 0].astype(np.int32)}


def test_batches_are_filled_up_and_boxes_end_with_the_image():
  model = _Model()
  run = target_metrics.of_target(model, None)
  images = np.arange(3, dtype=np.float32)[:, None, None, None] * np.ones(
      [1, 4, 4, 3], np.float32)
  info = np.tile(np.float32([[[50, 60], [40, 64], [1, 1], [0, 0]]]), [3, 1, 1])
  answers = run(images, info)
  assert model.shapes == [(2, 4, 4, 3)] * 2
  np.testing.assert_array_equal(answers[fields.NUM_DETECTIONS], [0, 1, 2])
  np.testing.assert_array_equal(
      answers[fields.DETECTION_BOXES], [[[0, 2, 40, 64]]] * 3)
