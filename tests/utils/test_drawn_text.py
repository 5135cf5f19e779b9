"""Tests of utils/drawn_text.py."""

import numpy as np
import pytest

from utils import drawn_text

_WHITE = (255, 255, 255)


def _canvas(height=200, width=300):
  return np.full([height, width, 3], 100, np.uint8)


def test_labels_avoid_each_other():
  first, cost = drawn_text.place_label((40, 10), (50, 50, 90, 90),
                                         (200, 100), [])
  assert first == (50, 40, 90, 50) and cost == 0
  second, cost = drawn_text.place_label((40, 10), (50, 50, 90, 90),
                                          (200, 100), [first])
  assert drawn_text.overlap(first, [second]) == 0 == cost
  (x0, y0, x1, y1), _ = drawn_text.place_label(
      (40, 10), (190, 0, 199, 5), (200, 100), [])
  assert 0 <= x0 and x1 <= 200 and 0 <= y0 and y1 <= 100


def test_overlap_is_counted_in_pixels():
  assert drawn_text.overlap((0, 0, 10, 10), [
      (5, 5, 20, 20), (10, 0, 20, 10), (-5, -5, 50, 2)]) == 25 + 20
  assert drawn_text.overlap((0, 0, 10, 10), []) == 0


def test_what_a_label_covers_shines_through():
  canvas = _canvas()
  canvas[:, :, 0] = 200
  drawn_text.write_labels(canvas, [(100, 100, 200, 150)], ['m'], [(0, 0, 250)])
  assert tuple(canvas[90, 101]) == (30, 15, 228)  # .85 of the colour


def test_labels_that_hide_something_can_be_left_out():
  corners = [(0, 0, 299, 30), (0, 25, 299, 199)]
  texts, colors = ['a', 'b'], [(255, 0, 0), (0, 0, 255)]
  some, every = _canvas(), _canvas()
  drawn_text.write_labels(some, corners, texts, colors, only_free=True)
  drawn_text.write_labels(every, corners, texts, colors)
  for canvas, expected in ((some, [False, True]), (every, [True, True])):
    written = [(canvas == ground).all(axis=-1).any()
               for ground in ((232, 15, 15), (15, 15, 232))]
    assert written == expected


def test_labels_stay_out_of_small_boxes_of_a_crowd():
  args = (40, 10), (0, 0, 30, 9), (30, 10), []
  assert drawn_text.place_label(*args, True)[1] > 0
  assert drawn_text.place_label(*args)[1] == 0


def test_the_font_follows_the_image():
  size = drawn_text.font_size
  assert size(_canvas(64, 64)) == size(_canvas(600, 600)) == 12
  assert size(_canvas(100, 8000)) == 160
  assert size(_canvas(100, 8000), 200) == 80
  assert size(_canvas(100, 8000), 50) == 160


@pytest.mark.parametrize('text,expected', [
    ('cat', 'cat'), ('a\nb\tc', 'a b c'), ('\x00\u202e', ''),
    ('x' * 50, 'x' * 39 + '\u2026')])
def test_names_become_short_lines(text, expected):
  assert drawn_text.shortened(text) == expected


def test_a_panel_says_what_is_left_out():
  full, cut = _canvas(400, 400), _canvas(400, 400)
  drawn_text.write_panel(full, ['%d' % i for i in range(12)])
  drawn_text.write_panel(cut, ['%d' % i for i in range(40)])
  full, cut = [(canvas < 20).all(axis=-1) for canvas in (full, cut)]
  assert full.any(axis=1).sum() == cut.any(axis=1).sum()  # twelve lines
  assert cut.any(axis=0).sum() > full.any(axis=0).sum()


def test_squares_of_a_panel():
  canvas = _canvas()
  drawn_text.write_panel(canvas, ['a', 'b'], [(255, 0, 0), (0, 255, 0)])
  for color in ((255, 0, 0), (0, 255, 0)):
    assert (canvas == np.array(color)).all(axis=-1).any()
  drawn_text.write_panel(canvas, [])
