"""Tests of serving.segmentation_outputs: label maps as PNGs."""

import io

import numpy as np
from PIL import Image
import pytest
import tensorflow.compat.v1 as tf

from evaluation import segmentation_results
from serving import networks
from serving import segmentation_outputs
from utils import fields

# Rows original size, desired size, scale, offset.
INFOS = np.array([
    [[50, 80], [64, 64], [40 / 50., 64 / 80.], [0, 0]],
    [[200, 100], [64, 64], [64 / 200., 32 / 100.], [0, 0]],
    [[17, 23], [64, 64], [47 / 17., 64 / 23.], [0, 0]],
    [[30, 40], [64, 64], [1, 1], [0, 0]],
    [[80, 70], [64, 64], [1, 1], [0, 0]]], np.float32)


@pytest.mark.parametrize('row', range(len(INFOS)))
def test_sizes_of_images_as_outside_of_the_graph(row):
  values = np.random.RandomState(row).randint(0, 9, [64, 64, 1])
  with tf.Session() as session:
    resized = session.run(segmentation_outputs.to_image_size(
        tf.constant(values), tf.constant(INFOS[row])))
  np.testing.assert_array_equal(
      resized[:, :, 0], segmentation_results.to_image_size(
          values[:, :, 0].astype(np.int32), INFOS[row]))


def _pngs(largest, thresholds, num_images=2):
  """{key: value}: label maps and scores of PNGs, and `key`."""
  rng = np.random.RandomState(0)
  masks = rng.randint(0, largest + 1, [num_images, 64, 64, 1], np.int32)
  masks[0, 0, 0] = largest
  scores = rng.uniform(0., 1., masks.shape).astype(np.float32)
  more, outputs = segmentation_outputs.with_pngs(
      {fields.MASKS: tf.constant(masks),
       networks.PIXEL_SCORES: tf.constant(scores)},
      tf.constant(np.tile(INFOS[3], [num_images, 1, 1])))
  feeds = {} if thresholds is None else {
      more[segmentation_outputs.THRESHOLDS]: thresholds}
  with tf.Session() as session:
    values = session.run(outputs, feeds)
  for name in ('category_bytes', 'score_bytes'):
    values[name] = [np.asarray(Image.open(io.BytesIO(png)))
                    for png in values[name]]
  return masks[:, :30, :40, 0], scores[:, :30, :40, 0], values


@pytest.mark.parametrize('largest', [20, 255, 300])
def test_classes_survive_the_png(largest):
  masks, _, values = _pngs(largest, None)
  for png, mask in zip(values['category_bytes'], masks):
    np.testing.assert_array_equal(png.astype(np.int32), mask)
  assert list(values['key']) == [b'default']


@pytest.mark.parametrize('thresholds', [[.5], [.2, .8], None])
def test_scores_above_the_threshold(thresholds):
  _, scores, values = _pngs(3, thresholds)
  for i, png in enumerate(values['score_bytes']):
    threshold = (thresholds or [0.])[min(i, len(thresholds or [0]) - 1)]
    expected = np.where(scores[i] > threshold, np.floor(scores[i] * 255), 0)
    np.testing.assert_array_equal(png, expected)
