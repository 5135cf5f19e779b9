"""500 random data sets: every array is pycocotools' own.

The sets are tiny and full of what goes wrong: crowds, equal scores and
overlaps, images without anything, classes without objects, objects without an
area.
"""

import contextlib
import copy
import io

import numpy as np
from pycocotools import coco
from pycocotools import cocoeval
import pytest

from evaluation import annotations as annotations_lib
from evaluation import coco_metrics
from evaluation import coco_results
from tests import runtimes
from tests.evaluation import random_sets

_PARTS = 10  # of 50 sets each


def stock(annotations, results, iou_type, max_detections=None, use_cats=1):
  """COCOeval of pycocotools after `accumulate`, sizes by what is compared."""
  annotations = copy.deepcopy(annotations)
  with contextlib.redirect_stdout(io.StringIO()):
    gt = coco.COCO()
    gt.dataset = annotations
    gt.createIndex()
    for entry in annotations['annotations']:
      if 'area' not in entry:
        entry['area'] = (float(coco.maskUtils.area(gt.annToRLE(entry)))
                         if iou_type == 'segm'
                         else entry['bbox'][2] * entry['bbox'][3])
    kept = 'segmentation' if iou_type == 'segm' else 'bbox'
    entries = [dict({k: r[k] for k in ('image_id', 'category_id', 'score')},
                    **{kept: gt.annToRLE(r) if iou_type == 'segm' else r[kept]})
               for r in results]
    dt = gt.loadRes(entries) if entries else coco.COCO()
    if not entries:
      dt.dataset = dict(annotations, annotations=[])
      dt.createIndex()
    engine = cocoeval.COCOeval(gt, dt, iou_type)
    engine.params.useCats = use_cats
    if max_detections:
      engine.params.maxDets = max_detections
    engine.evaluate()
    engine.accumulate()
  return engine


def _compare(seed, iou_type):
  """Compares all arrays; returns whether anything was found."""
  annotations, results = random_sets.coco_set(seed, num_images=2,
                                              max_objects=5, max_detections=12)
  include_mask = iou_type == 'segm'
  loaded = annotations_lib.load(annotations, include_mask)
  detections, _ = coco_results.from_results(results, loaded, include_mask)
  engine = coco_metrics.ColumnCOCOeval(loaded, detections, iou_type)
  engine.evaluate()
  engine.accumulate()
  expected = stock(annotations, results, iou_type).eval
  for name in ('precision', 'recall', 'scores'):
    np.testing.assert_array_equal(engine.eval[name], expected[name],
                                  err_msg='%s of set %d' % (name, seed))
  return engine.eval['precision'].max() > 0


@pytest.mark.parametrize('part', runtimes.alternate(range(_PARTS)))
def test_random_sets(part):
  found = [_compare(seed, 'segm' if seed % 5 == 4 else 'bbox')
           for seed in range(50 * part, 50 * (part + 1))]
  assert np.mean(found) > .6  # the sets are not trivial
