"""Tests of utils/drawing.py."""

import numpy as np
import pytest

from utils import drawing
from utils import masks as mask_utils

_BOX = [[20., 30., 80., 120.]]


def _image(height=100, width=200):
  return np.full([height, width, 3], 100, np.uint8)


def _is_colored(drawn, color):
  return np.all(drawn == np.array(color, np.uint8), axis=-1)


def test_colors_of_the_first_classes_differ():
  colors = np.array([drawing.class_color(i) for i in range(91)], int)
  assert colors.min() >= 0 and colors.max() <= 255
  distances = np.abs(colors[:, np.newaxis] - colors).sum(-1)
  distances[np.diag_indices(len(colors))] = 999
  assert distances.min() > 0
  assert distances[1:11, 1:11].min() > 80


def test_box_is_drawn_where_it_is():
  image = _image()
  drawn = drawing.draw_detections(image, _BOX, [3], min_size=0)
  assert drawn.shape == image.shape and drawn.dtype == np.uint8
  assert (image == 100).all()  # a copy was drawn into
  color = drawing.class_color(3)
  assert tuple(drawn[80, 60]) == color  # lower side
  assert tuple(drawn[50, 120]) == color  # right side
  np.testing.assert_array_equal(drawn[50, 75], [100] * 3)  # inside
  np.testing.assert_array_equal(drawn[95, 150], [100] * 3)  # outside


def test_small_images_are_enlarged():
  drawn = drawing.draw_detections(_image(50, 100), [[10, 15, 40, 60]], [1],
                                  min_size=400)
  assert drawn.shape == (200, 400, 3)
  assert tuple(drawn[160, 150]) == drawing.class_color(1)
  drawn = drawing.draw_detections(_image(50, 700), [], [])
  assert drawn.shape == (50, 700, 3)


def test_name_and_score_change_the_label():
  def draw(**kwargs):
    return drawing.draw_detections(_image(), _BOX, [1], min_size=0, **kwargs)

  named = draw(label_map={1: 'K\u00e4se \u4e2d'})
  assert (draw() != named).any()
  assert (named != draw(scores=[.5], label_map={1: 'K\u00e4se'})).any()


def test_masks_are_blended():
  mask = np.zeros([1, 100, 200], bool)
  mask[0, 30:70, 40:110] = True
  drawn = drawing.draw_detections(_image(), _BOX, [2], masks=mask,
                                  min_size=0)
  expected = 100 + .45 * (np.array(drawing.class_color(2)) - 100)
  np.testing.assert_allclose(drawn[50, 75], expected, atol=1)
  np.testing.assert_array_equal(drawn[25, 75], [100] * 3)
  enlarged = drawing.draw_detections(_image(), _BOX, [2], masks=mask,
                                     min_size=400)
  np.testing.assert_allclose(enlarged[100, 150], expected, atol=1)


def test_low_scores_and_surplus_boxes_are_left_out():
  boxes = [[10, 10, 90, 90], [10, 110, 90, 190]]
  kwargs = dict(classes=[1, 2], scores=[.3, .9], min_size=0)
  both = drawing.draw_detections(_image(), boxes, **kwargs)
  assert _is_colored(both, drawing.class_color(1)).any()
  for limit in (dict(min_score=.5), dict(max_boxes=1)):
    drawn = drawing.draw_detections(_image(), boxes, **kwargs, **limit)
    assert not _is_colored(drawn, drawing.class_color(1)).any()
    assert _is_colored(drawn, drawing.class_color(2)).any()


def test_best_object_is_on_top():
  drawn = drawing.draw_detections(_image(), _BOX * 2, [1, 2], [.9, .8],
                                  min_size=0)
  assert tuple(drawn[80, 60]) == drawing.class_color(1)


def test_odd_boxes_do_no_harm():
  boxes = [[-50, -50, 500, 500], [30, 40, 30, 40], [np.nan, 0, 1, 1],
           [90, 190, 99, 199], [0, 0, 5, 5]]
  drawn = drawing.draw_detections(_image(), boxes, range(5))
  assert drawn.shape == (320, 640, 3)


def test_grey_images():
  for shape in ([100, 200], [100, 200, 1]):
    drawn = drawing.draw_detections(np.zeros(shape, np.uint8), _BOX, [1])
    assert drawn.shape == (320, 640, 3)


def test_wrong_input_is_refused():
  with pytest.raises(ValueError, match='1 boxes but 2 classes'):
    drawing.draw_detections(_image(), _BOX, [1, 2])
  with pytest.raises(ValueError, match='float32'):
    drawing.draw_detections(_image().astype(np.float32), _BOX, [1])


def test_objects_of_one_class_can_have_colours_of_their_own():
  boxes = [[10., 10., 40., 60.], [50., 110., 90., 160.]]
  drawn = drawing.draw_detections(_image(), boxes, [3, 3], min_size=0,
                                  color_objects=True)
  assert tuple(drawn[30, 60]) == drawing.class_color(0)
  assert tuple(drawn[70, 160]) == drawing.class_color(1)


@pytest.mark.parametrize('with_masks', [False, True])
def test_very_many_objects_have_no_labels(with_masks):
  """Nothing is drawn outside of the boxes, nor their borders around masks."""
  corners = np.stack(np.mgrid[4:200:24, 4:300:24], axis=-1).reshape([-1, 2])
  boxes = np.concatenate([corners, corners + 12], axis=1)
  masks = np.zeros([len(boxes), 210, 310], bool)
  for mask, (y, x) in zip(masks, corners):
    mask[y + 4:y + 8, x + 4:x + 8] = True
  drawn = drawing.draw_detections(
      _image(210, 310), boxes, [1] * len(boxes), min_size=0,
      max_boxes=len(boxes), masks=masks if with_masks else None)
  inside = [drawn[y + 5, x + 5] for y, x in corners]
  border = [drawn[y, x] for y, x in corners]
  color = np.array(drawing.class_color(1))
  assert all((pixel == color).all() != with_masks for pixel in border)
  assert all((pixel != 100).any() == with_masks for pixel in inside)
  is_drawn = (drawn != 100).any(axis=-1)
  for y, x in corners:
    is_drawn[y - 2:y + 15, x - 2:x + 15] = False
  assert not is_drawn.any()


def test_label_maps_colour_their_pixels():
  image = np.full([40, 40, 3], 100, np.uint8)
  classes = np.zeros([40, 40], np.int32)
  classes[10:20, 10:30] = 3
  drawn = drawing.draw_label_map(image, classes, min_size=80)
  assert drawn.shape == (80, 80, 3) and (image == 100).all()
  assert (drawn[:16] == 100).all() and (drawn[50:] == 100).all()
  color = np.array(drawing.class_color(3), float)
  np.testing.assert_allclose(drawn[30, 40], 100 + .7 * (color - 100), atol=1)


def _ellipse(height, width):
  y, x = np.mgrid[:height, :width]
  return ((y / height - .5) ** 2 + (x / width - .5) ** 2 < .2)


@pytest.mark.parametrize('class_id', range(1, 11))
def test_masks_are_seen_on_a_ground_of_their_colour(class_id):
  """Their outline is dark beside the colour."""
  color = drawing.class_color(class_id)
  image = np.full([100, 200, 3], color, np.uint8)
  drawn = drawing.draw_detections(image, _BOX, [class_id], min_size=0,
                                  masks=_ellipse(100, 200)[np.newaxis])
  is_dark = (drawn == 0).all(axis=-1)
  assert is_dark[30:70, 170:195].any()  # far from box and label


@pytest.mark.parametrize('min_size', [0, 500])
def test_masks_in_parts_are_drawn_as_whole_ones(min_size):
  boxes = np.array([[10.2, 20.7, 60.1, 90.4], [-5., 150., 40., 220.]])
  small = np.stack([_ellipse(28, 28), np.ones([28, 28], bool)])
  xywh = np.stack([boxes[:, 1], boxes[:, 0], boxes[:, 3] - boxes[:, 1],
                   boxes[:, 2] - boxes[:, 0]], axis=1)

  def draw(masks):
    return drawing.draw_detections(_image(), boxes, [1, 2], [.5, .6],
                                   min_size=min_size, masks=masks)
  np.testing.assert_array_equal(
      draw(mask_utils.Crops(small, xywh, 100, 200)),
      draw(mask_utils.paste_masks(small, xywh, 100, 200)))


def test_an_empty_mask_is_not_drawn():
  whole = drawing.draw_detections(_image(), _BOX, [1], min_size=0)
  empty = drawing.draw_detections(_image(), _BOX, [1], min_size=0,
                                  masks=np.zeros([1, 100, 200], bool))
  np.testing.assert_array_equal(whole, empty)


def test_many_objects_in_a_large_image_have_labels_where_there_is_room():
  corners = np.stack(np.mgrid[50:1500:150, 50:1500:150], -1).reshape([-1, 2])
  boxes = np.concatenate([corners, corners + 60], axis=1)

  def draw(names):
    return drawing.draw_detections(_image(1500, 1500), boxes, [1] * len(boxes),
                                   label_map=names)
  changed = (draw({1: 'cat'}) != draw({1: 'dog'})).any(axis=-1)
  assert sum(changed[y - 40:y + 100, x - 50:x + 90].any()
             for y, x in corners) == len(corners) == 100
  for y, x in corners:
    assert not changed[y + 5:y + 55, x + 5:x + 55].any()


@pytest.mark.parametrize('name', ['x' * 300, 'a\nb', '\x00', ''])
def test_odd_names(name):
  drawn = drawing.draw_detections(_image(), _BOX, [1], label_map={1: name},
                                  min_size=0)
  assert drawn.shape == (100, 200, 3)


@pytest.mark.parametrize('size', [(1, 1), (1, 3000), (2000, 2)])
def test_images_of_few_pixels(size):
  boxes = [[0, 0, size[0], size[1]]]
  for min_size in (0, 300):
    for drawn in (
        drawing.draw_detections(_image(*size), boxes, [1], [.5],
                                masks=np.ones((1,) + size, bool),
                                min_size=min_size),
        drawing.draw_classes(_image(*size), ['a', 'b'], [.9, .1],
                             min_size=min_size),
        drawing.draw_label_map(_image(*size), np.ones(size, int),
                               min_size=min_size, names={1: 'cat'})):
      assert max(drawn.shape[:2]) == max(size + (min_size,))


def test_legend_of_a_label_map():
  classes = np.zeros([200, 200], np.int32)
  classes[100:, 100:] = 3
  plain = drawing.draw_label_map(_image(200, 200), classes, min_size=0)
  named = drawing.draw_label_map(_image(200, 200), classes, min_size=0,
                                 names={3: 'owl'})
  changed = (plain != named).any(axis=-1)
  assert changed[:20, :60].any() and not changed[40:].any()
  assert _is_colored(named, drawing.class_color(3))[:20, :20].any()


def test_classes_are_written():
  cat, dog = [drawing.draw_classes(_image(), [name], [.5], min_size=0)
              for name in ('cat', 'dog')]
  assert (cat != dog).any() and (cat[60:] == 100).all()
