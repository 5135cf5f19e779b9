"""Overlap of classes, against the reference and worked out by hand."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from evaluation import segmentation_evaluator
from modeling import segmentation
from tests import golden

CASES = golden.load_cases('segmentation_metrics')
_INFO = np.array([[2, 3], [2, 3], [1, 1], [0, 0]], np.float32)


def _batch(ids, predicted, true, is_valid=None):
  predicted, true = [np.array(x)[..., np.newaxis] for x in (predicted, true)]
  is_valid = (np.ones(true.shape, bool) if is_valid is None
              else np.array(is_valid, bool)[..., np.newaxis])
  return ({'source_id': np.array(ids), 'masks': predicted,
           'image_info': np.stack([_INFO] * len(ids))},
          {'masks': true.astype(np.float32), 'valid_masks': is_valid})


@pytest.mark.parametrize('case', CASES, ids=lambda c: c.name)
def test_reference(case):
  num_classes = case.params['num_classes']
  evaluator = segmentation_evaluator.SegmentationEvaluator(num_classes)
  names = sorted({name.split('.')[0] for name in case.inputs})
  for i, name in enumerate(names):
    true = case.inputs[name + '.masks']
    with tf.Graph().as_default(), tf.Session() as session:
      masks = session.run(segmentation.label_map(
          tf.constant(case.inputs[name + '.logits']), true.shape[1:3]))
    count = len(true)
    size = list(true.shape[1:3])
    evaluator.update(
        {'source_id': np.arange(count) + 10 * i, 'masks': masks,
         'image_info': np.array([[size, size, [1, 1], [0, 0]]] * count)},
        {'masks': true, 'valid_masks': case.inputs[name + '.valid_masks']})
  metrics = evaluator.evaluate()
  assert metrics['miou'] == pytest.approx(case.outputs['miou'], abs=1e-6)
  for i in range(num_classes):
    assert metrics['eval/iou_class_%d' % i] == pytest.approx(
        case.outputs['eval_iou_class_%d' % i], abs=1e-6)


def _evaluator():
  evaluator = segmentation_evaluator.SegmentationEvaluator(4, {1: 'disc'})
  # The last pixel does not count.
  evaluator.update(*_batch(
      [7], [[[0, 0, 1], [1, 1, 2]]], [[[0, 0, 0], [1, 1, 0]]],
      [[[1, 1, 1], [1, 1, 0]]]))
  evaluator.update(*_batch([8], [[[0, 0, 0], [0, 2, 0]]],
                           [[[0, 0, 0], [0, 0, 0]]]))
  return evaluator


def test_overlap_by_hand():
  metrics = _evaluator().evaluate()
  # Class 0: 2 + 5 pixels right, 1 taken for class 1, 1 for class 2. Class 1: 2
  # right, 1 too many. Class 2 is predicted but never true.
  assert metrics == {
      'eval/iou_class_0': pytest.approx(7. / 9.),
      'eval/iou_class_1': pytest.approx(2. / 3.),
      'eval/iou_class_2': -1., 'eval/iou_class_3': -1.,
      'miou': pytest.approx((7. / 9. + 2. / 3. + 0.) / 3.)}


def test_regions_of_every_image():
  results = _evaluator().results()
  assert [(r['image_id'], r['category_id']) for r in results] == [
      (7, 0), (7, 1), (7, 2), (8, 0), (8, 2)]
  assert results[0]['segmentation']['size'] == [2, 3]


def test_update_after_evaluate_begins_anew():
  evaluator = _evaluator()
  evaluator.evaluate()
  evaluator.update(*_batch([9], [[[3] * 3] * 2], [[[3] * 3] * 2]))
  assert evaluator.evaluate()['miou'] == 1. and evaluator.num_images == 1


def test_table():
  evaluator = _evaluator()
  table = evaluator.format_table(evaluator.evaluate())
  assert table.startswith('mean IoU  0.4815')
  rows = [line.split() for line in table.split('\n')]
  assert ['1', 'disc', '2', '0.6667'] in rows
  assert ['3', '3', '0', '-'] in rows and 'does not occur' in table


def test_no_pixel_counts():
  evaluator = segmentation_evaluator.SegmentationEvaluator(2)
  evaluator.update(*_batch([1], [[[0] * 3] * 2], [[[0] * 3] * 2],
                           [[[0] * 3] * 2]))
  assert evaluator.evaluate()['miou'] == 0.


def test_pixels_of_no_class_are_named():
  evaluator = segmentation_evaluator.SegmentationEvaluator(2)
  with pytest.raises(ValueError, match=r'images \[5\] has pixels of class 9'):
    evaluator.update(*_batch([5], [[[0] * 3] * 2], [[[9] * 3] * 2]))


@pytest.mark.parametrize('part, name', [
    (0, 'source_id'), (0, 'masks'), (0, 'image_info'), (1, 'masks'),
    (1, 'valid_masks')])
def test_missing_keys_are_named(part, name):
  batch = _batch([1], [[[0] * 3] * 2], [[[0] * 3] * 2])
  del batch[part][name]
  with pytest.raises(ValueError, match='no %s' % name):
    segmentation_evaluator.SegmentationEvaluator(2).update(*batch)


def test_nothing_to_evaluate():
  with pytest.raises(ValueError, match='no predictions'):
    segmentation_evaluator.SegmentationEvaluator(2).evaluate()
