"""ShapeMask's composition, with parts made by hand."""

import types

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from configs import factory as config_factory
from dataloader import factory as dataloader_factory
from modeling import factory
from modeling import shape_mask_branch
from modeling import shapemask
from tests.modeling import test_labels_spec
from utils import modes
from utils import shape_priors

SECTION = types.SimpleNamespace(
    shape_prior_loss_weight=.5, coarse_mask_loss_weight=2.,
    fine_mask_loss_weight=3.)


def _branch(calls):
  """Heads that note their boxes; masks tell the class, logits the head."""
  def prior(features, boxes, outer_boxes, classes):
    calls.append((features, boxes, outer_boxes))
    masks = tf.ones([1, boxes.shape[1].value, 2, 2]) * tf.cast(
        classes, tf.float32)[:, :, tf.newaxis, tf.newaxis]
    return masks[..., tf.newaxis], masks
  def coarse(crops, masks, classes, is_training):
    calls.append(is_training)
    return masks + 1.
  def fine(crops, logits, classes, is_training):
    return tf.tile(logits - 1., [1, 1, 2, 2])
  return shape_mask_branch.ShapeMaskBranch(prior, coarse, fine, 2., SECTION)


class _Trunk:
  """RetinaNet of one box of 4 x 8 pixels at the right border."""

  def outputs_and_features(self, images, labels, mode):
    outputs = {'cls_outputs': {}, 'box_outputs': {}}
    if mode != modes.TRAIN and labels.get('apply_nms', True):
      outputs['detection_boxes'] = tf.constant([[[10., 24., 14., 32.]]])
      outputs['detection_classes'] = tf.constant([[3]])
    return outputs, {3: images}

  def losses(self, outputs, labels):
    return {'cls_loss': tf.constant(5.), 'box_loss': tf.constant(7.),
            'model_loss': tf.constant(100.)}

  def predictions(self, outputs, labels, with_losses):
    return {'with_losses': with_losses}


def _model(calls=None):
  return shapemask.ShapeMask(_Trunk(), _branch([] if calls is None else calls))


def test_masks_of_the_labels_in_training():
  calls = []
  boxes = tf.zeros([1, 2, 4])
  labels = {'mask_boxes': boxes, 'mask_outer_boxes': boxes + 1.,
            'mask_classes': tf.constant([[3, 0]])}
  outputs = _model(calls).outputs(tf.zeros([1, 32, 32, 3]), labels, modes.TRAIN)
  assert calls[0][1] is boxes and calls[0][2] is labels['mask_outer_boxes']
  assert calls[1] is True
  assert 'detection_masks' not in outputs
  with tf.Session() as session:
    outputs = session.run({k: v for k, v in outputs.items()
                           if not isinstance(v, dict)})
  np.testing.assert_allclose(outputs['prior_masks'][0, :, 0, 0], [3., 0.])
  np.testing.assert_allclose(outputs['coarse_mask_logits'][0, :, 0, 0],
                             [4., 1.])
  assert outputs['fine_mask_logits'].shape == (1, 2, 4, 4)


def test_masks_of_detections():
  calls = []
  outputs = _model(calls).outputs(tf.zeros([1, 32, 32, 3]), {}, modes.PREDICT)
  assert calls[1] is False
  with tf.Session() as session:
    outputs = session.run({k: v for k, v in outputs.items()
                           if not isinstance(v, dict)})
  # Twice as large about (12, 28), clipped to the network input.
  np.testing.assert_allclose(outputs['detection_outer_boxes'],
                             [[[8., 20., 16., 31.]]])
  np.testing.assert_allclose(outputs['detection_masks'][0, 0],
                             1. / (1. + np.exp(-3.)), rtol=1e-5)


def test_raw_boxes_have_no_masks():
  outputs = _model().outputs(tf.zeros([1, 32, 32, 3]), {'apply_nms': False},
                             modes.PREDICT)
  assert sorted(outputs) == ['box_outputs', 'cls_outputs']


def test_losses():
  """Of two masks that are full; one of them is valid."""
  ones = tf.ones([1, 2, 2, 2])
  outputs = {'prior_masks': ones * .5, 'coarse_mask_logits': ones * 0.,
             'fine_mask_logits': tf.ones([1, 2, 4, 4])}
  labels = {'mask_targets': ones, 'fine_mask_targets': tf.ones([1, 2, 4, 4]),
            'mask_is_valid': tf.constant([[1, 0]])}
  with tf.Session() as session:
    losses = session.run(_model().losses(outputs, labels))
  prior, coarse, fine = .125 / 2, np.log(2.) / 2, np.log1p(np.exp(-1.)) / 2
  assert losses == pytest.approx({
      'retinanet_cls_loss': 5., 'retinanet_box_loss': 7.,
      'shapemask_prior_loss': prior, 'shapemask_coarse_mask_loss': coarse,
      'shapemask_fine_mask_loss': fine,
      'model_loss': 100. + .5 * prior + 2. * coarse + 3. * fine})


def test_losses_need_masks():
  with pytest.raises(ValueError, match="'mask_targets'.*eval.skip_eval_loss"):
    _model().losses({}, {})


def test_predictions_are_those_of_the_trunk():
  for with_losses in (False, True):
    assert _model().predictions({}, {}, with_losses) == {'with_losses': False}


def test_losses_of_an_evaluation_are_those_of_training():
  """Of each image alone, without a variable or a detection of their own."""
  model = factory.build_model(_config())
  labels = test_labels_spec.random_batch(dataloader_factory.build_parser(
      _config(), modes.PREDICT_WITH_GT).labels_spec())
  batch, side = test_labels_spec.BATCH, test_labels_spec.SIDE
  # Boxes that are some.
  boxes = np.random.RandomState(2).uniform(0, side / 2, [batch, 3, 4])
  boxes[..., 2:] += boxes[..., :2] + 4
  labels['mask_boxes'] = labels['mask_outer_boxes'] = tf.constant(
      boxes, tf.float32)
  labels['mask_is_valid'] = tf.constant([[1, 1, 0], [1, 0, 0]])
  images = tf.constant(np.random.RandomState(1).randn(batch, side, side, 3),
                       tf.float32)
  info = {'image_info': labels['image_info']}
  without = model.predictions(model.outputs(images, info, modes.PREDICT), info)
  variables = list(tf.global_variables())
  def part(nest, i):
    return tf.nest.map_structure(lambda t: t[i:i + 1], nest)
  with tf.variable_scope('', reuse=True):
    outputs = model.outputs(images, labels, modes.PREDICT)
    with_losses = model.predictions(outputs, labels)
    # What training computes, but with the batch statistics of inference.
    outputs.update(outputs['outputs_of_losses'])
    alone = [model.losses(part(outputs, i), part(labels, i))
             for i in range(batch)]
  assert tf.global_variables() == variables
  with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    without, with_losses, alone = session.run([without, with_losses, alone])
  for name, value in without.items():
    np.testing.assert_array_equal(with_losses[name], value, name)
  names = {'retinanet_cls_loss': 'cls_loss', 'retinanet_box_loss': 'box_loss'}
  assert len(alone[0]) == 6
  for name in alone[0]:
    np.testing.assert_allclose(
        with_losses['loss_' + names.get(name, name)],
        [one[name] for one in alone], rtol=1e-4, err_msg=name)


def _config(**head):
  changes = dict(test_labels_spec.SMALL['shapemask'])
  changes['shapemask_head'] = dict(changes['shapemask_head'], **head)
  return config_factory.load_config('shapemask', None, changes)[0]


@pytest.mark.parametrize('use_category', [False, True])
def test_one_mask_for_all_classes_or_one_for_each(use_category, tmp_path):
  """Without categories, the reference reads priors that do not exist."""
  num_masks = 4 if use_category else 1
  path = tmp_path / 'priors.npy'
  path.write_bytes(shape_priors.to_bytes(np.ones([num_masks, 3, 8, 8])))
  model = factory.build_model(_config(use_category_for_mask=use_category,
                                      shape_prior_path=str(path)))
  outputs = model.outputs(
      tf.zeros([1, 64, 64, 3]), {'image_info': tf.ones([1, 4, 2])},
      modes.PREDICT)
  shapes = {v.op.name: v.shape.as_list() for v in tf.global_variables()}
  assert shapes['prior_mask/dense_1/kernel'] == [8, 3 * num_masks]
  assert shapes['coarse_mask/class-predict/kernel'] == [1, 1, 8, num_masks]
  assert shapes['fine_mask/class-predict/kernel'] == [1, 1, 8, num_masks]
  with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    masks = session.run(outputs['detection_masks'])
  assert masks.shape == (1, 5, 32, 32) and np.isfinite(masks).all()


def test_without_priors_it_says_so(monkeypatch):
  said = []
  monkeypatch.setattr(tf.logging, 'warning',
                      lambda text, *args: said.append(text % args))
  factory.build_model(_config())
  assert 'shapemask_head.shape_prior_path is not set' in said[0]


def test_priors_that_do_not_fit(tmp_path):
  with pytest.raises(ValueError, match='shape_prior_path: .*cannot be read'):
    factory.build_model(_config(shape_prior_path=str(tmp_path / 'none.npy')))
  path = tmp_path / 'priors.npy'
  path.write_bytes(shape_priors.to_bytes(np.ones([4, 3, 9, 9])))
  with pytest.raises(ValueError, match=r'float32 \[4, K, 8, 8\]'):
    factory.build_model(_config(shape_prior_path=str(path)))
