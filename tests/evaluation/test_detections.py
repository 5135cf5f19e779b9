"""Predictions of a batch as columns, by hand."""

import numpy as np
import pytest

from evaluation import detections
from utils import masks


def _predictions(**changes):
  """Two images of three slots; the second has one detection."""
  boxes = np.float32([[[4, 8, 12, 24], [0, 0, 4, 4], [1, 1, 2, 2]],
                      [[2, 2, 6, 10], [9, 9, 9, 9], [9, 9, 9, 9]]])
  values = dict(
      num_detections=np.int32([2, 1]), detection_boxes=boxes,
      detection_classes=np.int32([[3, 1, 1], [2, 1, 1]]),
      detection_scores=np.float32([[.9, .5, -1.], [.75, -1., -1.]]),
      image_info=np.float32([[[10, 20], [16, 32], [2., 4.], [0, 0]],
                             [[10, 20], [16, 32], [1., 2.], [0, 0]]]))
  values.update(changes)
  return values


def test_boxes_are_pixels_of_the_image():
  columns, num_not_finite = detections.from_predictions(_predictions())
  assert columns.images.tolist() == [0, 0, 1]
  assert columns.categories.tolist() == [3, 1, 2]
  np.testing.assert_allclose(columns.scores, [.9, .5, .75])
  # y is divided by 2 and 1, x by 4 and 2; then x, y, width, height.
  np.testing.assert_allclose(
      columns.boxes, [[2, 2, 4, 4], [0, 0, 1, 2], [1, 2, 4, 4]])
  assert columns.rles is None and num_not_finite == 0
  assert columns.boxes.dtype == columns.scores.dtype == np.float64


def test_boxes_that_are_pixels_already():
  predictions = _predictions()
  del predictions['image_info']
  columns, _ = detections.from_predictions(predictions, rescale_boxes=False)
  np.testing.assert_allclose(columns.boxes[0], [8, 4, 16, 8])


@pytest.mark.parametrize('counts', [[2, 1], [[2], [1]]])
def test_padding_is_left_out(counts):
  columns, _ = detections.from_predictions(
      _predictions(num_detections=np.array(counts)))
  assert len(columns.images) == 3


def test_padding_counts_where_it_is_asked_for():
  columns, _ = detections.from_predictions(
      _predictions(), remove_invalid_boxes=False)
  assert columns.images.tolist() == [0, 0, 0, 1, 1, 1]
  assert columns.scores[2] == -1.


def test_the_predictions_are_not_changed():
  """An evaluator that divided in place would divide twice."""
  predictions = _predictions()
  before = {name: value.copy() for name, value in predictions.items()}
  detections.from_predictions(predictions)
  for name, value in before.items():
    np.testing.assert_array_equal(predictions[name], value)


@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize('key', ['detection_boxes', 'detection_scores'])
def test_what_is_not_finite_is_counted_and_left_out(key, value):
  predictions = _predictions()
  predictions[key][0, 1] = value
  columns, num_not_finite = detections.from_predictions(predictions)
  assert num_not_finite == 1
  assert columns.categories.tolist() == [3, 2]


def _with_masks(**changes):
  full = np.ones([2, 3, 4, 4], np.float32)
  return _predictions(detection_masks=full, **changes)


def test_masks_are_pasted_into_the_image():
  columns, _ = detections.from_predictions(_with_masks(), include_mask=True)
  assert len(columns.rles) == 3
  mask = masks.decode(columns.rles[0])
  assert mask.shape == (10, 20)
  # The box is x 2-6, y 2-6; a full mask covers it, and its edge.
  assert mask[3:6, 3:6].all()
  assert not mask[:, 8:].any() and not mask[8:].any()
  assert detections.areas(columns)[0] == mask.sum()


def test_masks_of_outer_boxes():
  outer = _predictions()['detection_boxes'].copy()
  outer[0, 0] = [0, 0, 18, 72]
  columns, _ = detections.from_predictions(
      _with_masks(detection_outer_boxes=outer), include_mask=True)
  # x 0-18 and y 0-9; boxes are those of the detections.
  assert masks.decode(columns.rles[0])[1:8, 1:17].all()
  np.testing.assert_allclose(columns.boxes[0], [2, 2, 4, 4])


def test_masks_stay_with_their_detections():
  """A detection with NaN takes its mask away with it."""
  predictions = _with_masks()
  predictions['detection_masks'][0, 1] = 0.
  predictions['detection_scores'][0, 0] = np.nan
  columns, _ = detections.from_predictions(predictions, include_mask=True)
  assert [masks.area(rle) > 0 for rle in columns.rles] == [False, True]


def test_columns_are_joined_and_selected():
  first, _ = detections.from_predictions(_predictions())
  joined = detections.concatenate([first, first])
  assert joined.images.tolist() == [0, 0, 1, 0, 0, 1]
  assert joined.boxes.shape == (6, 4)
  kept = detections.select(joined, joined.images == 1)
  assert kept.categories.tolist() == [2, 2]
  np.testing.assert_allclose(detections.areas(kept), [16., 16.])


@pytest.mark.parametrize('include_mask', [False, True])
def test_no_columns(include_mask):
  columns = detections.concatenate([], include_mask)
  assert columns.boxes.shape == (0, 4)
  assert columns.rles == ([] if include_mask else None)
  assert len(detections.areas(columns)) == 0
