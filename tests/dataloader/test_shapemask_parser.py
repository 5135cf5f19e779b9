"""ShapeMask's parser, against the reference and with masks that are missing."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from dataloader import draws as draws_lib
from ops import anchors as anchor_ops
from tests import golden
from tests import runtimes
from tests.dataloader import examples
from tests.dataloader import fixed_draws
from tests.dataloader import parser_cases
from utils import modes

_run = parser_cases.run

CASES = golden.load_cases('parser_shapemask')
SECTION = dict(
    output_size=(128, 128), match_threshold=.5, unmatched_threshold=.5,
    aug_rand_hflip=False, aug_scale_min=1., aug_scale_max=1.,
    skip_crowd_during_training=True, max_num_instances=6, use_category=True,
    outer_box_scale=1.25, box_jitter_scale=0., num_sampled_masks=4,
    mask_crop_size=16, mask_crop_grid='corners', upsample_factor=2,
    mask_train_class='all',
    regenerate_source_id=False, aug_policy='', randaugment_num_layers=2,
    randaugment_magnitude=5., aug_scale_preset='',
    legacy_augmentation=False)


def _parser(mode=modes.TRAIN, num_classes=91, emit_anchor_boxes=False,
            dtype='float32', anchors=None, skip_eval_loss=False, **changes):
  anchors = anchors or anchor_ops.AnchorGenerator(3, 5, 1, (1., 2., .5), 4.)
  return parser_cases.build(
      'shapemask_parser', dict(SECTION, **changes), mode, anchors,
      emit_anchor_boxes, num_classes=num_classes, dtype=dtype,
      skip_eval_loss=skip_eval_loss)


def _draws(flip=0., jitter=0., **values):
  """Draws that take the first objects."""
  return fixed_draws.FixedDraws(flip=flip, jitter=jitter, **values)


def _mode(case):
  """Cases of the jitter do not name theirs."""
  return case.params.get('mode', modes.TRAIN)


@pytest.mark.parametrize('case', CASES, ids=lambda c: c.name)
def test_reference(case):
  parser = _parser(
      _mode(case), anchors=parser_cases.anchors(case), emit_anchor_boxes=True,
      dtype=parser_cases.dtype(case), legacy_augmentation=True,
      **parser_cases.changes(case, SECTION, _mode(case)))
  draws = _draws(jitter=case.inputs.get('unit_normal', 0.))
  image, labels = _run(parser, parser_cases.record(case), draws=draws)
  for name in ('mask_is_valid', 'mask_classes'):
    if name in case.outputs:
      np.testing.assert_array_equal(labels[name], case.outputs[name])
  parser_cases.check(case, image, labels)


def test_masks_of_255_are_those_of_1():
  """Except as upstream, where half of 1 is a 510th of them: masks grow."""
  y, x = np.mgrid[:64, :64]
  mask = ((y - 30) ** 2 + (x - 33) ** 2 < 300).astype(np.uint8)
  def targets(value, legacy):
    record = examples.serialize(examples.image(64, 64),
                                [[.2, .2, .8, .8]], [1], masks=[mask * value])
    _, labels = _run(_parser(legacy_augmentation=legacy), record,
                     draws=_draws())
    return labels['fine_mask_targets'][0]
  expected = targets(1, legacy=False)
  np.testing.assert_array_equal(targets(255, legacy=False), expected)
  np.testing.assert_array_equal(targets(1, legacy=True), expected)
  grown = targets(255, legacy=True)
  assert (grown >= expected).all() and grown.sum() > 1.05 * expected.sum()


@pytest.mark.parametrize('mode, emit_anchor_boxes',
                         runtimes.product(modes.ALL, [False, True]))
def test_emits_its_spec(mode, emit_anchor_boxes):
  parser = _parser(mode, emit_anchor_boxes=emit_anchor_boxes)
  parser_cases.check_spec(parser, parser_cases.RECORDS['full_png'])
  assert parser.needs_masks == (mode in (modes.TRAIN, modes.PREDICT_WITH_GT))
  assert ('mask_boxes' in parser.labels_spec()) == parser.needs_masks


def test_fine_targets_may_be_of_the_same_size():
  parser = _parser(upsample_factor=1)
  _, labels = _run(parser, _record(), draws=_draws())
  assert labels['fine_mask_targets'].shape == (4, 16, 16)
  np.testing.assert_array_equal(labels['fine_mask_targets'],
                                labels['mask_targets'])


def test_network_input_is_of_the_configured_size():
  """Not of the next multiple of the coarsest stride."""
  image, _ = _run(_parser(output_size=(120, 96)), _record(), draws=_draws())
  assert image.shape == (120, 96, 3)


def test_steps_of_training_are_in_order():
  names = parser_cases.names_of_steps(_parser(aug_rand_hflip=True))
  assert names == ['drop_crowds', 'flip', 'to_pixels', 'resize_and_crop',
                   'drop_empty']


def _record(num_objects=2, **changes):
  """An image of 40 x 50 pixels; each object is the left half of its box."""
  boxes = np.array([[.1, .2, .5, .6], [.5, .4, .9, .8], [0., 0., .4, .4]])
  masks = []
  for y0, x0, y1, x1 in boxes[:num_objects] * [40, 50, 40, 50]:
    masks.append(np.zeros([40, 50], np.uint8))
    masks[-1][int(y0):int(y1), int(x0):int((x0 + x1) / 2)] = 1
  arguments = dict(boxes=boxes[:num_objects], masks=masks, source_id='cat_12',
                   classes=[1, 2, 3][:num_objects])
  arguments.update(changes)
  return examples.serialize(examples.image(40, 50), **arguments)


@pytest.mark.parametrize('flip', [0., .9])
def test_targets_are_of_the_outer_box(flip):
  """Twice as large as the box: the filled half is a quarter of the width."""
  _, labels = _run(_parser(aug_rand_hflip=True, outer_box_scale=2.), _record(),
                   draws=_draws(flip))
  targets = labels['fine_mask_targets'][1]
  if flip:
    targets = targets[:, ::-1]
  # The left and lower edge of the scaled image (102 x 128) clips nothing.
  assert targets[9:23, 9:15].min() == 1.
  assert max(targets[:7].max(), targets[:, :7].max(),
             targets[:, 17:].max()) == 0.
  coarse = labels['mask_targets'][1][:, ::-1 if flip else 1]
  assert coarse[5:11, 5:7].min() == 1. and coarse[:, 9:].max() == 0.
  assert set(np.unique(labels['mask_targets'])) == {0., 1.}


def _square(left):
  """A record of a square in an image of 200 pixels, and its mask."""
  mask = np.zeros([200, 200], np.uint8)
  mask[20:80, left:left + 60] = 1
  return examples.serialize(
      np.full([200, 200, 3], 90, np.uint8),
      [np.array([20, left, 80, left + 60]) / 200.], [3], masks=[mask])


@pytest.mark.parametrize('flip', [0., 1.])
def test_policies_move_masks_with_their_boxes(flip):
  """As if the object had been there from the start."""
  draws = _draws(flip, sub_policy=0., sign=.1, apply=.5, position=.5)
  # 100 pixels to the right.
  _, moved = _run(_parser(aug_policy='test', aug_rand_hflip=True), _square(10),
                  draws=draws)
  _, expected = _run(_parser(aug_rand_hflip=True), _square(110),
                     draws=_draws(flip))
  assert expected['mask_targets'][0].mean() > .4
  for name in ('mask_boxes', 'mask_outer_boxes', 'mask_targets',
               'fine_mask_targets', 'mask_classes', 'mask_is_valid'):
    np.testing.assert_allclose(moved[name], expected[name], atol=1e-4,
                               err_msg=name)


def test_objects_and_noise_are_drawn_from_the_seed():
  parser = _parser(box_jitter_scale=.1, num_sampled_masks=2)
  labels = [labels for _, labels in parser_cases.run_seeds(
      parser, _record(3), [(3, 1)] + [(3, i) for i in range(12)])]
  boxes = [one['mask_boxes'] for one in labels]
  np.testing.assert_array_equal(boxes[0], boxes[2])
  assert np.any(boxes[0] != boxes[3])
  classes = {tuple(one['mask_classes']) for one in labels[1:]}
  assert len(classes) > 3 and all(a != b for a, b in classes)


def test_targets_of_an_evaluation_are_those_of_training():
  """Of the same draw: objects and noise of their boxes."""
  record = _record(3)
  changes = dict(box_jitter_scale=.1, num_sampled_masks=2)
  _, expected = _run(_parser(**changes), record,
                     draws=lambda: draws_lib.of_image(tf.constant('cat_12')))
  _, labels = _run(_parser(modes.PREDICT_WITH_GT, **changes), record)
  for name, value in expected.items():
    tf.nest.map_structure(np.testing.assert_array_equal, labels[name], value)


@pytest.mark.parametrize('mask_train_class, expected', [
    ('all', [1, 1, 1, 1]), runtimes.only('tf1', 'voc', [1, 1, 0, 0]),
    runtimes.only('tf2', 'nonvoc', [0, 0, 1, 0]), ((2, 11), [0, 1, 1, 0])])
def test_validity_by_class(mask_train_class, expected):
  record = _record(3, classes=[1, 2, 11])
  _, labels = _run(_parser(mask_train_class=mask_train_class), record,
                   draws=_draws())
  np.testing.assert_array_equal(labels['mask_is_valid'], expected)
  np.testing.assert_array_equal(labels['mask_classes'], [1, 2, 11, 0])


def test_without_categories_all_objects_are_of_class_1():
  _, labels = _run(_parser(use_category=False, num_classes=2), _record(),
                   draws=_draws())
  np.testing.assert_array_equal(labels['mask_classes'], [1, 1, 0, 0])
  assert max(v.max() for v in labels['cls_targets'].values()) == 1


def _masks_of(record):
  return list(tf.train.Example.FromString(record).features.feature[
      'image/object/mask'].bytes_list.value)


@pytest.mark.parametrize('has_list', runtimes.alternate([False, True]))
def test_classes_without_masks_need_none(has_list):
  pngs = [b'', _masks_of(_record())[1]] if has_list else []
  record = _record(masks=[], mask_pngs=pngs)
  listed = (2,) if has_list else (3,)
  _, labels = _run(_parser(mask_train_class=listed), record, draws=_draws())
  np.testing.assert_array_equal(labels['mask_is_valid'], [0, has_list, 0, 0])
  assert labels['mask_targets'][0].max() == 0.
  assert labels['mask_targets'][1].max() == has_list
  for wrong in ('all', (1, 2)):
    with pytest.raises(tf.errors.InvalidArgumentError) as e:
      _run(_parser(mask_train_class=wrong), record, draws=_draws())
    assert ('Image cat_12 has 2 objects and %d masks (image/object/mask). '
            'Every object of the classes of shapemask_parser.mask_train_class'
            % has_list) in e.value.message
    with pytest.raises(tf.errors.InvalidArgumentError) as e:
      _run(_parser(modes.PREDICT_WITH_GT, mask_train_class=wrong), record)
    assert 'eval.skip_eval_loss=true' in e.value.message
  # Boxes need no masks.
  _run(_parser(modes.PREDICT_WITH_GT, skip_eval_loss=True), record)
