"""Tests of serving/results.py, without a network."""

import numpy as np
import pytest

from evaluation import class_ids
from serving import answers as answers_lib
from serving import results
from utils import drawing
from utils import fields
from utils import mask_grids
from utils import masks as mask_utils

_NAMES = {1: 'owl', 2: 'fox'}


def _of_image(height=40, width=60):
  return dict(image_size=(height, width), class_names=_NAMES,
              image=np.full([height, width, 3], 90, np.uint8))


def _detections(with_masks=True):
  masks = np.zeros([2, 8, 8], np.float32)
  masks[0, :4] = masks[1, :, :4] = 1.
  return results.DetectionResult(
      [[4., 6., 20., 30.], [10., 20., 38., 58.]], [.9, .4], [1, 2],
      masks if with_masks else None, **_of_image())


def test_an_answer_about_a_smaller_image():
  smaller = _detections().resized(np.zeros([20, 30, 3], np.uint8))
  np.testing.assert_allclose(smaller.boxes,
                             [[2., 3., 10., 15.], [5., 10., 19., 29.]])
  assert smaller.names == ['owl', 'fox'] and smaller.image_size == (20, 30)
  whole, half = _detections().pasted_masks(), smaller.pasted_masks()
  np.testing.assert_array_equal(whole[:, ::2, ::2], half)
  assert smaller.draw().shape == (20, 30, 3)


def test_other_answers_about_a_larger_image():
  large = np.zeros([80, 120, 3], np.uint8)
  classes = results.ClassificationResult([.1, .6, .3], 2, **_of_image())
  assert classes.resized(large).names == ['owl', 'fox']
  assert classes.resized(large).draw(min_size=0).shape == large.shape
  label_map = np.zeros([40, 60], np.int32)
  label_map[10:20, 30:] = 2
  segments = results.SegmentationResult(label_map, **_of_image())
  np.testing.assert_array_equal(
      segments.resized(large).label_map, label_map.repeat(2, 0).repeat(2, 1))
  assert segments.resized(large).draw().shape == large.shape


@pytest.mark.parametrize('with_masks', [False, True])
def test_drawing_needs_no_pasted_masks(with_masks, monkeypatch):
  """A hundred of them, as large as the image, would fill the memory."""
  def paste(*_, **__):
    raise AssertionError
  monkeypatch.setattr(mask_utils, 'paste_masks', paste)
  drawn = _detections(with_masks).draw()
  filled = np.round(90 + .45 * (np.array(drawing.class_color(2)) - 90))
  assert (drawn == filled).all(axis=-1).any() == with_masks


def test_some_of_the_answers():
  assert _detections().filtered(.5).names == ['owl']
  assert _detections().filtered(classes=['fox']).names == ['fox']
  assert _detections().filtered(max_boxes=1, classes=[1, 2]).names == ['owl']
  classes = results.ClassificationResult([.1, .6, .3], 3, **_of_image())
  assert classes.filtered(.2).names == ['owl', 'fox']
  assert classes.filtered(classes=[2]).resized(
      np.zeros([5, 5, 3], np.uint8)).names == ['fox']
  assert [e['category_id'] for e in classes.filtered(
      max_boxes=1).to_coco('a')] == [1]
  assert not classes.filtered(classes=[9]).names


def test_some_of_the_segments():
  label_map = np.zeros([40, 60], np.int32)
  label_map[:4], label_map[4:9] = 2, 1
  scores = np.full([40, 60], .9, np.float32)
  scores[5:] = .5
  segments = results.SegmentationResult(label_map, scores, **_of_image())
  foxes = segments.filtered(classes=['fox'])
  assert foxes.names == ['fox'] and list(np.unique(foxes.label_map)) == [0, 2]
  assert [e['category_id'] for e in foxes.to_coco('a')] == [2]
  certain = segments.filtered(.8)
  assert (certain.label_map == 1).sum() == 60
  assert list(segments.filtered(max_boxes=2).classes) == [0, 1]
  assert list(segments.label_map[:, 0]) == list(label_map[:, 0])


# Of one image; its fourth place is unused.
OF_IMAGE = dict(image_size=(40, 60), class_names={1: 'cat', 2: 'dog'})
ANSWERS = {
    fields.NUM_DETECTIONS: np.array([3]),
    fields.DETECTION_BOXES: np.array([[
        [0, 0, 20, 20], [10, 20, 30, 60], [2, 2, 4, 4], [9, 9, 9, 9]]],
                                     np.float32),
    fields.DETECTION_SCORES: np.array([[.9, .8, .3, -1.]], np.float32),
    fields.DETECTION_CLASSES: np.array([[2, 1, 3, 1]]),
    fields.DETECTION_MASKS: np.ones([1, 4, 2, 2], np.float32),
    fields.IMAGE_INFO: np.array([[[40, 60], [80, 60], [2., 1.], [0, 0]]],
                                np.float32)}


def _result(**changes):
  return answers_lib.of_detections(
      dict(ANSWERS, **changes), 0, mask_grids.CELLS, **OF_IMAGE)


def test_boxes_are_divided_by_the_scale_of_each_side():
  result = _result()
  np.testing.assert_array_equal(
      result.boxes, [[0, 0, 10, 20], [5, 20, 15, 60], [1, 2, 2, 4]])
  assert result.names == ['dog', 'cat', '3']
  assert len(result) == 3


def test_what_is_not_finite_is_left_out():
  boxes = ANSWERS[fields.DETECTION_BOXES].copy()
  boxes[0, 1, 2] = np.nan
  assert _result(**{fields.DETECTION_BOXES: boxes}).names == ['dog', '3']


def test_masks_are_pasted_into_their_boxes():
  pasted = _result().pasted_masks()
  assert pasted.shape == (3, 40, 60)
  assert pasted[0, :10, :20].all() and pasted[0].sum() == 200
  outer = dict(ANSWERS, **{fields.DETECTION_OUTER_BOXES: np.array(
      [[[0, 0, 80, 60]] * 4], np.float32)})
  assert _result(**outer).pasted_masks()[1].all()
  with pytest.raises(ValueError, match='not masks'):
    results.DetectionResult([], [], [], **OF_IMAGE).pasted_masks()


def test_filters():
  result = _result()
  assert result.filtered(min_score=.5).names == ['dog', 'cat']
  assert result.filtered(max_boxes=1).names == ['dog']
  assert result.filtered(max_boxes=0).names == []
  assert result.filtered(classes=['cat', 3]).names == ['cat', '3']
  assert result.filtered(classes=[]).names == []
  one = result.filtered(classes=['cat'])
  np.testing.assert_array_equal(one.pasted_masks(), result.pasted_masks()[1:2])


def test_coco_entries():
  category_map = class_ids.CategoryMap({1: 17, 2: 18}, None)
  result = answers_lib.of_detections(
      ANSWERS, 0, mask_grids.CELLS, category_map=category_map,
      **OF_IMAGE)
  entry = result.to_coco('image "1"')[1]
  assert entry['image_id'] == 'image "1"' and entry['category_id'] == 17
  assert entry['bbox'] == [20., 5., 40., 10.]
  np.testing.assert_allclose(entry['score'], .8, atol=1e-6)
  assert mask_utils.area(entry['segmentation']) == 400


def test_drawing_needs_the_image():
  result = _result()
  with pytest.raises(ValueError, match='not kept'):
    result.draw()
  with pytest.raises(ValueError, match='40 x 60'):
    result.draw(np.zeros([60, 40, 3], np.uint8))
  drawn = result.draw(np.zeros([40, 60, 3], np.uint8))
  assert drawn.shape == (40, 60, 3) and drawn.any()


def test_no_objects():
  result = _result(**{fields.NUM_DETECTIONS: np.array([0])})
  assert len(result) == 0 and result.to_coco(1) == []
  assert result.pasted_masks().shape == (0, 40, 60)
  assert result.filtered(min_score=.5).names == []
  assert result.draw(np.zeros([40, 60, 3], np.uint8)).shape == (40, 60, 3)


def test_the_best_classes():
  result = results.ClassificationResult([.1, .6, .3], 2, **OF_IMAGE)
  assert list(result.classes) == [1, 2] and result.names == ['cat', 'dog']
  assert [e['category_id'] for e in result.to_coco(1)] == [1, 2]
  assert 'cat 0.60' in repr(result)
