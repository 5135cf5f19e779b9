"""Test-time augmentation in jobs: one checkpoint, with and without it."""

import json

import numpy as np
import pytest

from executor import jobs
from serving import predictor
from tests import model_kinds
from tests.dataloader import examples
from tests.serving import small_models

_SETTINGS = {'flip': True, 'scales': []}
_LOSSES = ('cls_loss', 'box_loss', 'model_loss')


def _read(path):
  with open(str(path), encoding='utf-8') as f:
    return json.load(f)


@pytest.fixture(scope='module', name='folder')
def _folder(tmp_path_factory):
  """A model_dir, with the records of two images in it."""
  folder = tmp_path_factory.mktemp('views')
  small_models.make(folder, 'retinanet')
  examples.write(folder / 'val', [
      model_kinds.record(str(i + 1), small_models.image(*size, seed=i),
                         [(1 + i, 4, 5, 30, 40, 0)])
      for i, size in enumerate([(50, 80), (61, 47)])])
  return folder


def _run(folder, mode, **settings):
  jobs.run(small_models.config(
      'retinanet', model_dir=str(folder),
      eval__eval_file_pattern=str(folder / 'val'),
      eval__eval_batch_size=2, predict__predict_batch_size=2,
      train__transpose_input=False, **settings), mode, eval_once=True)


def test_evaluation(folder, capsys):
  _run(folder, 'eval')
  assert 'views' not in capsys.readouterr().out
  _run(folder, 'eval', eval__suffix='_views',
       eval__test_time_augmentation=_SETTINGS)
  assert ('each in 2 views (eval.test_time_augmentation)'
          in capsys.readouterr().out)
  plain, all_views = [_read(folder / name / 'metrics.json')
                      for name in ('eval', 'eval_views')]
  assert 'test_time_augmentation' not in plain
  assert all_views['test_time_augmentation'] == _SETTINGS
  for name in _LOSSES:  # Those of the plain view.
    assert all_views[name] == pytest.approx(plain[name], rel=1e-6)
  plain, all_views = [_read(folder / name / 'detections.json')
                      for name in ('eval', 'eval_views')]
  assert len(plain) > 3 and len(all_views) > 3
  best = [max(r['score'] for r in results) for results in (plain, all_views)]
  assert best[1] >= best[0] - 1e-5
  assert plain != all_views


def test_predictions_are_those_of_the_predictor(folder):
  _run(folder, 'predict', eval__test_time_augmentation=_SETTINGS)
  found = [r for r in _read(folder / 'predictions.json') if r['image_id'] == 2]
  expected = predictor.load(folder, params_override={
      'eval': {'test_time_augmentation': _SETTINGS}})(
          small_models.image(61, 47, seed=1)).to_coco(2)
  assert len(found) == len(expected) > 3
  for key in ('score', 'bbox', 'category_id'):
    np.testing.assert_allclose(
        [r[key] for r in found], [r[key] for r in expected], atol=1e-2)
