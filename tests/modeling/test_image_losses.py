"""Losses of an evaluation: of each image, whatever batch it came in."""

import types

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from modeling import retinanet
from modeling import segmentation

_NUM_CLASSES = 3
_SECTION = types.SimpleNamespace(
    normalizer_momentum=0., focal_loss_alpha=.25, focal_loss_gamma=1.5,
    huber_loss_delta=.1, box_loss_weight=50.)
_PIXELS = types.SimpleNamespace(
    ignore_label=255, use_groundtruth_dimension=True,
    class_weights=(1., 2., 3.), label_smoothing=.1)


def _dense(num_images=5):
  """RetinaNet's losses, outputs and labels with 0, 3, 6 ... positives."""
  random = np.random.RandomState(0)
  outputs, labels = {}, {}
  def of_levels(make):
    return {level: make(8 >> level) for level in (1, 2)}
  outputs['cls_outputs'] = of_levels(lambda side: random.normal(
      size=[num_images, side, side, 2 * _NUM_CLASSES]).astype(np.float32))
  outputs['box_outputs'] = of_levels(lambda side: random.normal(
      size=[num_images, side, side, 8]).astype(np.float32))
  labels['cls_targets'] = of_levels(lambda side: random.randint(
      -2, _NUM_CLASSES, [num_images, side, side, 2]).astype(np.int32))
  labels['box_targets'] = of_levels(lambda side: random.choice(
      [0., .3, -2.], [num_images, side, side, 8]).astype(np.float32))
  labels['num_positives'] = 3. * np.arange(num_images, dtype=np.float32)
  model = retinanet.RetinaNet(None, None, None, None, None, _SECTION,
                              _NUM_CLASSES)
  return model, outputs, labels


def _pixels(num_images=5):
  """A segmentation model's; the images have unequal numbers of pixels."""
  random = np.random.RandomState(1)
  masks = random.randint(0, _NUM_CLASSES, [num_images, 8, 8, 1])
  for i in range(num_images):
    masks[i, :2 * i] = 255
  model = segmentation.Segmentation(None, None, None, 3, _PIXELS, _NUM_CLASSES)
  return model, {'logits': random.normal(
      size=[num_images, 4, 4, _NUM_CLASSES]).astype(np.float32)}, {
          'masks': masks.astype(np.float32)}


def _part(nest, first, last):
  return tf.nest.map_structure(lambda x: tf.constant(x[first:last]), nest)


@pytest.mark.parametrize('make', [_dense, _pixels])
def test_are_those_of_a_batch_of_one(make):
  model, outputs, labels = make()
  of_images = model.image_losses(_part(outputs, 0, 5), _part(labels, 0, 5))
  alone = [model.losses(_part(outputs, i, i + 1), _part(labels, i, i + 1))
           for i in range(5)]
  with tf.Session() as session:
    of_images, alone = session.run([of_images, alone])
  assert sorted(of_images) == sorted(alone[0])
  for name, values in of_images.items():
    np.testing.assert_allclose(values, [one[name] for one in alone], rtol=1e-5)


@pytest.mark.parametrize('sizes', [(1, 4), (2, 3), (5,)])
@pytest.mark.parametrize('make', [_dense, _pixels])
def test_do_not_depend_on_the_batch(make, sizes):
  model, outputs, labels = make()
  first, parts = 0, []
  for size in sizes:
    parts.append(model.image_losses(_part(outputs, first, first + size),
                                    _part(labels, first, first + size)))
    first += size
  whole = model.image_losses(_part(outputs, 0, 5), _part(labels, 0, 5))
  with tf.Session() as session:
    parts, whole = session.run([parts, whole])
  for name, values in whole.items():
    np.testing.assert_allclose(
        np.concatenate([part[name] for part in parts]), values, rtol=1e-5)
