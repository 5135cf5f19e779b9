"""Objects as COCO has them, drawn as utils.drawing draws them."""

import numpy as np
import pytest

from utils import drawing
from utils import masks as mask_utils
from utils import object_drawing


@pytest.mark.parametrize('has_masks', [False, True])
def test_draws_what_drawing_does(has_masks):
  image = np.full([60, 80, 3], 90, np.uint8)
  mask = np.zeros([60, 80], np.uint8)
  mask[10:30, 20:50] = 1
  boxes = [[20., 10., 30., 20.], [5., 40., 10., 15.]]
  # The second object has no mask: only its box is drawn.
  drawn = object_drawing.draw(
      image, boxes, [1, 2], [.9, .5], {1: 'a'},
      [mask_utils.encode(mask), None] if has_masks else None, min_size=0)
  expected = drawing.draw_detections(
      image, [[10., 20., 30., 50.], [40., 5., 55., 15.]], [1, 2], [.9, .5],
      {1: 'a'}, [mask, 0 * mask] if has_masks else None, min_size=0)
  np.testing.assert_array_equal(drawn, expected)
  assert (drawn != image).any()
