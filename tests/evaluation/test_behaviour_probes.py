"""What odd calls do: they work here, or say what is wrong."""

import json
import os

import numpy as np
import pytest

from dataloader import records
from evaluation import coco_evaluator
from tests import golden

_PATHS = golden.reference_files('ops/eval_metrics.json')


def _arrays(path, prefix):
  archive = np.load(os.path.join(os.path.dirname(path), 'eval_predictions.npz'))
  return {k[len(prefix):]: archive[k] for k in archive.files
          if k.startswith(prefix)}


@pytest.fixture(params=_PATHS, ids=[os.path.basename(os.path.dirname(
    os.path.dirname(path))) for path in _PATHS], scope='module')
def reference(request):
  """(path, probes, metrics of boxes) of a reference folder."""
  content = golden.load_json(request.param)
  return (request.param, content['behaviour_probes'],
          content['cases']['box_json']['metrics'])


def _evaluator(path, **options):
  return coco_evaluator.COCOEvaluator(os.path.join(
      os.path.dirname(path), 'eval_groundtruth.json'), **options)


def _check(metrics, expected):
  for name, value in expected.items():
    assert metrics[name] == pytest.approx(value, abs=1e-5), name


def test_every_probe_has_a_test_here(reference):
  assert set(reference[1]) == {
      'dump_predictions', 'evaluate_after_dump', 'evaluate_without_predictions',
      'gt_with_num_groundtruths_key', 'mask_without_json_update',
      'scan_mask_False', 'scan_mask_True'}


def test_results_are_json_and_change_nothing(reference):
  path, probes, expected = reference
  assert probes['dump_predictions'].startswith('TypeError')
  # There they spoil the evaluation, too: boxes are converted a second time.
  assert probes['evaluate_after_dump']['AP'] < 0.1 * expected['AP']
  evaluator = _evaluator(path)
  evaluator.update(_arrays(path, 'pred.in.'))
  assert json.loads(json.dumps(evaluator.results()))
  _check(evaluator.evaluate(), expected)


def test_evaluate_without_predictions(reference):
  assert reference[1]['evaluate_without_predictions'].startswith('KeyError')
  with pytest.raises(ValueError, match='update'):
    _evaluator(reference[0]).evaluate()


def test_number_of_objects_by_either_name(reference):
  path, probes, _ = reference
  assert probes['gt_with_num_groundtruths_key'].startswith('KeyError')
  metrics = []
  for name in ('num_detections', 'num_groundtruths'):
    groundtruths = _arrays(path, 'gt.in.')
    groundtruths[name] = groundtruths.pop('num_detections')
    evaluator = coco_evaluator.COCOEvaluator()
    evaluator.update(_arrays(path, 'pred.in.'), groundtruths)
    metrics.append(evaluator.evaluate())
  assert metrics[0] == metrics[1]


def test_masks_without_masks_of_the_objects(reference):
  """An error in both."""
  path, probes, _ = reference
  assert probes['mask_without_json_update'].startswith('ValueError')
  with pytest.raises(ValueError, match='masks'):
    coco_evaluator.COCOEvaluator(include_mask=True).update(
        _arrays(path, 'pred.in.'), _arrays(path, 'gt.in.'))


def test_groundtruth_of_records(reference):
  path, probes, _ = reference
  counts, first = probes['scan_mask_False'].split(', first ')
  found = records.read_groundtruth(
      os.path.join(os.path.dirname(path), 'eval_groundtruth.tfrecord'))
  assert counts == 'ok: %d images, %d annotations' % (
      len(found['images']), len(found['annotations']))
  first = json.loads(first)
  # The annotations were counted on from another number there.
  for name in set(first) - {'bbox', 'area', 'id'}:
    assert found['annotations'][0][name] == first[name], name
  for name in ('bbox', 'area'):
    np.testing.assert_allclose(found['annotations'][0][name], first[name],
                               rtol=1e-6)


def test_groundtruth_of_records_with_masks(reference):
  path, probes, _ = reference
  assert probes['scan_mask_True'].startswith('TypeError')
  found = records.read_groundtruth(os.path.join(
      os.path.dirname(path), 'eval_groundtruth.tfrecord'), True)
  assert all('segmentation' in annotation for annotation in json.loads(
      json.dumps(found))['annotations'])
