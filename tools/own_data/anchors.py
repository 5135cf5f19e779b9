"""Anchors that fit the objects of a data set."""

import itertools
import typing
from typing import Tuple

import numpy as np

from configs import detection
from dataloader import data_checks

MATCH = .5  # IoU from which on an anchor learns an object, RetinaNet's
_MAX_OBJECTS = 2000  # a larger sample gives the same
_MAX_RATIOS = 3
# What a cheaper set of anchors may lose: share of fitted objects, mean IoU.
_TOLERANCES = (.01, .02)
# Size of the smallest anchor, in cells of its level: smaller ones have gaps
# between them, larger ones the next level has too.
_CELLS = (1., 1.25, 1.5, 2., 2.5, 3., 4.)
_MAX_RATIO = 8.  # thinner objects are too few to have anchors made for them


class Choice(typing.NamedTuple):
  """Anchors, and how well they fit.

  Attributes:
    anchor: section `anchor`.
    min_level: int.
    max_level: int.
    share_before: share of the objects that a default anchor fits.
    share: share of the objects that one of these fits.
  """
  anchor: detection.Anchor
  min_level: int
  max_level: int
  share_before: float
  share: float


def choose(sides: np.ndarray, min_level: int, largest_level: int,
           max_scales: int = 3, jitter: Tuple[float, float] = (1., 1.),
           seed: int = 0) -> Choice:
  """Searches anchors.

  Aspect ratios are the centers of k-means of their logarithm; of all numbers
  of ratios, of scales and sizes, the fewest anchors are taken that fit about as
  many objects, about as well, as the best do.

  Args:
    sides: float [K, 2], heights and widths of the objects, pixels of the
      network input, above 0.
    min_level: int, the finest level.
    largest_level: int, the coarsest level that the input allows.
    max_scales: int, most sizes within an octave.
    jitter: factors between which training scales the images.
    seed: int, of the sample of many objects, and of their factors.

  Returns:
    Choice.

  Raises:
    ValueError: if there is no object.
  """
  if not len(sides):
    raise ValueError('There is no object to fit anchors to.')
  default = detection.Anchor()
  # Upstream's levels.
  before = share_fitted(sides, data_checks.anchor_sizes(default, 3, 7))
  rng = np.random.RandomState(seed)
  sample = np.asarray(sides)[rng.permutation(len(sides))[:_MAX_OBJECTS]]
  sample = sample * rng.uniform(jitter[0], jitter[1], [len(sample), 1])
  candidates = [
      _candidate(sample, cells, scales, ratios, min_level, largest_level)
      for ratios in _ratio_sets(sample)
      for cells, scales in itertools.product(
          _CELLS, range(1, max_scales + 1))]
  best = [max(c[i] for c in candidates) for i in (1, 2)]
  good = [c for c in candidates if all(
      c[i + 1] >= best[i] - _TOLERANCES[i] for i in (0, 1))]
  good = good or [max(candidates, key=lambda c: c[1:3])]
  anchor, max_level = min(
      good, key=lambda c: (c[0], -round(c[1], 3), -c[2]))[3:]
  return Choice(anchor, min_level, max_level, before, share_fitted(
      sides, data_checks.anchor_sizes(anchor, min_level, max_level)))


def _candidate(sides, cells, scales, ratios, min_level, largest_level):
  """(cost, share of fitted objects, mean IoU, section, coarsest level)."""
  anchor = detection.Anchor(num_scales=scales, aspect_ratios=ratios,
                            anchor_size=cells)
  large = np.percentile(np.sqrt(np.prod(sides, axis=1)), 98)
  # The largest anchors are those of the last scale of the coarsest level.
  level = np.log2(large / cells) - (scales - 1.) / scales
  max_level = int(np.clip(np.ceil(level - .1), min(5, largest_level),
                          largest_level))
  ious = data_checks.best_ious(
      sides, data_checks.anchor_sizes(anchor, min_level, max_level))
  # Of equal numbers of anchors in a cell, fewer levels.
  return (scales * len(ratios) + .1 * max_level, float(np.mean(ious >= MATCH)),
          float(ious.mean()), anchor, max_level)


def share_fitted(sides: np.ndarray, anchors: np.ndarray) -> float:
  """Share of objects [K, 2] that one of the anchors [N, 2] fits."""
  return float(np.mean(data_checks.best_ious(sides, anchors) >= MATCH))


def _ratio_sets(sides):
  """[(width / height, ...)], by number, of 1 to 3 centers."""
  logs = np.log2(sides[:, 1] / sides[:, 0])
  limit = np.log2(_MAX_RATIO)
  logs = np.clip(logs, -limit, limit)
  sets = []
  for count in range(1, _MAX_RATIOS + 1):
    ratios = tuple(sorted({round(float(2 ** c), 2)
                           for c in _centers(logs, count)}))
    if ratios not in sets:
      sets.append(ratios)
  return sets


def _centers(values, count):
  """Centers of k-means in one dimension, from quantiles on."""
  centers = np.percentile(values, (np.arange(count) + .5) * 100. / count)
  for _ in range(50):
    nearest = np.abs(values[:, np.newaxis] - centers).argmin(axis=1)
    moved = np.array([values[nearest == i].mean() if (nearest == i).any()
                      else center for i, center in enumerate(centers)])
    if np.allclose(moved, centers):
      break
    centers = moved
  return centers
