"""Detections and ground truth with random faults: scored or refused."""

import contextlib
import io
import json
import os

import pytest

from tests.faults import mutations
from tests.tools import coco_sets
from tools import evaluate_detections

_NUM_FAULTS = int(os.environ.get('FAULTS', 150))


def _detections(dataset):
  """Each object as it is known, with falling scores."""
  return [{'image_id': a['image_id'], 'category_id': a['category_id'],
           'bbox': a['bbox'], 'score': .9 - .1 * i,
           'segmentation': coco_sets.rle(40, 50, 2, 3, 20, 30)}
          for i, a in enumerate(dataset['annotations'])]


def _evaluate(folder, dataset, detections, kind):
  """(exit status, what goes to stdout, to stderr)."""
  for name, data in (('a.json', dataset), ('d.json', detections)):
    with open(str(folder / name), 'w') as f:
      json.dump(data, f)
  out, messages = io.StringIO(), io.StringIO()
  with contextlib.redirect_stdout(out), contextlib.redirect_stderr(messages):
    status = evaluate_detections.main([
        '--annotations=%s' % (folder / 'a.json'),
        '--detections=%s' % (folder / 'd.json'), '--type=' + kind])
  return status, out.getvalue(), messages.getvalue()


@pytest.mark.parametrize('which', ['annotations', 'detections'])
@pytest.mark.parametrize('kind', ['box', 'box_and_mask'])
def test_faults(tmp_path, which, kind):
  dataset = coco_sets.dataset()
  detections = _detections(dataset)
  assert _evaluate(tmp_path, dataset, detections, kind)[0] == 0
  statuses = set()
  for seed in range(_NUM_FAULTS):
    given = [dataset, detections]
    place = which == 'detections'
    given[place], told = mutations.mutate(given[place], seed)
    status, out, messages = _evaluate(tmp_path, *given, kind=kind)
    statuses.add(status)
    if status == 0:
      json.loads(out)
    else:
      assert status == 1, told
      assert messages.startswith('error: ') and len(messages) < 3000, told
  assert statuses == {0, 1}
