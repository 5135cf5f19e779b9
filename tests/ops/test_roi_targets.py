"""Tests of ops/roi_targets.py."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ops import boxes as box_ops
from ops import roi_targets
from tests import golden
from tests import runtimes
from tests.ops import test_sampling

_CASES = golden.load_cases('roi_sampling')


def _run(fetches, feeds=None):
  with tf.Session() as session:
    return session.run(fetches, feeds)


def _cases(*ends):
  return pytest.mark.parametrize(
      'case', [c for c in _CASES if c.name.endswith(ends)],
      ids=lambda case: case.name)


@_cases('matching')
def test_matching_equals_the_reference(case):
  matches, max_iou = _run(roi_targets.match_rois(
      tf.constant(case.inputs['boxes']), tf.constant(case.inputs['gt_boxes']),
      tf.constant(case.inputs['gt_classes'])))
  np.testing.assert_allclose(
      matches.matched_boxes, case.outputs['boxes'], atol=1e-4)
  np.testing.assert_array_equal(matches.classes, case.outputs['classes'])
  np.testing.assert_array_equal(matches.indices, case.outputs['indices'])
  np.testing.assert_allclose(max_iou, case.outputs['max_iou'], atol=1e-4)


def _sample(case, **draw):
  inputs, params = case.inputs, dict(case.params)
  if 'num_samples_per_image' in params:
    params['num_samples'] = params.pop('num_samples_per_image')
  return roi_targets.sample_rois(
      tf.constant(inputs['boxes']), tf.constant(inputs['gt_boxes']),
      tf.constant(inputs['gt_classes']), sample_padding=True,
      **dict(params, **draw))


@_cases('_ident', '_perm')
def test_sampling_equals_the_reference(case):
  sampled = _run(_sample(case, permutation=tf.constant(case.inputs['perm'])))
  for name, key in (('rois', 'rois'), ('matched_boxes', 'gt_boxes')):
    np.testing.assert_allclose(
        getattr(sampled, name), case.outputs[key], atol=1e-4)
  for name, key in (('classes', 'gt_classes'), ('indices', 'gt_indices')):
    np.testing.assert_array_equal(getattr(sampled, name), case.outputs[key])
    assert getattr(sampled, name).dtype == np.int32


@_cases('_random_counts')
def test_counts_of_random_draws_equal_the_reference(case):
  inputs = case.name.replace('random_counts', 'perm')
  case.inputs.update(case.meta['all_arrays'][inputs]['in'])
  sampled = _sample(case)
  with tf.Session() as session:
    for _ in range(3):
      classes = session.run(sampled.classes)
      for image, of_image in enumerate(classes):
        counts = [(of_image > 0).sum(), (of_image == 0).sum(),
                  (of_image < 0).sum()]
        expected = case.outputs['fg_bg_neg_counts'][:, image]
        if (expected == expected[0]).all():
          assert counts == expected[0].tolist()


@_cases('frcnn_box_targets')
def test_box_targets_equal_the_reference(case):
  inputs = case.inputs
  sampled = roi_targets.SampledRois(
      tf.constant(inputs['rois']), tf.constant(inputs['gt_boxes']),
      tf.constant(inputs['gt_classes']), None)
  targets = _run(roi_targets.encode_box_targets(
      sampled, case.params['weights']))
  np.testing.assert_allclose(targets, case.outputs['box_targets'], atol=1e-4)


@_cases('mask_8_14', 'mask_16_28')
def test_mask_targets_equal_the_reference(case):
  inputs = case.inputs or case.meta['all_arrays']['mask_8_14']['in']
  sampled = roi_targets.SampledRois(*[
      tf.constant(inputs[name])
      for name in ('rois', 'gt_boxes', 'gt_classes', 'gt_indices')])
  rois, classes, masks = _run(roi_targets.sample_mask_rois(
      sampled, tf.constant(inputs['gt_masks']),
      case.params['num_mask_samples_per_image'],
      case.params['mask_target_size']))
  np.testing.assert_allclose(rois, case.outputs['rois'], atol=1e-4)
  np.testing.assert_array_equal(classes, case.outputs['classes'])
  np.testing.assert_allclose(masks, case.outputs['masks'], atol=1e-4)


def _slow_iou(box, gt_box):
  """As match_rois measures it; -1 for padding."""
  if gt_box.max() < 0.:
    return np.float32(-1.)
  low, high = np.maximum(box[:2], gt_box[:2]), np.minimum(box[2:], gt_box[2:])
  intersection = np.prod(np.maximum(high - low, 0.))
  union = (np.prod(box[2:] - box[:2]) + np.prod(gt_box[2:] - gt_box[:2]) -
           intersection)
  return np.float32(intersection / (union + np.float32(1e-8)))


def _slow_sample(rois, gt_boxes, gt_classes, permutation, num_samples,
                 fg_fraction, fg_iou_thresh=.5, bg_iou_thresh_hi=.5,
                 bg_iou_thresh_lo=0., mix_gt_boxes=True, sample_padding=False):
  """One image, region by region; rows of (roi, box, class, index)."""
  if mix_gt_boxes:
    rois = np.concatenate([rois, gt_boxes])
  rows, candidates, objects = [], [], []
  for roi in rois:
    overlaps = [_slow_iou(roi, gt_box) for gt_box in gt_boxes]
    index = int(np.argmax(overlaps))
    best = overlaps[index]
    box, class_id = gt_boxes[index], gt_classes[index]
    if best <= 0.:
      box, class_id, index = np.zeros(4), 0, -1
    is_object = best > fg_iou_thresh
    is_background = bg_iou_thresh_lo <= best < bg_iou_thresh_hi
    if is_background:
      class_id, index = 0, 0
    rows.append((roi, box, class_id, index))
    objects.append(is_object)
    candidates.append((is_object or is_background) and
                      (sample_padding or roi.max() >= 0.))
  sampled = test_sampling.slow_balanced_sample(
      candidates, objects, num_samples, fg_fraction, permutation)
  order = np.argsort(~sampled, kind='stable')
  return [rows[row] for row in order[:num_samples]]


def _random_boxes(rng, shape, size=100.):
  centers = rng.uniform(0., size, shape + (2,))
  half = rng.uniform(2., size / 3., shape + (2,))
  return np.clip(np.concatenate([centers - half, centers + half], axis=-1), 0.,
                 size - 1.).astype(np.float32)


def _inputs(seed, num_rois=60, num_objects=(5, 2)):
  """(rois, gt_boxes, gt_classes) of images, with room for six objects."""
  rng = np.random.RandomState(seed)
  shape = (len(num_objects),)
  gt_boxes = _random_boxes(rng, shape + (6,))
  gt_classes = rng.randint(1, 9, shape + (6,))
  for image, count in enumerate(num_objects):
    gt_boxes[image, count:] = -1.
    gt_classes[image, count:] = -1
  return _random_boxes(rng, shape + (num_rois,)), gt_boxes, gt_classes


def _check(inputs, num_samples, fg_fraction, **params):
  """Compares with the slow path; returns the SampledRois."""
  rois, gt_boxes, gt_classes = inputs
  size = rois.shape[1]
  if params.get('mix_gt_boxes', True):
    size += gt_boxes.shape[1]
  rng = np.random.RandomState(1)
  permutation = np.stack([rng.permutation(size) for _ in rois])
  tensors = roi_targets.sample_rois(
      tf.constant(rois), tf.constant(gt_boxes), tf.constant(gt_classes),
      num_samples, fg_fraction, permutation=tf.constant(permutation, tf.int32),
      **params)
  sampled = _run(tensors)
  for tensor, value in zip(tensors, sampled):
    assert tensor.shape.as_list() == list(value.shape)
    assert value.shape[1] == min(num_samples, size)
  for image in range(len(rois)):
    expected = _slow_sample(
        rois[image], gt_boxes[image], gt_classes[image], permutation[image],
        num_samples, fg_fraction, **params)
    for value, column in zip(sampled, zip(*expected)):
      np.testing.assert_allclose(value[image], np.array(column), atol=1e-5)
  return sampled


@pytest.mark.parametrize('params, sampling', runtimes.product([
    {}, {'mix_gt_boxes': False}, {'sample_padding': True},
    {'fg_iou_thresh': .6, 'bg_iou_thresh_hi': .3, 'bg_iou_thresh_lo': .1},
    {'fg_iou_thresh': .1, 'bg_iou_thresh_hi': .1}],
    [(20, .25), (20, 1.), (50, 0.), (100, .25)]), ids=str)
def test_sampling_equals_the_slow_one(params, sampling):
  """Every image for itself, full of objects, with few and without."""
  num_samples, fg_fraction = sampling
  _check(_inputs(num_samples, num_objects=(6, 5, 2, 1, 0)), num_samples,
         fg_fraction, **params)


def test_sampling_by_hand():
  gt_boxes = [[[0., 0., 10., 10.], [20., 20., 40., 40.]]]
  rois = [[[50., 50., 60., 60.], [0., 0., 10., 8.], [20., 20., 40., 29.],
           [0., 0., 2., 2.]]]
  sampled, max_iou = _run([
      roi_targets.sample_rois(
          tf.constant(rois), tf.constant(gt_boxes), tf.constant([[3, 7]]), 6,
          .5),
      roi_targets.match_rois(tf.constant(rois), tf.constant(gt_boxes),
                             tf.constant([[3, 7]]))[1]])
  np.testing.assert_allclose(max_iou, [[0., .8, .45, .04]], rtol=1e-5)
  # Three objects, one of them a proposal, and three of background. The one that
  # touches nothing has no box.
  np.testing.assert_allclose(sampled.rois[0], rois[0] + gt_boxes[0])
  assert sampled.classes.tolist() == [[0, 3, 0, 0, 3, 7]]
  assert sampled.indices.tolist() == [[0, 0, 0, 0, 0, 1]]
  np.testing.assert_allclose(
      sampled.matched_boxes[0],
      [[0.] * 4] + [gt_boxes[0][i] for i in (0, 1, 0, 0, 1)])


def test_padding_is_not_sampled():
  """Unless asked for; then it is background."""
  inputs = _inputs(3, num_rois=30, num_objects=(1, 2))
  sampled = _check(inputs, 31, .25)
  assert (sampled.rois.max(axis=2) >= 0.).all()
  sampled = _check(inputs, 36, .25, sample_padding=True)
  assert (sampled.rois.max(axis=2) < 0.).sum(axis=1).tolist() == [5, 4]
  assert not sampled.classes[sampled.rois.max(axis=2) < 0.].any()


def test_images_without_objects_give_background():
  """The first regions, which are those that look most like objects."""
  inputs = _inputs(4, num_objects=(0, 0))
  sampled = _check(inputs, 20, .25)
  np.testing.assert_array_equal(sampled.rois, inputs[0][:, :20])
  assert not sampled.classes.any() and not sampled.matched_boxes.any()
  assert (sampled.indices == -1).all()


def test_all_regions_in_order_without_subsampling():
  rois, gt_boxes, gt_classes = _inputs(5)
  matches = _run(roi_targets.sample_rois(
      tf.constant(rois), tf.constant(gt_boxes), tf.constant(gt_classes), 10,
      fg_iou_thresh=.5, bg_iou_thresh_hi=.5, mix_gt_boxes=False,
      skip_subsampling=True))
  np.testing.assert_array_equal(matches.rois, rois)
  overlaps = np.array([[[_slow_iou(roi, box) for box in gt_boxes[image]]
                        for roi in rois[image]] for image in range(2)])
  np.testing.assert_array_equal(matches.classes > 0,
                                overlaps.max(axis=2) > .5)


def test_draws_keep_the_balance():
  rois, gt_boxes, gt_classes = _inputs(6, num_rois=200)
  rois[:, :60] = gt_boxes[:, :1]
  sampled = roi_targets.sample_rois(
      tf.constant(rois), tf.constant(gt_boxes), tf.constant(gt_classes), 40,
      .25)
  with tf.Session() as session:
    first, second = session.run(sampled), session.run(sampled)
  for draw in (first, second):
    assert (draw.classes > 0).sum(axis=1).tolist() == [10, 10]
  # Not the classes: every draw has ten of one object and thirty background.
  assert (first.rois != second.rois).any()


_ODD_BOXES = np.float32([
    [5, 5, 5, 5], [0, 0, 0, 0], [-20, -20, -5, -5], [500, 500, 600, 600],
    [0, 0, 99, 99], [10, 10, 10, 40], [-1, -1, -1, -1], [-10, 30, 300, 31]])


def _odd_inputs():
  """One pixel, none, out of the image, padding: as regions and as objects."""
  boxes = tf.constant(np.stack([_ODD_BOXES, _ODD_BOXES[::-1]]))
  return boxes, boxes, tf.constant([[1, 2, 3, 4, 5, 6, 7, 8]] * 2)


def test_degenerate_boxes_give_finite_targets():
  sampled = roi_targets.sample_rois(*_odd_inputs(), num_samples=12)
  masks = tf.ones([2, 8, 14, 14])
  box_targets = roi_targets.encode_box_targets(sampled)
  mask_targets = roi_targets.sample_mask_rois(sampled, masks, 12, 7)[2]
  values = _run([sampled.matched_boxes, box_targets, mask_targets])
  assert all(np.isfinite(value).all() for value in values)


def test_box_targets_decode_to_the_matched_boxes():
  sampled = roi_targets.sample_rois(
      *[tf.constant(value) for value in _inputs(7)], num_samples=40)
  targets = roi_targets.encode_box_targets(sampled, (20., 20., 10., 10.))
  sampled, targets, decoded = _run([sampled, targets, box_ops.decode_boxes(
      targets, sampled.rois, (20., 20., 10., 10.))])
  is_object = sampled.classes > 0
  assert 0 < is_object.sum() < is_object.size
  np.testing.assert_allclose(
      decoded[is_object], sampled.matched_boxes[is_object], atol=1e-2)
  assert not targets[~is_object].any()


def test_masks_of_the_first_objects():
  """The region is the right half of an object whose mask is its upper half."""
  sampled = roi_targets.SampledRois(
      tf.constant([[[0., 0., 9., 9.], [0., 8., 16., 16.], [5., 5., 6., 6.]]]),
      tf.constant([[[0., 0., 0., 0.], [0., 0., 16., 16.], [0., 0., 8., 8.]]]),
      tf.constant([[0, 4, 0]]), tf.constant([[-1, 1, 0]]))
  masks = np.zeros([1, 2, 16, 16], np.float32)
  masks[0, 1, :8] = 1.
  rois, classes, targets = _run(roi_targets.sample_mask_rois(
      sampled, tf.constant(masks), 2, 4))
  assert classes.tolist() == [[4, 0]]
  np.testing.assert_array_equal(rois[0, 0], [0., 8., 16., 16.])
  np.testing.assert_array_equal(rois[0, 1], [0., 0., 9., 9.])
  np.testing.assert_allclose(targets[0, 0], [[1.] * 4] * 2 + [[0.] * 4] * 2)


def test_fewer_regions_than_mask_samples():
  sampled = roi_targets.sample_rois(
      *[tf.constant(value) for value in _inputs(8, num_objects=(0, 3))],
      num_samples=10)
  rois, classes, targets = roi_targets.sample_mask_rois(
      sampled, tf.ones([2, 6, 8, 8]), 20, 4)
  assert targets.shape.as_list() == [2, 10, 4, 4]
  rois, classes, targets, sampled = _run([rois, classes, targets, sampled])
  assert not classes[0].any() and np.isfinite(targets).all()
  # All are there, those with an object first.
  assert sorted(map(tuple, rois[1])) == sorted(map(tuple, sampled.rois[1]))
  assert (np.diff((classes[1] > 0).astype(int)) <= 0).all()


def test_no_gradient():
  rois, gt_boxes, gt_classes = [tf.constant(value) for value in _inputs(9)]
  scale = tf.constant(1.)
  sampled = roi_targets.sample_rois(rois * scale, gt_boxes, gt_classes, 10)
  targets = roi_targets.encode_box_targets(sampled)
  rois, _, masks = roi_targets.sample_mask_rois(
      sampled, tf.ones([2, 6, 8, 8]), 5, 4)
  values = [sampled.rois, sampled.matched_boxes, targets, rois, masks]
  assert tf.gradients(values, scale) == [None]


def test_batch_may_be_unknown():
  values = _inputs(10)
  rois = tf.placeholder(tf.float32, [None, 60, 4])
  gt_boxes = tf.placeholder(tf.float32, [None, 6, 4])
  gt_classes = tf.placeholder(tf.int64, [None, 6])
  sampled = roi_targets.sample_rois(
      rois, gt_boxes, gt_classes, 66, sample_padding=True)
  assert sampled.rois.shape.as_list() == [None, 66, 4]
  results = [_run(sampled, {rois: values[0][:size], gt_boxes: values[1][:size],
                            gt_classes: values[2][:size]}) for size in (1, 2)]
  for one, both in zip(*results):
    np.testing.assert_array_equal(one, both[:1])


def test_compiles_with_xla():
  """As on a TPU: static shapes."""
  permutation = np.stack(
      [np.random.RandomState(image).permutation(66) for image in range(2)])
  tensors = [tf.constant(value) for value in _inputs(11)] + [
      tf.constant(permutation, tf.int32), tf.ones([2, 6, 8, 8])]

  def build(rois, gt_boxes, gt_classes, permutation, masks):
    sampled = roi_targets.sample_rois(
        rois, gt_boxes, gt_classes, 30, permutation=permutation)
    return (list(sampled) + [roi_targets.encode_box_targets(sampled)] +
            list(roi_targets.sample_mask_rois(sampled, masks, 8, 4)))

  plain, compiled = _run(
      [build(*tensors), tf.xla.experimental.compile(build, tensors)])
  assert plain[2].any()
  for expected, value in zip(plain, compiled):
    np.testing.assert_allclose(value, expected, atol=1e-4)
