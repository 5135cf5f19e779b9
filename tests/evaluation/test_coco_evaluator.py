"""Tests of evaluation/coco_evaluator.py."""

import json
import logging
import os
import tracemalloc

import cv2
import numpy as np
import pytest

from evaluation import annotations as annotations_lib
from evaluation import coco_evaluator
from evaluation import coco_metrics
from evaluation import coco_results
from tests import golden
from tests.evaluation import coco_files
from utils import class_sets
from utils import mask_grids
from utils import masks

_BATCH = 5  # as the reference was fed
_SETS = [os.path.dirname(path) for path in
         golden.reference_files('ops/eval_predictions.npz')]
_PERCAT = {'per_category': True}

# Case of eval_metrics.json -> (arguments, changes to its predictions).
_FROM_FILE = {
    'box_json': ({}, ''),
    'box_json_percat': (_PERCAT, ''),
    'box_json_remove_invalid': ({}, ''),
    'box_json_norescale': ({'need_rescale_bboxes': False}, 'rescaled'),
    'box_json_dup_padding_remove_False': ({'remove_invalid_boxes': False},
                                          'repeated padding'),
    'box_json_dup_padding_remove_True': ({}, 'repeated padding'),
    'box_json_subset': ({'only_predicted_images': True}, 'even images'),
    'mask_json_percat': ({'include_mask': True, 'per_category': True},
                         'no outer boxes'),
    'mask_json_outer_boxes': ({'include_mask': True}, ''),
    'shapemask_all': ({'include_mask': True}, ''),
}


class _ReferenceSet:
  """The files eval_* of one reference folder."""

  def __init__(self, folder):
    self.path = folder + '/'
    archive = np.load(self.path + 'eval_predictions.npz')
    self.predictions = self._arrays(archive, 'pred.in.')
    self.groundtruths = self._arrays(archive, 'gt.in.')
    self.metrics = self.json('eval_metrics.json')['cases']

  @staticmethod
  def _arrays(archive, prefix):
    return {k[len(prefix):]: archive[k] for k in archive.files
            if k.startswith(prefix)}

  def json(self, name):
    return golden.load_json(self.path + name)

  def check(self, case, metrics):
    """Compares with the case; metrics beyond those of the case may be."""
    for name, expected in self.metrics[case]['metrics'].items():
      assert metrics[name] == pytest.approx(expected, abs=1e-5), name


@pytest.fixture(params=_SETS, ids=lambda folder: folder.split('/')[-2],
                scope='module')
def reference(request):
  return _ReferenceSet(request.param)


def _feed(evaluator, predictions, groundtruths=None):
  for start in range(0, len(predictions['source_id']), _BATCH):
    rows = slice(start, start + _BATCH)
    evaluator.update(
        {k: v[rows] for k, v in predictions.items()},
        groundtruths and {k: v[rows] for k, v in groundtruths.items()})
  return evaluator


def _change(predictions, change):
  predictions = dict(predictions)
  if change == 'no outer boxes':
    del predictions['detection_outer_boxes']
  if change == 'rescaled':
    scale = np.tile(predictions['image_info'][:, 2], [1, 2])[:, np.newaxis]
    predictions['detection_boxes'] = predictions['detection_boxes'] / scale
  if change == 'repeated padding':
    num_slots = predictions['detection_boxes'].shape[1]
    is_padding = (np.arange(num_slots)
                  >= predictions['num_detections'][:, np.newaxis])
    # The scores of padding stay -1: the expected figures do not move.
    for key in ('detection_boxes', 'detection_classes'):
      values = predictions[key].copy()
      values[is_padding] = np.broadcast_to(values[:, :1],
                                           values.shape)[is_padding]
      predictions[key] = values
  if change == 'even images':
    predictions = {k: v[::2] for k, v in predictions.items()}
  return predictions


@pytest.mark.parametrize('case', sorted(_FROM_FILE))
def test_metrics_equal_reference(reference, case):
  kwargs, change = _FROM_FILE[case]
  evaluator = coco_evaluator.COCOEvaluator(
      reference.path + 'eval_groundtruth.json', mask_grid=mask_grids.LEGACY,
      **kwargs)
  _feed(evaluator, _change(reference.predictions, change))
  reference.check(case, evaluator.evaluate())


@pytest.mark.parametrize('name', ['voc', 'nonvoc'])
def test_novel_classes_equal_reference(reference, name):
  """Which takes an undefined figure of a class for -1 (13.1 of the spec)."""
  evaluator = coco_evaluator.COCOEvaluator(
      reference.path + 'eval_groundtruth.json', include_mask=True,
      per_category=True, novel_categories=class_sets.ids(name),
      mask_grid=mask_grids.LEGACY)
  metrics = _feed(evaluator, reference.predictions).evaluate()
  novel = [i for i in evaluator.category_names if i in class_sets.ids(name)]
  seen = [i for i in evaluator.category_names if i not in novel]
  assert novel and seen
  for metric, (key, *_) in zip(coco_metrics.METRIC_NAMES,
                               coco_metrics._CATEGORY_KEYS):
    for group, categories in (('novel', novel), ('seen', seen)):
      values = np.array([metrics['mask_' + key % i] for i in categories])
      assert metrics['%s_mask_%s' % (group, metric)] == pytest.approx(
          values[values >= 0].mean() if (values >= 0).any() else -1)
      if group == 'novel':
        expected = reference.metrics['shapemask_' + name]['metrics'][
            'novel_mask_' + metric]
        assert values.mean() == pytest.approx(expected, abs=1e-5), metric


def test_novel_classes_without_objects():
  evaluator = _square_evaluator(include_mask=True, novel_categories=[2])
  predictions = coco_files.square_predictions()
  predictions['detection_masks'] = np.ones([2, 3, 4, 4])
  evaluator.update(predictions)
  metrics = evaluator.evaluate()
  assert metrics['novel_mask_AP'] == -1
  assert metrics['seen_mask_AP'] == metrics['mask_AP'] > .8
  assert 'eval.mask_eval_class' in ' '.join(evaluator.messages)


def test_groundtruth_of_batches_equals_reference(reference):
  evaluator = coco_evaluator.COCOEvaluator()
  _feed(evaluator, reference.predictions, reference.groundtruths)
  reference.check('box_nojson_percat', evaluator.evaluate())
  bare = {k: v for k, v in reference.groundtruths.items()
          if k not in ('areas', 'is_crowds')}
  _feed(evaluator, reference.predictions, bare)  # starts over
  reference.check('box_nojson_no_area_no_crowd', evaluator.evaluate())


def test_annotations_made_of_records_equal_reference(reference):
  evaluator = coco_evaluator.COCOEvaluator(
      reference.json('eval_groundtruth_from_tfrecord.json'))
  _feed(evaluator, reference.predictions)
  reference.check('generated_json_mask_False', evaluator.evaluate())


def test_masks_of_batches_equal_reference(reference):
  predictions = _change(reference.predictions, 'no outer boxes')
  groundtruths = dict(reference.groundtruths)
  groundtruths['masks'] = np.full(groundtruths['classes'].shape, b'', object)
  rows = {i: row for row, i in enumerate(groundtruths['source_id'])}
  filled = dict.fromkeys(rows, 0)
  for entry in reference.json('eval_groundtruth.json')['annotations']:
    image = entry['image_id']
    png = cv2.imencode('.png', masks.decode(entry['segmentation']))[1]
    groundtruths['masks'][rows[image], filled[image]] = png.tobytes()
    filled[image] += 1
  evaluator = coco_evaluator.COCOEvaluator(include_mask=True,
                                           mask_grid=mask_grids.LEGACY)
  _feed(evaluator, predictions, groundtruths)
  reference.check('tfrecord_groundtruth_mask', evaluator.evaluate())


def test_results_equal_reference(reference):
  evaluator = coco_evaluator.COCOEvaluator(
      reference.path + 'eval_groundtruth.json', include_mask=True,
      remove_invalid_boxes=False, mask_grid=mask_grids.LEGACY)
  _feed(evaluator, _change(reference.predictions, 'no outer boxes'))
  results = json.loads(json.dumps(evaluator.results()))
  expected = reference.json('eval_coco_predictions.json')
  assert len(results) == len(expected)
  for ours, theirs in zip(results, expected):
    assert ours['image_id'] == theirs['image_id']
    assert ours['category_id'] == theirs['category_id']
    assert ours['score'] == pytest.approx(theirs['score'], abs=1e-5)
    np.testing.assert_allclose(ours['bbox'], theirs['bbox'], atol=1e-3)
    difference = (masks.decode(ours['segmentation'])
                  != masks.decode(theirs['segmentation']))
    assert np.count_nonzero(difference) <= 3


def test_results_evaluate_to_the_same_metrics(reference):
  """JSON and back loses nothing."""
  path = reference.path + 'eval_groundtruth.json'
  evaluator = coco_evaluator.COCOEvaluator(path, include_mask=True)
  metrics = _feed(evaluator, reference.predictions).evaluate()
  loaded = annotations_lib.load(path, include_mask=True)
  detections, _ = coco_results.from_results(
      json.loads(json.dumps(evaluator.results())), loaded, include_mask=True)
  again = coco_metrics.evaluate(loaded, detections, 'bbox')
  again.update(coco_metrics.evaluate(loaded, detections, 'segm'))
  assert again == metrics


def _as_predictions(results, annotations, slots):
  """Batched arrays of a COCO results list."""
  sizes = [[i['height'], i['width']] for i in annotations['images']]
  image_info = np.ones([len(sizes), 4, 2])
  image_info[:, 0] = sizes
  arrays = {
      'source_id': np.array([i['id'] for i in annotations['images']]),
      'image_info': image_info,
      'num_detections': np.zeros([len(sizes)], int),
      'detection_boxes': np.zeros([len(sizes), slots, 4]),
      'detection_classes': np.zeros([len(sizes), slots], int),
      'detection_scores': np.full([len(sizes), slots], -1.)}
  rows = {i: row for row, i in enumerate(arrays['source_id'])}
  for r in results:
    row = rows[r['image_id']]
    slot = arrays['num_detections'][row]
    x, y, w, h = r['bbox']
    arrays['detection_boxes'][row, slot] = y, x, y + h, x + w
    arrays['detection_classes'][row, slot] = r['category_id']
    arrays['detection_scores'][row, slot] = r['score']
    arrays['num_detections'][row] += 1
  return arrays


def test_images_without_detections_count():
  """0.5045807, not the 0.5069852 of an evaluator that skips the image."""
  annotations = coco_files.annotations()
  predictions = _as_predictions(coco_files.results('bbox'), annotations, 60)
  assert 0 in predictions['num_detections']
  expected = coco_files.expected()['bbox']['stats']
  evaluator = coco_evaluator.COCOEvaluator(annotations)
  metrics = _feed(evaluator, predictions).evaluate()
  np.testing.assert_allclose(
      [metrics[n] for n in coco_metrics.METRIC_NAMES], expected, atol=1e-7)
  assert evaluator.messages == []


def test_images_without_update_count_and_are_named(caplog):
  annotations = coco_files.annotations()
  predictions = _as_predictions(coco_files.results('bbox'), annotations, 60)
  fed = predictions['num_detections'] > 0
  evaluator = coco_evaluator.COCOEvaluator(annotations)
  evaluator.update({k: v[fed] for k, v in predictions.items()})
  with caplog.at_level(logging.WARNING):
    metrics = evaluator.evaluate()
  assert metrics['AP'] == pytest.approx(.5045807, abs=1e-7)
  missing = predictions['source_id'][~fed][0]
  assert '1 of 100 images' in caplog.text and str(missing) in caplog.text
  assert evaluator.messages[0] in caplog.text


def _square_evaluator(**kwargs):
  return coco_evaluator.COCOEvaluator(coco_files.square_set(), **kwargs)


def test_padding_and_repeated_images():
  predictions = coco_files.square_predictions()
  twice = {k: np.concatenate([v, v, v[:1]]) for k, v in predictions.items()}
  twice['source_id'][-1] = -1
  twice['detection_boxes'][2] = 0  # the second time must not count
  evaluator = _square_evaluator()
  evaluator.update(twice)
  evaluator.update(predictions)
  assert evaluator.num_images == 2
  assert evaluator.evaluate()['AP'] == pytest.approx(1)
  assert '4 images were given more than once' in ' '.join(evaluator.messages)
  assert len(evaluator.results()) == 2


def test_unknown_images_are_named():
  predictions = coco_files.square_predictions()
  predictions['source_id'] = np.array([7, 1234])
  with pytest.raises(ValueError, match='1234.*2 images, such as 7, 8'):
    _square_evaluator().update(predictions)


@pytest.mark.parametrize('key', [
    'source_id', 'image_info', 'num_detections', 'detection_boxes',
    'detection_classes', 'detection_scores'])
def test_missing_keys_are_named(key):
  predictions = coco_files.square_predictions()
  del predictions[key]
  with pytest.raises(ValueError, match='no ' + key):
    _square_evaluator().update(predictions)


def test_missing_masks_are_named():
  with pytest.raises(ValueError, match='no detection_masks'):
    _square_evaluator(include_mask=True).update(
        coco_files.square_predictions())


def test_no_groundtruth_at_all():
  with pytest.raises(ValueError, match='nothing to compare with'):
    coco_evaluator.COCOEvaluator().update(coco_files.square_predictions())


def test_evaluate_without_update():
  with pytest.raises(ValueError, match='update'):
    _square_evaluator().evaluate()
  evaluator = _square_evaluator()
  predictions = coco_files.square_predictions()
  predictions['source_id'][:] = -1
  evaluator.update(predictions)
  with pytest.raises(ValueError, match='padding only'):
    evaluator.evaluate()
  assert evaluator.results() == []


def test_reset_and_next_evaluation():
  predictions = coco_files.square_predictions()
  wrong = dict(predictions, detection_boxes=predictions['detection_boxes'] + 99)
  evaluator = _square_evaluator()
  evaluator.update(wrong)
  evaluator.reset()  # as after an evaluation that failed half-way
  evaluator.update(predictions)
  first = evaluator.evaluate()
  assert first['AP'] == pytest.approx(1)
  assert evaluator.evaluate() == first
  evaluator.update(wrong)
  assert evaluator.num_images == 2
  assert evaluator.evaluate()['AP'] == 0


def test_no_detections_score_zero():
  predictions = coco_files.square_predictions()
  predictions['num_detections'][:] = 0
  predictions['detection_masks'] = np.ones([2, 3, 4, 4])
  evaluator = _square_evaluator(include_mask=True)
  evaluator.update(predictions)
  metrics = evaluator.evaluate()
  assert metrics['AP'] == metrics['mask_AP'] == 0


def test_values_that_are_no_numbers_are_left_out():
  predictions = coco_files.square_predictions()
  predictions['detection_boxes'][0, 0, 2] = np.nan
  evaluator = _square_evaluator()
  evaluator.update(predictions)
  metrics = evaluator.evaluate()
  assert metrics['ARmax100'] == .5
  assert 'not a finite number' in ' '.join(evaluator.messages)
  assert len(evaluator.results()) == 1


def test_unknown_categories_are_named():
  predictions = coco_files.square_predictions()
  predictions['detection_classes'][0, 1] = 77
  evaluator = _square_evaluator()
  evaluator.update(predictions)
  assert evaluator.evaluate()['ARmax100'] == .5
  assert '1 of 2 detections' in evaluator.messages[0]
  assert '77' in evaluator.messages[0]


def test_text_ids():
  """Records carry a hash of text ids and the number of numeric ones."""
  annotations = coco_files.square_set()
  for entry in annotations['images'] + annotations['annotations']:
    key = 'id' if 'height' in entry else 'image_id'
    entry[key] = {7: 'photo_a', 8: '0008'}[entry[key]]
  evaluator = coco_evaluator.COCOEvaluator(annotations,
                                           id_map={991: 'photo_a'})
  predictions = coco_files.square_predictions()
  predictions['source_id'] = np.array([991, 8])
  predictions['num_detections'][1] = 1
  evaluator.update(predictions)
  assert evaluator.evaluate()['ARmax100'] == 1
  assert {r['image_id'] for r in evaluator.results()} == {'photo_a', '0008'}


def test_groundtruth_of_records_with_text_ids():
  """Results carry the text, not the hash that stands for it."""
  annotations = coco_files.square_set()
  annotations['images'][0]['source_id'] = 'photo_a'
  annotations['images'][1]['source_id'] = '0008'
  evaluator = coco_evaluator.COCOEvaluator(annotations)
  evaluator.update(coco_files.square_predictions())
  assert evaluator.evaluate()['ARmax100'] == 1
  assert {r['image_id'] for r in evaluator.results()} == {'photo_a'}
  assert evaluator.messages == []
  for image in annotations['images']:
    image['source_id'] = 'the same for all'
  evaluator = coco_evaluator.COCOEvaluator(annotations)
  evaluator.update(coco_files.square_predictions())
  assert {r['image_id'] for r in evaluator.results()} == {7}


def test_image_of_another_size_is_named():
  predictions = coco_files.square_predictions()
  predictions['detection_masks'] = np.ones([2, 3, 4, 4])
  predictions['image_info'][0, 0] = [120, 100]
  evaluator = _square_evaluator(include_mask=True)
  evaluator.update(predictions)
  with pytest.raises(ValueError, match='Image 7 has 100 x 120'):
    evaluator.evaluate()


def test_merged_workers_equal_one(reference):
  path = reference.path + 'eval_groundtruth.json'
  one = _feed(coco_evaluator.COCOEvaluator(path), reference.predictions)
  parts = []
  for rows in (slice(0, 30), slice(20, 50)):  # ten images in both
    parts.append(coco_evaluator.COCOEvaluator(path))
    parts[-1].update({k: v[rows] for k, v in reference.predictions.items()})
  parts[0].merge(parts[1])
  assert parts[0].num_images == 50
  assert parts[0].evaluate() == one.evaluate()


@pytest.mark.parametrize('case', ['records', 'file'])
def test_parts_of_processes_equal_one(reference, case):
  """Whatever went through JSON: figures to the digit, and the results file."""
  def make():
    return coco_evaluator.COCOEvaluator(
        reference.path + 'eval_groundtruth.json' if case == 'file' else None,
        include_mask='detection_masks' in reference.predictions
        and case == 'file')

  def feed(rows):
    predictions, groundtruths = (
        {k: v[rows] for k, v in arrays.items()}
        for arrays in (reference.predictions, reference.groundtruths))
    return _feed(make(), predictions, groundtruths if case == 'records'
                 else None)

  one, batches = feed(slice(None)), np.arange(52).reshape([-1, 4])
  parts = [json.loads(json.dumps(feed(
      [row for row in batches[k::3].ravel() if row < 50]).part()))
           for k in range(3)]
  merged = feed(slice(0, 9))  # What it had does not count.
  merged.take_parts(parts, 4)
  assert merged.evaluate() == one.evaluate()
  assert merged.results() == one.results()
  assert merged.messages == one.messages


def test_merged_groundtruth(reference):
  parts = [coco_evaluator.COCOEvaluator() for _ in range(2)]
  for part, rows in zip(parts, (slice(0, 30), slice(20, 50))):
    part.update({k: v[rows] for k, v in reference.predictions.items()},
                {k: v[rows] for k, v in reference.groundtruths.items()})
  parts[0].merge(parts[1])
  reference.check('box_nojson_percat', parts[0].evaluate())


def test_names_and_counts():
  evaluator = _square_evaluator(label_map={2: 'disc'})
  assert evaluator.category_names == {1: 'square', 2: 'disc'}
  assert evaluator.num_objects == {1: 2, 2: 0}


def test_limits_of_detections_are_told():
  annotations = coco_files.square_set()
  annotations['annotations'] = [
      dict(annotations['annotations'][0], id=i) for i in range(120)]
  evaluator = coco_evaluator.COCOEvaluator(annotations, max_detections=150)
  evaluator.update(coco_files.square_predictions())
  assert evaluator.evaluate()['APmax150'] >= 0
  text = ' '.join(evaluator.messages)
  assert 'image 7 has 120' in text and 'APmax150' in text
  assert ('Image 7 has 120 objects, the model gives at most 3 detections for '
          'an image (postprocess.max_total_size).') in text


def _memory_of_masks(num_images):
  """Most memory, in bytes, while that many images are added and scored."""
  side, num_slots = 400, 5
  random = np.random.RandomState(0)
  annotations = coco_files.square_set()
  annotations['images'] = [{'id': i, 'height': side, 'width': side}
                           for i in range(num_images)]
  for entry in annotations['annotations']:
    entry['image_id'] = 0
  image_info = np.ones([1, 4, 2], np.float32)
  image_info[:, 0] = side
  evaluator = coco_evaluator.COCOEvaluator(annotations, include_mask=True)
  tracemalloc.start()
  for i in range(num_images):
    evaluator.update({
        'source_id': np.array([i]), 'image_info': image_info,
        'num_detections': np.array([num_slots]),
        'detection_boxes': np.tile([[[20., 30., 360., 380.]]],
                                   [1, num_slots, 1]),
        'detection_classes': np.ones([1, num_slots], int),
        'detection_scores': random.uniform(size=[1, num_slots]),
        'detection_masks': np.ones([1, num_slots, 28, 28], np.float32)})
  evaluator.evaluate()
  _, peak = tracemalloc.get_traced_memory()
  tracemalloc.stop()
  return peak


def test_memory_stays_flat_over_the_number_of_images():
  """An image more costs the codes of its masks, not their pixels."""
  few, many = _memory_of_masks(5), _memory_of_masks(35)
  pixels = 5 * 400 * 400  # of the masks of one image, a byte each
  assert (many - few) / 30. < .02 * pixels


def test_an_image_may_be_called_minus_one():
  """Which is the id of padding in a batch, but not in annotations."""
  content = coco_files.square_set()
  content['images'][0]['id'] = -1
  for annotation in content['annotations']:
    annotation['image_id'] = -1
  evaluator = coco_evaluator.COCOEvaluator(content, id_map={7: -1})
  evaluator.update(coco_files.square_predictions())
  assert evaluator.evaluate()['AP'] == pytest.approx(1.)
  assert {r['image_id'] for r in evaluator.results()} == {-1}
