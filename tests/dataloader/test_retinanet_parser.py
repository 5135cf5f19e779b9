"""RetinaNet's parser, against the reference and on records that go wrong."""

import types

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from dataloader import parser as parsing
from dataloader import retinanet_parser
from ops import anchors as anchor_ops
from tests import golden
from tests.dataloader import examples
from utils import modes

CASES = golden.load_cases('parser_retinanet')
RECORDS = {c.name: c.inputs['serialized'].tobytes()
           for c in golden.load_cases('examples_decoder')}
SECTION = dict(
    output_size=(100, 120), match_threshold=.5, unmatched_threshold=.5,
    aug_rand_hflip=False, aug_scale_min=1., aug_scale_max=1., aug_policy='',
    skip_crowd_during_training=True, max_num_instances=8,
    regenerate_source_id=False)


def _section(**changes):
  return types.SimpleNamespace(**dict(SECTION, **changes))


def _parser(mode, num_classes=91, emit_anchor_boxes=False, dtype='float32',
            anchors=(3, 5, 2, (1., 2., .5), 4.), **changes):
  return retinanet_parser.RetinanetParser(
      _section(**changes), anchor_ops.AnchorGenerator(*anchors), num_classes,
      mode, dtype, emit_anchor_boxes)


def _run(parser, serialized, **arguments):
  """(image, labels) as arrays."""
  placeholder = tf.placeholder(tf.string, [])
  parsed = parser(placeholder, **arguments)
  if isinstance(parsed, dict):
    parsed = parsed['images'], parsed['labels']
  # The graph optimizer reorders products, which changes the last bit of boxes,
  # and with it which of two equally good anchors is taken.
  config = tf.ConfigProto()
  config.graph_options.rewrite_options.disable_meta_optimizer = True
  with tf.Session(config=config) as session:
    return session.run(parsed, {placeholder: serialized})


def _record_name(case):
  return max((n for n in RECORDS if case.name.startswith(n)), key=len)


def _mode(case):
  return case.params.get('mode', modes.PREDICT)


def _case_parser(case):
  params = case.params
  changes = {k: v for k, v in params.items() if k in SECTION}
  return _parser(
      _mode(case), anchors=tuple(params[k] for k in (
          'min_level', 'max_level', 'num_scales', 'aspect_ratios',
          'anchor_size')), emit_anchor_boxes=True,
      dtype='bfloat16' if params['use_bfloat16'] else 'float32', **changes)


def _draws(case):
  params = case.params
  if 'random_scale' not in params:
    return parsing.Draws(params.get('flip_u', 0.), None, None)
  return parsing.Draws(params['flip_u'], params['random_scale'],
                       params['offset_fraction'])


@pytest.mark.parametrize('case', CASES, ids=lambda c: c.name)
def test_reference(case):
  if case.params.get('aug_policy'):
    with pytest.raises(ValueError, match='aug_policy.*not built yet'):
      _case_parser(case)
    return
  name = _record_name(case)
  image, labels = _run(_case_parser(case), RECORDS[name],
                       draws=_draws(case) if _mode(case) == modes.TRAIN
                       else None)
  # A JPEG may be decoded differently in the last bit.
  tolerance = .05 if 'jpeg' in name else case.meta['tolerance']
  same_as = case.outputs.get('image_same_as_eval')
  expected = (case.meta['all_arrays'][name + '_eval']['out']['image']
              if same_as is not None else case.outputs['image'])
  # bfloat16 has 8 bits; the last one may be rounded the other way.
  rtol = 1e-7 if image.dtype == np.float32 else 2**-7
  np.testing.assert_allclose(image.astype(np.float32), expected, rtol,
                             tolerance)
  for key, value in _flatten(case.outputs, 'labels.').items():
    actual = _lookup(labels, key)
    if key == 'groundtruths.areas' and 'missing_optional' in name:
      # Pixels here, although the record has no size (Q1 of the spec).
      value = np.where(value < 0, value, value * np.prod(labels[
          'image_info'][0]))
    np.testing.assert_allclose(actual, value, rtol=1e-4,
                               atol=case.meta['tolerance'], err_msg=key)
    assert actual.dtype == value.dtype, key


def _flatten(outputs, prefix):
  return {k[len(prefix):]: v for k, v in outputs.items()
          if k.startswith(prefix)}


def _lookup(labels, key):
  """labels['cls_targets'][3] for 'cls_targets.L3'."""
  for part in key.split('.'):
    is_level = part[0] == 'L' and part[1:].isdigit()
    labels = labels[int(part[1:]) if is_level else part]
  return labels


def test_reference_anchor_boxes_of_other_cases_are_the_same():
  _, labels = _run(_parser(modes.PREDICT, emit_anchor_boxes=True),
                   RECORDS['no_objects'])
  for level, boxes in golden.levels(CASES[0].outputs,
                                    'labels.anchor_boxes').items():
    np.testing.assert_allclose(labels['anchor_boxes'][level], boxes, atol=1e-4)


@pytest.mark.parametrize('emit_anchor_boxes', [False, True])
@pytest.mark.parametrize('mode', modes.ALL)
def test_emits_its_spec(mode, emit_anchor_boxes):
  parser = _parser(mode, emit_anchor_boxes=emit_anchor_boxes)
  spec = parser.labels_spec()
  parsed = parser(tf.constant(RECORDS['full_png']), seed=tf.constant([1, 2]))
  padding = parser.padding_example()
  tf.nest.assert_same_structure(parsed, padding)
  for one in (parsed, padding):
    labels = one['labels'] if isinstance(one, dict) else one[1]
    tf.nest.assert_same_structure(spec, labels)
    for expected, tensor in zip(tf.nest.flatten(spec),
                                tf.nest.flatten(labels)):
      assert expected.dtype == tensor.dtype
      assert expected.shape.as_list() == tensor.shape.as_list()


def test_steps_of_training_are_in_order():
  parser = _parser(modes.TRAIN, aug_rand_hflip=True)
  names = [getattr(step, 'func', step).__name__
           for step in parser.steps(parsing.NO_DRAWS)]
  assert names == ['drop_crowds', 'flip', 'to_pixels', 'resize_and_crop',
                   'drop_empty']
  names = [getattr(step, 'func', step).__name__
           for step in _parser(modes.EVAL).steps(parsing.NO_DRAWS)]
  assert names == ['to_pixels', 'resize_and_crop', 'drop_empty']


def test_padding_counts_nowhere():
  parser = _parser(modes.PREDICT_WITH_GT)
  with tf.Session() as session:
    labels = session.run(parser.padding_example())['labels']
  assert labels['groundtruths']['source_id'] == -1
  assert labels['groundtruths']['num_detections'] == [0]
  assert labels['num_positives'] == 0
  assert all(np.all(v == -2) for v in labels['cls_targets'].values())
  np.testing.assert_array_equal(labels['image_info'][2], [1., 1.])


def test_draws_depend_on_the_seed_only():
  def draw(seed):
    return parsing.draw(tf.constant(seed), .5, 2.)
  with tf.Session() as session:
    first, again, other = session.run([draw([3, 1]), draw([3, 1]),
                                       draw([3, 2])])
  assert first.scale == again.scale != other.scale
  assert .5 <= first.scale < 2. and 0. <= min(first.offset)
  assert first.scale != first.offset[0]


def test_without_jitter_nothing_is_drawn_for_it():
  draws = parsing.draw(tf.constant([3, 1]), 1., 1.)
  assert draws.scale is None and draws.offset is None


def test_source_id_that_is_no_number():
  serialized = examples.serialize(examples.picture(8, 6), source_id='a.jpg')
  _, labels = _run(_parser(modes.PREDICT), serialized)
  assert labels['source_id'] > 0


def _one_object(class_id):
  return examples.serialize(examples.picture(20, 20), source_id='cat_12',
                            boxes=[[.1, .1, .9, .9], [.2, .2, .9, .9]],
                            classes=[1, class_id])


@pytest.mark.parametrize('mode', [modes.TRAIN, modes.EVAL,
                                  modes.PREDICT_WITH_GT])
@pytest.mark.parametrize('class_id', [0, -1, 4, 90])
def test_class_id_out_of_range(mode, class_id):
  with pytest.raises(tf.errors.InvalidArgumentError) as e:
    _run(_parser(mode, num_classes=4), _one_object(class_id),
         seed=tf.constant([0, 0]))
  assert 'Image cat_12 has an object of class %d.' % class_id in e.value.message
  assert 'architecture.num_classes is 4' in e.value.message


def test_class_id_in_range():
  _run(_parser(modes.EVAL, num_classes=4), _one_object(3))
  _run(_parser(modes.PREDICT, num_classes=2), _one_object(3))


@pytest.mark.parametrize('mode', [modes.EVAL, modes.PREDICT_WITH_GT])
def test_more_objects_than_the_groundtruths_hold(mode):
  with pytest.raises(tf.errors.InvalidArgumentError) as e:
    _run(_parser(mode, max_num_instances=1), _one_object(3))
  assert 'Image cat_12 has 2 objects' in e.value.message
  assert 'retinanet_parser.max_num_instances is 1' in e.value.message


def test_training_needs_no_room_for_groundtruths():
  _, labels = _run(_parser(modes.TRAIN, max_num_instances=1), _one_object(3),
                   seed=tf.constant([0, 0]))
  targets = np.concatenate([v.ravel() for v in labels['cls_targets'].values()])
  assert {1, 3} <= set(targets)


def test_unknown_mode():
  with pytest.raises(ValueError, match='train, eval, predict'):
    _parser('training')
