"""Losses of an evaluation: of each image, whatever batch it came in."""

import types

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from modeling import box_branch
from modeling import mask_branch
from modeling import maskrcnn
from modeling import retinanet
from modeling import rpn
from modeling import segmentation
from modeling import shape_mask_branch
from modeling import shapemask

_NUM_CLASSES = 3
_SECTION = types.SimpleNamespace(
    normalizer_momentum=0., focal_loss_alpha=.25, focal_loss_gamma=1.5,
    huber_loss_delta=.1, box_loss_weight=50.)
_MASKS = types.SimpleNamespace(
    shape_prior_loss_weight=.1, coarse_mask_loss_weight=2.,
    fine_mask_loss_weight=3.)
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


def _two_stage(num_images=5):
  """A cascade's of two stages; the images have 0, 2, 4 ... RoIs of objects."""
  random = np.random.RandomState(2)
  count, side, places = 9, 6, 2 * np.arange(num_images)[:, np.newaxis]
  def normal(*shape):
    return random.normal(size=(num_images,) + shape).astype(np.float32)
  outputs = {'rpn_score_outputs': {}, 'rpn_box_outputs': {}}
  labels = {'rpn_score_targets': {}, 'rpn_box_targets': {}}
  for level in (3, 4):
    shape = 8 >> level - 2, 8 >> level - 2
    outputs['rpn_score_outputs'][level] = normal(*shape, 3)
    outputs['rpn_box_outputs'][level] = normal(*shape, 12)
    labels['rpn_score_targets'][level] = random.randint(
        -1, 2, (num_images,) + shape + (3,)).astype(np.int32)
    labels['rpn_box_targets'][level] = random.choice(
        [0., .3, -2.], (num_images,) + shape + (12,)).astype(np.float32)
  classes = np.where(np.arange(count) < places, random.randint(
      1, _NUM_CLASSES, [num_images, count]), 0).astype(np.int32)
  for stage in ('_0', '_1'):
    outputs.update({
        'class_outputs' + stage: normal(count, _NUM_CLASSES),
        'box_outputs' + stage: normal(count, 4 * _NUM_CLASSES),
        'class_targets' + stage: classes, 'box_targets' + stage: normal(
            count, 4) * (classes > 0)[..., np.newaxis]})
  outputs.update({
      'mask_outputs': normal(count, side, side),
      'mask_targets': (normal(count, side, side) > 0).astype(np.float32),
      'sampled_class_targets': classes})
  stages = [box_branch.Stage(None, None, (1.,) * 4, stage)
            for stage in ('_0', '_1')]
  model = maskrcnn.MaskRCNN(
      None, None, rpn.RegionProposalNetwork(None, None, {}, {}, 16, .1),
      box_branch.BoxBranch(stages, None, .5),
      mask_branch.MaskBranch(None, 3, side, count))
  return model, outputs, labels


def _shape_masks(num_images=5):
  """ShapeMask's; the images have 0, 1, 2 ... valid masks."""
  random = np.random.RandomState(3)
  trunk, outputs, labels = _dense(num_images)
  count = num_images - 1
  is_valid = np.arange(count) < np.arange(num_images)[:, np.newaxis]
  def masks(side):
    return random.uniform(size=[num_images, count, side, side]
                          ).astype(np.float32)
  outputs.update(prior_masks=masks(4), coarse_mask_logits=masks(4) - .5,
                 fine_mask_logits=masks(8) - .5)
  outputs['outputs_of_losses'] = {
      name: outputs[name] for name in (
          'prior_masks', 'coarse_mask_logits', 'fine_mask_logits')}
  labels.update(mask_is_valid=is_valid.astype(np.int32))
  for name, side in (('mask_targets', 4), ('fine_mask_targets', 8)):
    labels[name] = (masks(side) * is_valid[..., np.newaxis, np.newaxis] > .5
                    ).astype(np.float32)
  return shapemask.ShapeMask(trunk, shape_mask_branch.ShapeMaskBranch(
      None, None, None, 1.25, _MASKS)), outputs, labels


# What ShapeMask calls a loss in training: in an evaluation.
_OTHER_NAMES = {'retinanet_cls_loss': 'cls_loss',
                'retinanet_box_loss': 'box_loss'}
_MAKES = [_dense, _pixels, _two_stage, _shape_masks]


def _part(nest, first, last):
  return tf.nest.map_structure(lambda x: tf.constant(x[first:last]), nest)


@pytest.mark.parametrize('make', _MAKES)
def test_are_those_of_a_batch_of_one(make):
  model, outputs, labels = make()
  of_images = model.image_losses(_part(outputs, 0, 5), _part(labels, 0, 5))
  alone = [model.losses(_part(outputs, i, i + 1), _part(labels, i, i + 1))
           for i in range(5)]
  with tf.Session() as session:
    of_images, alone = session.run([of_images, alone])
  alone = [{_OTHER_NAMES.get(name, name): value
            for name, value in one.items() if not name.startswith('fg_bg')}
           for one in alone]
  assert sorted(of_images) == sorted(alone[0])
  for name, values in of_images.items():
    np.testing.assert_allclose(values, [one[name] for one in alone], rtol=1e-5)


@pytest.mark.parametrize('sizes', [(1, 4), (2, 3), (5,)])
@pytest.mark.parametrize('make', _MAKES)
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


def _logits(targets):
  return 40. * targets - 20.


def test_perfect_heads_of_two_stages_lose_nothing():
  model, outputs, labels = _two_stage()
  for level, targets in labels['rpn_score_targets'].items():
    outputs['rpn_score_outputs'][level] = _logits(targets.astype(np.float32))
    outputs['rpn_box_outputs'][level] = labels['rpn_box_targets'][level]
  outputs['mask_outputs'] = _logits(outputs['mask_targets'])
  for stage in ('_0', '_1'):
    hot = np.eye(_NUM_CLASSES, dtype=np.float32)[
        outputs['class_targets' + stage]]
    outputs['class_outputs' + stage] = _logits(hot)
    outputs['box_outputs' + stage] = np.tile(
        outputs['box_targets' + stage], [1, 1, _NUM_CLASSES])
  _check_zero(model.image_losses(_part(outputs, 0, 5), _part(labels, 0, 5)))


def test_perfect_masks_lose_nothing():
  model, outputs, labels = _shape_masks()
  outputs['outputs_of_losses'] = {
      'prior_masks': labels['mask_targets'],
      'coarse_mask_logits': _logits(labels['mask_targets']),
      'fine_mask_logits': _logits(labels['fine_mask_targets'])}
  losses = model.image_losses(_part(outputs, 0, 5), _part(labels, 0, 5))
  _check_zero({name: value for name, value in losses.items()
               if name.startswith('shapemask')})


def _check_zero(losses):
  with tf.Session() as session:
    losses = session.run(losses)
  for name, values in losses.items():
    np.testing.assert_allclose(values, np.zeros(5), atol=1e-6, err_msg=name)


def test_masks_without_a_pixel_lose_nothing():
  """Their number would be divided by."""
  model, outputs, labels = _shape_masks()
  for name in ('mask_targets', 'fine_mask_targets'):
    labels[name] = np.zeros_like(labels[name])
  losses = model.image_losses(_part(outputs, 0, 5), _part(labels, 0, 5))
  _check_zero({name: value for name, value in losses.items()
               if name.startswith('shapemask')})
