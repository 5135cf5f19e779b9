"""A matrix of counts as an image."""

import numpy as np

from utils import drawn_matrix


def test_rows_are_coloured_by_their_shares():
  counts = np.zeros([100, 100], int)
  counts[3, 5], counts[4] = 7, 1  # all of a row; every part of another
  image = drawn_matrix.draw(counts, [str(i) for i in range(100)])
  side = len(image) // 100
  cells = image[side // 2::side, side // 2::side].astype(int)
  assert image.dtype == np.uint8 and cells.shape == (100, 100, 3)
  assert cells[3, 5].tolist() == [20, 60, 140]
  assert cells[4].min() > 250 and (cells[0] == 255).all()


def test_names_are_written_beside_few_classes():
  image = drawn_matrix.draw(np.eye(3, dtype=int), ['cat', 'a long name', 'dog'])
  margin = len(image) - 3 * 48
  assert margin > 20
  for text in (image[margin:, :margin], image[:margin, margin:]):
    assert text.min() < 100
  assert image[margin + 2, margin + 2].tolist() == [20, 60, 140]
