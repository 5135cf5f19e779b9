"""Mask R-CNN's parser, against the reference and on records that go wrong."""

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

CASES = golden.load_cases('parser_maskrcnn')
SECTION = dict(
    output_size=(100, 120), rpn_match_threshold=.7, rpn_unmatched_threshold=.3,
    rpn_batch_size_per_im=16, rpn_fg_fraction=.5, aug_rand_hflip=False,
    aug_scale_min=1., aug_scale_max=1., copy_paste=False,
    skip_crowd_during_training=True, max_num_instances=6, mask_crop_size=28,
    mask_crop_grid='corners',
    regenerate_source_id=False, aug_policy='', randaugment_num_layers=2,
    randaugment_magnitude=5., aug_scale_preset='', legacy_augmentation=False,
    copy_paste_box_update_threshold=10., copy_paste_occluded_obj_threshold=300.)


def _parser(mode=modes.TRAIN, num_classes=91, emit_anchor_boxes=False,
            dtype='float32', include_mask=True, anchors=None,
            skip_eval_loss=False, **changes):
  anchors = anchors or anchor_ops.AnchorGenerator(3, 5, 1, (1., 2., .5), 4.)
  return parser_cases.build(
      'maskrcnn_parser', dict(SECTION, **changes), mode, anchors,
      emit_anchor_boxes, num_classes=num_classes, dtype=dtype,
      skip_eval_loss=skip_eval_loss, include_mask=include_mask)


def _draws(flip=0., **values):
  """Draws that take the first anchors."""
  return fixed_draws.FixedDraws(flip=flip, **values)


@pytest.mark.parametrize('case', CASES, ids=lambda c: c.name)
def test_reference(case):
  parser = _parser(
      parser_cases.mode(case), anchors=parser_cases.anchors(case),
      emit_anchor_boxes=True, dtype=parser_cases.dtype(case),
      legacy_augmentation=True,
      include_mask=case.params['include_mask'],
      **parser_cases.of_section(case, SECTION))
  image, labels = _run(parser, parser_cases.record(case),
                       draws=parser_cases.draws(case))
  if case.name.endswith('_train256'):
    parser_cases.check(case, image, labels, case.outputs)
    return
  parser_cases.check(case, image, labels)


@pytest.mark.parametrize('mode, emit_anchor_boxes, include_mask',
                         runtimes.product(modes.ALL, [False, True],
                                          [False, True]))
def test_emits_its_spec(mode, emit_anchor_boxes, include_mask):
  parser = _parser(mode, emit_anchor_boxes=emit_anchor_boxes,
                   include_mask=include_mask)
  parser_cases.check_spec(parser, parser_cases.RECORDS['full_png'])
  assert parser.needs_masks == (include_mask and mode in (
      modes.TRAIN, modes.PREDICT_WITH_GT))
  assert ('gt_masks' in parser.labels_spec()) == parser.needs_masks


def test_steps_of_training_are_in_order():
  names = parser_cases.names_of_steps(_parser(aug_rand_hflip=True))
  assert names == ['drop_crowds', 'flip', 'to_pixels', 'resize_and_crop',
                   'drop_empty']


def test_padding_counts_nowhere():
  with tf.Session() as session:
    _, labels = session.run(_parser().padding_example())
  assert all(np.all(v == -1) for v in labels['rpn_score_targets'].values())
  for name in ('gt_boxes', 'gt_classes', 'gt_masks'):
    assert np.all(labels[name] == -1)


def _record(inside=1, num_objects=2, **changes):
  """An image of 40 x 50 pixels; each object is the left half of its box."""
  boxes = np.array([[.1, .2, .5, .6], [.5, .4, .9, .8], [0., 0., .4, .4]])
  masks = []
  for y0, x0, y1, x1 in boxes[:num_objects] * [40, 50, 40, 50]:
    masks.append(np.zeros([40, 50], np.uint8))
    masks[-1][int(y0):int(y1), int(x0):int((x0 + x1) / 2)] = inside
  arguments = dict(boxes=boxes[:num_objects], masks=masks, source_id='cat_12',
                   classes=[1, 2, 3][:num_objects])
  arguments.update(changes)
  return examples.serialize(examples.image(40, 50), **arguments)


@pytest.mark.parametrize('flip', [0., .9])
@pytest.mark.parametrize('inside', [1, 255])
def test_masks_are_0_or_1_inside_of_their_box(inside, flip):
  _, labels = _run(_parser(aug_rand_hflip=True, mask_crop_size=9),
                   _record(inside), draws=_draws(flip))
  masks = labels['gt_masks']
  assert masks.shape == (6, 9, 9) and masks.dtype == np.float32
  # Samples beside an edge are between the two.
  left, right = masks[:2, 1:-1, 1:4], masks[:2, 1:-1, 5:-1]
  if flip:
    left, right = right, left
  np.testing.assert_array_equal(left, 1.)
  np.testing.assert_array_equal(right, 0.)
  assert np.all(masks[2:] == -1)
  np.testing.assert_array_equal(labels['gt_classes'], [1, 2, -1, -1, -1, -1])


def test_anchors_are_drawn_from_the_seed():
  first, again, second, third = [
      np.concatenate([v.ravel() for _, v in sorted(
          labels['rpn_score_targets'].items())])
      for _, labels in parser_cases.run_seeds(
          _parser(), _record(), [(3, 1), (3, 1), (3, 2), (4, 1)])]
  np.testing.assert_array_equal(first, again)
  assert np.any(first != second)
  assert np.any(first != third)
  assert np.sum(first >= 0) == SECTION['rpn_batch_size_per_im']


def test_targets_of_an_evaluation_are_those_of_training():
  """Of the same draw, without augmentation and without crowds."""
  record = _record(num_objects=3, is_crowd=[0, 1, 0])
  _, expected = _run(_parser(), record, draws=lambda: draws_lib.of_image(
      tf.constant('cat_12')))
  parser = _parser(modes.PREDICT_WITH_GT, aug_rand_hflip=True,
                   aug_scale_min=.5, aug_scale_max=2.)
  (_, labels), (_, again) = parser_cases.run_seeds(parser, record,
                                                   [(3, 1), (3, 2)])
  assert list(expected['gt_classes'][:3]) == [1, 3, -1]
  for name, value in expected.items():
    tf.nest.map_structure(np.testing.assert_array_equal, labels[name], value)
    tf.nest.map_structure(np.testing.assert_array_equal, again[name], value)
  # The ground truth of the metrics keeps the crowd.
  assert list(labels['groundtruths']['classes'][:3]) == [1, 2, 3]
  assert parser_cases.names_of_steps(parser) == [
      'draw_by_id', 'drop_crowds', 'to_pixels', 'resize_and_crop',
      'drop_empty']


def test_an_evaluation_without_losses_has_no_targets():
  parser = _parser(modes.PREDICT_WITH_GT, skip_eval_loss=True)
  assert set(parser.labels_spec()) == {'groundtruths', 'image_info',
                                       'source_id'}


def _fails(parser, serialized):
  with pytest.raises(tf.errors.InvalidArgumentError) as e:
    _run(parser, serialized, draws=_draws())
  return e.value.message


@pytest.mark.parametrize('changes, count', [
    ({'masks': []}, 0), ({'mask_pngs': [b'']}, 2),
    ({'masks': [], 'mask_pngs': [b'', examples.encode(
        np.ones([40, 50], np.uint8))]}, 1)])
def test_objects_without_a_mask(changes, count):
  serialized = _record(**changes)
  message = _fails(_parser(), serialized)
  assert ('Image cat_12 has 2 objects and %d masks (image/object/mask). '
          'architecture.include_mask is true' % count) in message
  message = _fails(_parser(modes.PREDICT_WITH_GT), serialized)
  assert 'The losses of an evaluation need one' in message
  assert 'eval.skip_eval_loss=true' in message
  # Whoever has no use for them needs none.
  _run(_parser(include_mask=False), serialized, draws=_draws())
  _run(_parser(modes.PREDICT_WITH_GT, skip_eval_loss=True), serialized)


def test_mask_of_another_size_than_the_image():
  message = _fails(_parser(), _record(
      num_objects=1, masks=[np.ones([40, 51], np.uint8)]))
  assert ('Image cat_12 has a mask of 40 x 51 pixels (height x width); the '
          'image has 40 x 50.') in message


def test_more_objects_than_the_labels_hold():
  message = _fails(_parser(max_num_instances=1), _record())
  assert ('Image cat_12 has 2 objects; maskrcnn_parser.max_num_instances is 1, '
          'so some would be missing from the training.') in message
  assert 'missing from the evaluation.' in _fails(
      _parser(modes.PREDICT_WITH_GT, max_num_instances=1), _record())
  # Crowds are no objects to train on.
  _run(_parser(max_num_instances=1), _record(is_crowd=[0, 1]), draws=_draws())


@pytest.mark.parametrize('mode', [modes.TRAIN, modes.EVAL,
                                  modes.PREDICT_WITH_GT])
def test_class_id_out_of_range(mode):
  with pytest.raises(tf.errors.InvalidArgumentError) as e:
    _run(_parser(mode, num_classes=2), _record(), draws=_draws())
  assert 'Image cat_12 has an object of class 2.' in e.value.message


PASTES = golden.load_cases('parser_copy_paste')


def _pasting_parser(**changes):
  params = dict(output_size=(128, 128), copy_paste=True, mask_crop_size=28,
                anchors=anchor_ops.AnchorGenerator(3, 6, 1, (1., 2., .5), 4.),
                legacy_augmentation=True)
  return _parser(**dict(params, **changes))


def _pasted(parser, target, source, flip=0., source_flip=0., count=.999):
  """(image, labels) of a record with the objects of another one."""
  draws = _draws(flip, count=count, source={'flip': source_flip})
  return _run(parser, (target, source), draws=draws)


@pytest.mark.parametrize('case', PASTES, ids=lambda c: c.name)
def test_reference_copy_paste(case):
  target, source = [parser_cases.RECORDS[case.params[key]]
                    for key in ('target', 'paste_source')]
  params = {k: tuple(v) if isinstance(v, list) else v
            for k, v in case.params.items() if k in SECTION}
  # The cases do not say how the anchors were made; the labels have none.
  image, labels = _pasted(_pasting_parser(
      anchors=anchor_ops.AnchorGenerator(
          case.params['min_level'], case.params['max_level'], 1, (1., 2., .5),
          4.), include_mask=case.params['include_mask'], **params),
                          target, source)
  for key, value in case.outputs.items():
    if key.startswith('target.labels.'):
      parser_cases.check_array(labels[key[len('target.labels.'):]], value,
                               case.meta['tolerance'], key)
  np.testing.assert_allclose(image, case.outputs['target.image'], rtol=0,
                             atol=case.meta['tolerance'])


def _square(y0, x0, size, class_id, side=40):
  """A record of one square object, and its mask."""
  mask = np.zeros([side, side], np.uint8)
  mask[y0:y0 + size, x0:x0 + size] = 1
  box = np.array([y0, x0, y0 + size, x0 + size]) / side
  return examples.serialize(np.full([side, side, 3], 20 * class_id, np.uint8),
                            [box], [class_id], masks=[mask])


def _paste(target, source, **options):
  parser = _pasting_parser(
      output_size=(40, 40), legacy_augmentation=False, aug_rand_hflip=True,
      copy_paste_occluded_obj_threshold=30., rpn_batch_size_per_im=16,
      copy_paste_box_update_threshold=2.)
  image, labels = _pasted(parser, target, source, **options)
  return image, labels['gt_boxes'], labels['gt_classes'], labels['gt_masks']


def test_pasting_cuts_masks_and_boxes():
  """The right half of a square of 10 x 10 is covered."""
  image, boxes, classes, masks = _paste(_square(10, 10, 10, 3),
                                        _square(5, 15, 20, 8))
  np.testing.assert_array_equal(classes, [3, 8, -1, -1, -1, -1])
  np.testing.assert_allclose(boxes[:2], [[10, 10, 20, 15], [5, 15, 25, 35]])
  assert masks[0].mean() > .8 and np.all(masks[1, 1:-2, 1:-2] == 1.)
  # Two colours: what was there, and what was pasted.
  assert image[15, 12, 0] == image[0, 0, 0] != image[15, 16, 0]


@pytest.mark.parametrize('flip', [0., .9])
@pytest.mark.parametrize('source_flip', [0., .9])
def test_pasting_into_and_from_mirrored_images(flip, source_flip):
  _, boxes, classes, masks = _paste(
      _square(10, 2, 10, 3), _square(5, 7, 20, 8), flip=flip,
      source_flip=source_flip)
  assert list(classes[:2]) == [3, 8]
  target = [10, 2, 20, 7] if not source_flip else [10, 2, 20, 12]
  source = [5, 7, 25, 27]
  if flip != source_flip:
    target = [10, 2, 20, 12]
  elif flip:
    target = [10, 33, 20, 38]
  if flip and not source_flip:
    target = [10, 28, 20, 38]
  if source_flip:
    source = [5, 13, 25, 33]
  np.testing.assert_allclose(boxes[:2], [target, source], atol=1e-4)
  assert masks[0].mean() > .8


def test_an_object_that_is_covered_is_gone():
  _, boxes, classes, _ = _paste(_square(10, 10, 8, 3), _square(5, 5, 20, 8))
  np.testing.assert_array_equal(classes, [8, -1, -1, -1, -1, -1])
  np.testing.assert_allclose(boxes[0], [5, 5, 25, 25])


def test_pasting_from_a_image_without_objects():
  empty = examples.serialize(examples.image(40, 40))
  _, boxes, classes, _ = _paste(_square(10, 10, 8, 3), empty)
  np.testing.assert_array_equal(classes, [3, -1, -1, -1, -1, -1])
  np.testing.assert_allclose(boxes[0], [10, 10, 18, 18])


def test_policies_move_masks_with_their_boxes():
  """What a mask of the size of its box shows is full before and after."""
  parser = _parser(output_size=(40, 40), aug_policy='test', mask_crop_size=9)
  draws = _draws(sub_policy=0., sign=.1, apply=.5, position=.5)
  # 100 pixels of an image of 200 to the right.
  _, labels = _run(parser, _square(20, 10, 60, 3, side=200),
                   draws=draws)
  np.testing.assert_allclose(labels['gt_boxes'][0], [4, 22, 16, 34], atol=.01)
  assert np.all(labels['gt_masks'][0, 1:-1, 1:-1] == 1.)


_CUT = {'flip': (_record(num_objects=3), dict(aug_rand_hflip=True),
                 dict(flip=.9)),
        'moved': (_square(20, 10, 60, 3, side=200), dict(aug_policy='test'),
                  dict(sub_policy=0., sign=.1, apply=.5, position=.5))}


@pytest.mark.parametrize('grid, name', runtimes.product(['corners', 'cells'],
                                                        sorted(_CUT)))
def test_masks_cut_to_their_objects_give_the_same(grid, name):
  record, changes, draws = _CUT[name]
  parser = _parser(mask_crop_grid=grid, mask_crop_size=9, **changes)
  _, expected = _run(parser, record, draws=_draws(**draws))
  _, got = _run(parser, examples.with_cut_masks(record, keeps_whole=False),
                draws=_draws(**draws))
  assert expected['gt_masks'].max() == 1.
  for key in ('gt_boxes', 'gt_classes', 'gt_masks'):
    np.testing.assert_array_equal(got[key], expected[key], key)


@pytest.mark.parametrize('flip', [0., .9])
def test_cut_masks_are_pasted_the_same(flip):
  records = _square(10, 10, 10, 3), _square(5, 15, 20, 8)
  expected = _paste(*records, flip=flip)
  got = _paste(*[examples.with_cut_masks(r, False) for r in records], flip=flip)
  for a, b in zip(expected, got):
    np.testing.assert_array_equal(a, b)


def test_cut_masks_of_some_objects_only_are_not_read():
  record = tf.train.Example.FromString(examples.with_cut_masks(_record()))
  record.features.feature['image/object/cut_mask'].bytes_list.value.pop()
  _, expected = _run(_parser(), _record(), draws=_draws())
  _, got = _run(_parser(), record.SerializeToString(), draws=_draws())
  np.testing.assert_array_equal(got['gt_masks'], expected['gt_masks'])
