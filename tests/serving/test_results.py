"""Tests of serving/results.py, without a network."""

import numpy as np
import pytest

from serving import results
from utils import drawing
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
