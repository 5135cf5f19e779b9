"""RetinaNet's parser, against the reference and on records that go wrong."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from dataloader import sample as samples
from dataloader import steps
from ops import anchors as anchor_ops
from tests import golden
from tests import runtimes
from tests.dataloader import examples
from tests.dataloader import fixed_draws
from tests.dataloader import parser_cases
from utils import modes

_run = parser_cases.run

CASES = golden.load_cases('parser_retinanet')
SECTION = dict(
    output_size=(100, 120), match_threshold=.5, unmatched_threshold=.5,
    aug_rand_hflip=False, aug_scale_min=1., aug_scale_max=1., aug_policy='',
    skip_crowd_during_training=True, max_num_instances=8,
    regenerate_source_id=False, randaugment_num_layers=2,
    randaugment_magnitude=5., aug_scale_preset='', legacy_augmentation=False)


def _parser(mode, num_classes=91, emit_anchor_boxes=False, dtype='float32',
            anchors=None, **changes):
  anchors = anchors or anchor_ops.AnchorGenerator(3, 5, 2, (1., 2., .5), 4.)
  return parser_cases.build(
      'retinanet_parser', dict(SECTION, **changes), mode, anchors,
      emit_anchor_boxes, num_classes=num_classes, dtype=dtype)


def _case_parser(case):
  return _parser(
      parser_cases.mode(case), anchors=parser_cases.anchors(case),
      emit_anchor_boxes=True, dtype=parser_cases.dtype(case),
      legacy_augmentation=True,
      **parser_cases.changes(case, SECTION))


@pytest.mark.parametrize('case', CASES, ids=lambda c: c.name)
def test_reference(case):
  image, labels = _run(
      _case_parser(case), parser_cases.record(case),
      draws=parser_cases.draws(case))
  parser_cases.check(case, image, labels)


def test_reference_anchor_boxes_of_other_cases_are_the_same():
  _, labels = _run(_parser(modes.PREDICT, emit_anchor_boxes=True),
                   parser_cases.RECORDS['no_objects'])
  for level, boxes in golden.levels(CASES[0].outputs,
                                    'labels.anchor_boxes').items():
    np.testing.assert_allclose(labels['anchor_boxes'][level], boxes, atol=1e-4)


@pytest.mark.parametrize('mode, emit_anchor_boxes',
                         runtimes.product(modes.ALL, [False, True]))
def test_emits_its_spec(mode, emit_anchor_boxes):
  parser_cases.check_spec(_parser(mode, emit_anchor_boxes=emit_anchor_boxes),
                          parser_cases.RECORDS['full_png'])


def test_steps_of_training_are_in_order():
  names = parser_cases.names_of_steps(
      _parser(modes.TRAIN, aug_rand_hflip=True))
  assert names == ['drop_crowds', 'flip', 'to_pixels', 'resize_and_crop',
                   'drop_empty']
  names = parser_cases.names_of_steps(_parser(modes.PREDICT))
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
    return parser_cases.geometry(tf.constant(seed), .5, 2.)
  with tf.Session() as session:
    first, again, other = session.run([draw([3, 1]), draw([3, 1]),
                                       draw([3, 2])])
  assert first.scale == again.scale != other.scale
  assert .5 <= first.scale < 2. and 0. <= min(first.offset)
  assert first.scale != first.offset[0]


def test_without_jitter_nothing_is_drawn_for_it():
  for scale_range in (None, (1., 1.)):
    draws = fixed_draws.FixedDraws()
    steps.resize_and_crop(
        samples.Sample(tf.zeros([8, 6, 3], tf.uint8), draws=draws), (8, 8),
        (8, 8), scale_range)
    assert not draws.asked


def test_source_id_that_is_no_number():
  serialized = examples.serialize(examples.image(8, 6), source_id='a.jpg')
  _, labels = _run(_parser(modes.PREDICT), serialized)
  assert labels['source_id'] > 0


def _one_object(class_id):
  return examples.serialize(examples.image(20, 20), source_id='cat_12',
                            boxes=[[.1, .1, .9, .9], [.2, .2, .9, .9]],
                            classes=[1, class_id])


@pytest.mark.parametrize('mode', [modes.TRAIN, modes.EVAL,
                                  modes.PREDICT_WITH_GT])
@pytest.mark.parametrize('class_id', [0, -1, 4, 90])
def test_class_id_out_of_range(mode, class_id):
  with pytest.raises(tf.errors.InvalidArgumentError) as e:
    _run(_parser(mode, num_classes=4), _one_object(class_id),
         seed=(0, 0))
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
                   seed=(0, 0))
  targets = np.concatenate([v.ravel() for v in labels['cls_targets'].values()])
  assert {1, 3} <= set(targets)


def test_unknown_mode():
  with pytest.raises(ValueError, match='train, eval, predict'):
    _parser('training')


@pytest.mark.parametrize('mode', runtimes.alternate(
    [modes.EVAL, modes.PREDICT_WITH_GT, modes.TRAIN], both=[modes.TRAIN]))
def test_crowds_are_no_targets_of_any_mode(mode):
  """The loss of an evaluation counts what that of training counts."""
  record = examples.serialize(
      examples.image(64, 64), [[.1, .1, .6, .6], [.5, .5, .9, .9]], [1, 2],
      is_crowd=[0, 1])
  def targets(skip):
    _, labels = _run(_parser(mode, skip_crowd_during_training=skip), record,
                     draws=fixed_draws.FixedDraws(flip=0.))
    classes = np.concatenate(
        [t.ravel() for t in labels['cls_targets'].values()])
    return set(classes[classes > 0]), labels
  assert targets(skip=False)[0] == {1, 2}
  classes, labels = targets(skip=True)
  assert classes == {1}
  if mode != modes.TRAIN:  # The metrics know crowds.
    assert labels['groundtruths']['is_crowds'][:2].tolist() == [0, 1]
