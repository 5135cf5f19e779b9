"""Tests of evaluation/boundary.py."""

import numpy as np
import pytest

from evaluation import annotations as annotations_lib
from evaluation import boundary
from evaluation import coco_metrics
from evaluation import coco_results
from tests.evaluation import coco_files
from tests.evaluation import random_sets
from utils import masks as mask_utils


def _evaluate(annotations, results):
  loaded = annotations_lib.load(annotations, include_mask=True)
  detections, _ = coco_results.from_results(results, loaded, include_mask=True)
  return loaded, detections, boundary.evaluate(loaded, detections)


def _plain_band(mask):
  """Pixels with one that is outside within the distance, one by one."""
  height, width = mask.shape
  distance = max(1, int(round(.02 * np.hypot(height, width))))
  padded = np.pad(mask, distance, 'constant')
  result = np.zeros_like(mask)
  for y in range(height):
    for x in range(width):
      window = padded[y:y + 2 * distance + 1, x:x + 2 * distance + 1]
      result[y, x] = mask[y, x] and not window.all()
  return result


@pytest.mark.parametrize('size', [(12, 9), (120, 90)])
def test_band_against_plain_loops(size):
  random = np.random.RandomState(0)
  small = random.uniform(size=(4, 3)) < .7
  mask = np.kron(small, np.ones([size[0] // 4, size[1] // 3])).astype(np.uint8)
  found = mask_utils.decode(boundary.band(mask_utils.encode(mask)))
  np.testing.assert_array_equal(found, _plain_band(mask))
  assert 0 < found.sum() <= mask.sum()


def test_band_of_nothing():
  rle = mask_utils.encode(np.zeros([5, 6], np.uint8))
  assert mask_utils.area(boundary.band(rle)) == 0


def test_large_square_by_hand():
  """80 pixels, moved by 4: IoU .905, of bands 3 pixels wide .33."""
  annotations = coco_files.square_set()
  box = [20., 10., 80., 80.]
  annotations['annotations'] = [dict(
      annotations['annotations'][0], bbox=box, id=1, area=6400.,
      segmentation=[coco_files.corners(box)])]
  # A diagonal of 156 pixels: 2 % are 3 pixels.
  def metrics(shift):
    moved = [box[0] + shift] + box[1:]
    return _evaluate(annotations, [dict(
        annotations['annotations'][0], score=.9, bbox=moved,
        segmentation=[coco_files.corners(moved)])])
  loaded, detections, found = metrics(4.)
  assert coco_metrics.evaluate(loaded, detections, 'segm')[
      'mask_AP75'] == pytest.approx(1)
  # Shared: 2 sides of 76 x 3 pixels, of the others nothing but corners.
  area = 80 * 80 - 74 * 74
  shared = 2 * 76 * 3
  assert shared / (2. * area - shared) < .5
  assert found['AP'] == found['AP50'] == 0
  assert metrics(0.)[2]['AP'] == pytest.approx(1)
  assert metrics(0.)[2]['APs'] == -1


def test_never_above_the_ap_of_masks():
  lower = 0
  for seed in range(4):
    loaded, detections, found = _evaluate(*random_sets.coco_set(seed))
    plain = coco_metrics.evaluate(loaded, detections, 'segm')['mask_AP']
    assert found['AP'] <= plain + 1e-12
    lower += found['AP'] < plain
  assert lower


def test_boxes_have_none():
  loaded, detections, _ = _evaluate(coco_files.square_set(), [])
  assert boundary.evaluate(loaded, detections, 'bbox') == {}
