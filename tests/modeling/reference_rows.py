"""Pairs regions and detections with those of a reference case, in their order.

Two scores that are equal but for rounding may come in either order. Nothing
else may move.
"""

import numpy as np


def pair(actual, expected, tolerance):
  """Which row of [B, N, ...] is each expected one, and which are missing.

  Args:
    actual: array.
    expected: array of the same shape, or with fewer rows.
    tolerance: largest difference of the numbers of one row.

  Returns:
    Two arrays [B, N]: the row of `actual`, and whether there is none; then the
    row is one that was not expected.
  """
  orders, all_missing = [], []
  for got, want in zip(actual, expected):
    got, want = [x.reshape([len(x), -1]) for x in (got, want)]
    order = np.arange(len(want))
    missing = np.abs(got[:len(want)] - want).max(axis=1) > tolerance
    free = list(np.nonzero(missing)[0])
    for row in list(free):
      distances = np.abs(got[free] - want[row]).max(axis=1)
      if distances.min() <= tolerance:
        order[row] = free.pop(distances.argmin())
        missing[row] = False
    order[missing] = free
    orders.append(order)
    all_missing.append(missing)
  return np.stack(orders), np.stack(all_missing)


def check_order(order, missing, scores, tie):
  """Fails if rows that do not tie have changed places.

  Args:
    order: [B, N], of `pair`.
    missing: [B, N], of `pair`.
    scores: [B, N], expected, best first.
    tie: largest difference of two scores that may change places.
  """
  for image, (rows, is_missing) in enumerate(zip(order, missing)):
    gaps = np.abs(scores[image] - scores[image][rows])
    wrong = np.flatnonzero((gaps > tie) & ~is_missing)
    assert not wrong.size, (
        'Rows %s of image %d are in places %s; scores are up to %g apart.'
        % (wrong, image, rows[wrong], gaps[wrong].max()))


def take(values, order):
  """Rows of [B, N, ...] in another order; those behind it stay."""
  return np.stack([
      np.concatenate([rows[of_image], rows[len(of_image):]])
      for rows, of_image in zip(values, order)])
