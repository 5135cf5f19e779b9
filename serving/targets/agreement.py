"""How far an export of less precision agrees with its checkpoint.

Rounded weights move scores, so objects change places and some cross the
threshold: what counts is how many are found again.
"""

from typing import Callable, List, Mapping, NamedTuple, Sequence

import numpy as np

from serving import networks
from serving import parity
from serving import signatures
from utils import fields

# name of the difference: the share of the checkpoint's objects without one of
# the same class that overlaps them by half, and whose score is near.
UNMATCHED = 'unmatched_detections'
_OVERLAP = .5
_DETECTIONS = (fields.NUM_DETECTIONS, fields.DETECTION_BOXES,
               fields.DETECTION_CLASSES, fields.DETECTION_SCORES,
               fields.DETECTION_MASKS, fields.DETECTION_OUTER_BOXES,
               signatures.PASTED_MASKS)


class Allowed(NamedTuple):
  """What may differ.

  Attributes:
    score: a difference of scores and probabilities.
    objects: share of the objects.
    pixels: share of the pixels.
    box: difference of coordinates, as a share of the longer side of the input.
  """
  score: float
  objects: float
  pixels: float
  box: float


# Of a network that computes in bfloat16, whose numbers have 8 binary digits.
BFLOAT16 = Allowed(.05, .15, .03, .02)


def comparison(allowed: Allowed,
               side: int) -> Callable[..., List[parity.Difference]]:
  """Makes a function that stands in for parity.compare.

  Args:
    allowed: Allowed.
    side: int, the longer side of the network's input.

  Returns:
    function of (wanted, found), lists of {key: array}, and what else
    parity.compare takes, that returns [parity.Difference].
  """
  # Coordinates that are no pixels of the input differ by less.
  tolerances = {
      networks.PROBABILITIES: allowed.score, fields.RAW_SCORES: allowed.score,
      networks.PIXEL_SCORES: allowed.score, fields.MASKS: allowed.pixels,
      fields.RAW_BOXES: allowed.box * side,
      fields.RAW_ENCODED_BOXES: np.inf,  # RAW_BOXES are made of them
      fields.LOGITS: np.inf, fields.CLASSES: np.inf}  # see PROBABILITIES

  def compare(wanted, found, coordinates=signatures.MODEL, more=None):
    others = [{key: value for key, value in answer.items()
               if key not in _DETECTIONS} for answer in found]
    differences = parity.compare(wanted, others, coordinates,
                                 dict(tolerances, **more or {}))
    if fields.DETECTION_BOXES in wanted[0]:
      share = unmatched(wanted, found, allowed.score)
      differences.append(parity.Difference(UNMATCHED, share, allowed.objects))
    return differences
  return compare


def unmatched(wanted: Sequence[Mapping[str, np.ndarray]],
              found: Sequence[Mapping[str, np.ndarray]], score: float) -> float:
  """The share of objects that are not found again, either way.

  Args:
    wanted: [{key: array}] of each image, `detection_boxes` [N, 4] and so on.
    found: the same of the export.
    score: float, how far scores may differ.

  Returns:
    float; infinity where the export has no detections.
  """
  count, missing = 0, 0
  for one, other in zip(wanted, found):
    if not set(_DETECTIONS[:4]) <= set(other):
      return np.inf
    match = _matches(_objects(one), _objects(other), score)
    count += sum(match.shape)
    missing += (~match.any(axis=1)).sum() + (~match.any(axis=0)).sum()
  return float(missing) / max(count, 1)


def _objects(answer):
  """(boxes [N, 4], classes [N], scores [N]) that are in use."""
  count = int(answer[fields.NUM_DETECTIONS])
  return [answer[key][:count] for key in _DETECTIONS[1:4]]


def _matches(one, other, score):
  """bool [N, M]: which of the objects are the same."""
  y0, x0, y1, x1 = [c[:, np.newaxis] for c in one[0].T.reshape([4, -1])]
  v0, u0, v1, u1 = other[0].T.reshape([4, -1])
  height = np.maximum(np.minimum(y1, v1) - np.maximum(y0, v0), 0)
  width = np.maximum(np.minimum(x1, u1) - np.maximum(x0, u0), 0)
  union = (y1 - y0) * (x1 - x0) + (v1 - v0) * (u1 - u0) - height * width
  return ((height * width >= _OVERLAP * union)
          & (one[1][:, np.newaxis] == other[1])
          & (np.abs(one[2][:, np.newaxis] - other[2]) <= score))
