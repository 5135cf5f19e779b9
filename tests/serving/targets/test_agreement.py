"""Tests of serving.targets.agreement, by hand."""

import numpy as np
import pytest

from serving import networks
from serving import parity
from serving.targets import agreement
from utils import fields

BOXES = [[0, 0, 10, 10], [20, 20, 40, 40]]


def _answer(boxes, classes, scores, count=2):
  return {fields.NUM_DETECTIONS: np.array(count),
          fields.DETECTION_BOXES: np.array(boxes, np.float32),
          fields.DETECTION_CLASSES: np.array(classes),
          fields.DETECTION_SCORES: np.array(scores, np.float32)}


@pytest.mark.parametrize('found,share', [
    (_answer(BOXES, [1, 2], [.9, .8]), 0.),
    (_answer(BOXES[::-1], [2, 1], [.85, .85]), 0.),      # change places
    (_answer(BOXES, [1, 1], [.9, .8]), .5),              # another class
    (_answer(BOXES, [1, 2], [.9, .5]), .5),              # another score
    (_answer([BOXES[0], [20, 31, 40, 51]], [1, 2], [.9, .8]), .5),
    (_answer(BOXES, [1, 2], [.9, .8], 1), 1 / 3.),       # one less
    (_answer(BOXES, [1, 2], [.9, .8], 0), 1.),
    ({}, np.inf)])
def test_unmatched_objects(found, share):
  wanted = _answer(BOXES, [1, 2], [.9, .8])
  assert agreement.unmatched([wanted], [found], .1) == pytest.approx(share)


def test_nothing_anywhere_is_agreement():
  nothing = _answer(BOXES, [1, 2], [0, 0], 0)
  assert agreement.unmatched([nothing], [nothing], .1) == 0.


def test_what_is_compared_and_what_may_differ():
  compare = agreement.comparison(agreement.Allowed(.1, .2, .05, .01), 100)
  wanted = dict(_answer(BOXES, [1, 2], [.9, .8]), **{
      networks.PROBABILITIES: np.array([.5, .5]),
      fields.RAW_BOXES: np.zeros([1, 1, 4])})
  found = dict(wanted, **{networks.PROBABILITIES: np.array([.75, .25])})
  differences = {d.name: d for d in compare([wanted], [found])}
  assert differences[networks.PROBABILITIES] == parity.Difference(
      networks.PROBABILITIES, .25, .1)
  assert differences[fields.RAW_BOXES].allowed == 1.
  assert differences[agreement.UNMATCHED] == parity.Difference(
      agreement.UNMATCHED, 0., .2)
