"""Tests of ops/targets.py."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from dataloader import shown_labels
from ops import anchors
from ops import boxes as box_ops
from ops import matching
from ops import sampling
from ops import targets
from tests import golden
from tests import graphs
from tests.ops import full_matching


def _key(generator, size):
  """What tells the anchors of an image from others, for tests.graphs."""
  return list(size), [(level, boxes.shape, boxes[0].tolist())
                      for level, boxes in sorted(generator.boxes(size).items())]


def _label(generator, size, boxes, classes, *thresholds):
  """Labels through placeholders of unknown K, as the input pipeline has."""
  def build():
    inputs = {'boxes': tf.placeholder(tf.float32, [None, 4]),
              'classes': tf.placeholder(tf.int64, [None])}
    return inputs, targets.label_retinanet_anchors(
        generator.boxes(size), inputs['boxes'], inputs['classes'], size,
        *thresholds)
  graph = graphs.shared(('targets.label', _key(generator, size), thresholds),
                        build)
  labels = graph.outputs
  result = graph.run(boxes=np.reshape(boxes, [-1, 4]), classes=classes)
  for level, value in labels[0].items():  # shapes are static
    assert value.shape.as_list() == list(result[0][level].shape)
    assert labels[1][level].shape.as_list() == list(result[1][level].shape)
  return result


def _match(generator, size, boxes, *thresholds):
  """The box of every anchor, -1 for background, -2 where it is ignored."""
  def build():
    box_input = tf.placeholder(tf.float32, [None, 4])
    return {'boxes': box_input}, matching.match_grid_anchors(
        box_input, anchors.make_grid(generator.boxes(size), size), *thresholds)
  anchor_ids, box_ids, is_positive = graphs.shared(
      ('targets.match', _key(generator, size), thresholds), build).run(
          boxes=np.reshape(boxes, [-1, 4]))
  result = np.full(len(generator.flat(size)), matching.NEGATIVE)
  result[anchor_ids] = np.where(is_positive, box_ids, matching.IGNORED)
  return result


@pytest.mark.parametrize('case', golden.load_cases('anchor_labels_retinanet'),
                         ids=lambda case: case.name)
def test_equals_the_reference(case):
  params = case.params
  generator = anchors.AnchorGenerator(
      params['min_level'], params['max_level'], params['num_scales'],
      params['aspect_ratios'], params['anchor_size'])
  cls_targets, box_targets, num_positives = _label(
      generator, params['image_size'], case.inputs['gt_boxes'],
      case.inputs['gt_classes'], params['match_threshold'],
      params['unmatched_threshold'])
  expected = golden.levels(case.outputs, 'cls_targets')
  assert sorted(cls_targets) == sorted(expected)
  for level, value in expected.items():
    assert cls_targets[level].dtype == np.int32
    np.testing.assert_array_equal(cls_targets[level], value)
  for level, value in golden.levels(case.outputs, 'box_targets').items():
    np.testing.assert_allclose(box_targets[level], value, rtol=0, atol=1e-4)
  if 'match' in case.outputs:
    np.testing.assert_array_equal(
        _match(generator, params['image_size'], case.inputs['gt_boxes'],
               params['match_threshold'], params['unmatched_threshold']),
        case.outputs['match'])
  assert num_positives == case.outputs['num_positives']
  assert num_positives.dtype == np.float32


GENERATOR = anchors.AnchorGenerator(3, 4, 1, [1., 2.], 4.)
SIZE = (64, 96)


def test_values_worked_out_by_hand():
  """A box that is the anchor of cell (2, 3) of level 3, one pixel lower."""
  box = GENERATOR.boxes(SIZE)[3][(2 * 12 + 3) * 2] + [1., 0., 1., 0.]
  cls_targets, box_targets, num_positives = _label(GENERATOR, SIZE, [box], [7],
                                                   .9, .8)
  # Shifted by 1 of 32 pixels: IoU 31/33 = 0.94. Its neighbours in x are shifted
  # by 8 as well: 0.57, background.
  assert num_positives == 1.
  assert cls_targets[3][2, 3].tolist() == [7, -1]
  assert cls_targets[3][2, 4].tolist() == [-1, -1]
  assert (cls_targets[3] != -1).sum() == 1 and (cls_targets[4] != -1).sum() == 0
  np.testing.assert_allclose(box_targets[3][2, 3],
                             [1. / 32, 0, 0, 0, 0, 0, 0, 0], atol=1e-6)
  assert np.count_nonzero(box_targets[4]) == 0


def test_ignored_anchors_have_no_box():
  box = GENERATOR.boxes(SIZE)[3][(2 * 12 + 3) * 2]
  cls_targets, box_targets, num_positives = _label(GENERATOR, SIZE, [box], [7],
                                                   .9, .55)
  # Neighbours are 8 of 32 pixels away: IoU 24/40 = 0.6.
  assert num_positives == 1.
  neighbours = [(1, 3), (3, 3), (2, 2), (2, 4)]
  assert all(cls_targets[3][y, x, 0] == -2 for y, x in neighbours)
  assert (cls_targets[3] == -2).sum() == 4 and (cls_targets[4] == -2).sum() == 0
  assert np.count_nonzero(box_targets[3][1, 3]) == 0


def test_no_boxes():
  cls_targets, box_targets, num_positives = _label(GENERATOR, SIZE,
                                                   np.zeros([0, 4]), [], .5, .4)
  assert num_positives == 0.
  assert cls_targets[3].shape == (8, 12, 2)
  assert box_targets[4].shape == (4, 6, 8)
  assert all((value == -1).all() for value in cls_targets.values())
  assert not any(value.any() for value in box_targets.values())


def test_padding_changes_nothing():
  boxes, classes = [[10., 12., 40., 44.], [0., 50., 63., 90.]], [3, 5]
  plain = _label(GENERATOR, SIZE, boxes, classes, .5, .4)
  padded = _label(GENERATOR, SIZE, boxes + [[-1.] * 4] * 3, classes + [-1] * 3,
                  .5, .4)
  for level in (3, 4):
    np.testing.assert_array_equal(plain[0][level], padded[0][level])
    np.testing.assert_array_equal(plain[1][level], padded[1][level])
  assert plain[2] == padded[2] > 0


def test_targets_decode_to_their_boxes():
  boxes = np.array([[10., 12., 40., 44.], [0., 50., 63., 90.]], np.float32)
  cls_targets, box_targets, _ = _label(GENERATOR, SIZE, boxes, [1, 2], .5, .4)
  for level, anchor_boxes in GENERATOR.boxes(SIZE).items():
    labels = cls_targets[level].reshape([-1])
    deltas = box_targets[level].reshape([-1, 4])
    decoded = shown_labels.decode_targets(deltas, anchor_boxes)
    positive = labels > 0
    np.testing.assert_allclose(decoded[positive], boxes[labels[positive] - 1],
                               atol=1e-3)


def test_sizes_between_strides_agree_with_the_anchors():
  size = (100, 60)
  cls_targets, box_targets, _ = _label(GENERATOR, size, [[0., 0., 50., 50.]],
                                       [1], .5, .5)
  assert cls_targets[3].shape == (12, 7, 2)
  assert cls_targets[4].shape == (6, 4, 2)
  assert box_targets[4].shape == (6, 4, 8)


def _first(size, count):
  return tf.range(tf.minimum(size, count))


def _last(size, count):
  return size - 1 - _first(size, count)


def _label_rpn(generator, size, boxes, *parameters):
  """RPN labels through placeholders of unknown K, with static shapes out.

  Args:
    parameters: tuples of what follows `image_size`; the draw function comes
      last, and what it draws is told by its name.

  Returns:
    [(score_targets, box_targets)], one for each tuple.
  """
  def build():
    box_input = tf.placeholder(tf.float32, [None, 4])
    return {'boxes': box_input}, [
        targets.label_rpn_anchors(generator.boxes(size), box_input, size,
                                  *values) for values in parameters]
  graph = graphs.shared(
      ('targets.label_rpn', _key(generator, size),
       [values[:-1] + (values[-1].__name__,) for values in parameters]), build)
  labels = graph.outputs
  results = graph.run(boxes=np.reshape(boxes, [-1, 4]))
  for tensor, value in zip(tf.nest.flatten(labels), tf.nest.flatten(results)):
    assert tensor.shape.as_list() == list(value.shape)
  return results


def _flat(by_level):
  return np.concatenate([by_level[level].ravel() for level in sorted(by_level)])


def _random_draw(seed):
  """A draw function; other numbers for every call."""
  numbers = iter(range(100))
  def draw(size, count):
    return sampling.draw_distinct(size, count, [seed, next(numbers)])
  draw.__name__ = 'random_%d' % seed
  return draw


@pytest.mark.parametrize('case', golden.load_cases('anchor_labels_rpn'),
                         ids=lambda case: case.name)
def test_rpn_labels_equal_the_reference(case):
  params, expected = case.params, case.outputs
  generator = anchors.AnchorGenerator(
      params['min_level'], params['max_level'], params['num_scales'],
      params['aspect_ratios'], params['anchor_size'])
  thresholds = (params['match_threshold'], params['unmatched_threshold'])
  budget, fraction = params['rpn_batch_size_per_im'], params['rpn_fg_fraction']
  results = _label_rpn(
      generator, params['image_size'], case.inputs['gt_boxes'],
      *[thresholds + (count, fraction, draw) for count, draw in (
          (budget, _first), (budget, _last), (10 ** 6, _first),
          (budget, _random_draw(1)))])
  for (score_targets, box_targets), name in zip(
      results, ('score_ident', 'score_rev', 'score_all', None)):
    assert score_targets[3].dtype == np.int32
    if name:
      np.testing.assert_array_equal(_flat(score_targets), expected[name])
    for level, value in golden.levels(
        expected, '%s_levels' % name).items():
      np.testing.assert_array_equal(score_targets[level], value)
    for level, value in golden.levels(expected, 'box_targets').items():
      np.testing.assert_allclose(box_targets[level], value, rtol=0, atol=1e-4)
    unmatched = expected['match'] < 0
    assert not _flat(box_targets).reshape([-1, 4])[unmatched].any()
  np.testing.assert_array_equal(
      _match(generator, params['image_size'], case.inputs['gt_boxes'],
             *thresholds), expected['match'])
  # The counts of random draws are those of others, and what is drawn may be.
  scores = _flat(results[3][0])
  for counts in expected['counts_random_pos_neg_ign']:
    assert [(scores == label).sum() for label in (1, 0, -1)] == counts.tolist()
  assert (expected['match'][scores == 1] >= 0).all()
  assert (expected['match'][scores == 0] == -1).all()


def _slow_rpn_matches(generator, size, boxes, match_threshold,
                      unmatched_threshold):
  """By the full matrix of overlaps; matches and box targets of all anchors."""
  flat = generator.flat(size)
  def build():
    box_input = tf.placeholder(tf.float32, [None, 4])
    overlaps = box_ops.paired_iou(
        box_input[:, tf.newaxis], tf.constant(flat[np.newaxis]))
    match = full_matching.match_anchors(
        overlaps, match_threshold, unmatched_threshold)
    # Row 0 is for those without a match.
    encoded = box_ops.encode_anchor_targets(
        tf.gather(tf.concat([flat[:1], box_input], axis=0),
                  tf.maximum(match + 1, 0)), flat)
    return {'boxes': box_input}, [match, encoded]
  return graphs.shared(
      ('targets.slow', _key(generator, size), match_threshold,
       unmatched_threshold), build).run(boxes=np.reshape(boxes, [-1, 4]))


def _slow_rpn(match, encoded, batch_size, fg_fraction, take):
  """Flat scores and box targets of all matches.

  Args:
    match, encoded: of `_slow_rpn_matches`.
    batch_size, fg_fraction: of the sampler.
    take: function (candidates, count) -> those of them that are sampled.
  """
  scores = np.full(len(match), -1)
  positives = take(np.flatnonzero(match >= 0), int(batch_size * fg_fraction))
  negatives = take(np.flatnonzero(match == -1), batch_size - len(positives))
  scores[positives], scores[negatives] = 1, 0
  return scores, np.where((match >= 0)[:, np.newaxis], encoded, 0.)


_RPN_GENERATOR = anchors.AnchorGenerator(3, 5, 1, [1., 2., .5], 4.)


@pytest.mark.parametrize('boxes', [
    [], [[5., 5., 5., 5.]], [[0., 0., 0., 0.]], [[60., 90., 63., 95.]],
    [[-50., -50., 200., 200.]], [[500., 500., 600., 600.]],
    [[0., 0., 63., 95.]] * 3, [[10., 12., 40., 44.], [0., 50., 63., 90.]]],
                         ids=str)
def test_rpn_labels_equal_the_slow_ones(boxes):
  """Also without boxes, with one pixel, and out of the image."""
  parameters = [(16, .5), (64, .25), (4, 0.), (4, 1.), (100000, .5)]
  results = _label_rpn(_RPN_GENERATOR, SIZE, boxes,
                       *[(.7, .3) + p + (_last,) for p in parameters])
  matches = _slow_rpn_matches(_RPN_GENERATOR, SIZE, boxes, .7, .3)
  for (score_targets, box_targets), values in zip(results, parameters):
    scores, encoded = _slow_rpn(
        *matches, *values,
        take=lambda candidates, count: candidates[::-1][:count])
    np.testing.assert_array_equal(_flat(score_targets), scores)
    np.testing.assert_allclose(
        _flat(box_targets).reshape([-1, 4]), encoded, rtol=0, atol=1e-4)


def test_rpn_padding_changes_nothing():
  boxes = [[10., 12., 40., 44.], [0., 50., 63., 90.]]
  parameters = (.7, .3, 32, .5, _first)
  plain, = _label_rpn(_RPN_GENERATOR, SIZE, boxes, parameters)
  padded, = _label_rpn(_RPN_GENERATOR, SIZE, boxes + [[-1.] * 4] * 3,
                       parameters)
  for values, expected in zip(padded, plain):
    np.testing.assert_array_equal(_flat(values), _flat(expected))
  nothing, = _label_rpn(_RPN_GENERATOR, SIZE, [[-1.] * 4] * 3, parameters)
  assert (_flat(nothing[0]) == 0).sum() == 32
  assert (_flat(nothing[0]) == 1).sum() == 0 and not _flat(nothing[1]).any()


def test_rpn_samples_are_even():
  """Every negative anchor is drawn about as often as every other."""
  boxes = tf.constant([[10., 12., 40., 44.]])
  number = tf.placeholder(tf.int64, [])
  calls = iter(range(2))
  scores, _ = targets.label_rpn_anchors(
      _RPN_GENERATOR.boxes(SIZE), boxes, SIZE, .7, .3, 64, .5,
      lambda size, count: sampling.draw_distinct(
          size, count, [number, next(calls)]))
  num_draws = 400
  with tf.Session() as session:
    drawn = sum(_flat(session.run(scores, {number: n})) == 0
                for n in range(num_draws))
  negative = drawn > 0
  # 378 anchors, of which few are not negative.
  assert 300 < negative.sum() < 378
  mean = 63. / negative.sum()
  np.testing.assert_allclose(
      drawn[negative] / num_draws, mean,
      atol=5. * np.sqrt(mean * (1. - mean) / num_draws))
