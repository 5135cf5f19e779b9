"""Tests of serving.host_graphs: what several threads build once."""

from concurrent import futures
import threading

import numpy as np
import pytest

from ops import detections
from serving import host_graphs
from serving import inputs

# Longer than a second builder needs, if nothing keeps it away.
_PATIENCE = .5


@pytest.fixture
def in_the_middle(monkeypatch):
  """Function that lets a builder stop until another one has passed it, or
  cannot; it returns the list that counts builders."""
  def stop(module, name):
    built, function = [], getattr(module, name)
    passed = threading.Event()

    def slowly(*arguments, **options):
      built.append(threading.get_ident())
      if len(built) == 1:
        passed.wait(_PATIENCE)
      found = function(*arguments, **options)
      if len(built) > 1:
        passed.set()
      return found
    monkeypatch.setattr(module, name, slowly)
    return built
  return stop


def _at_once(function):
  with futures.ThreadPoolExecutor(2) as pool:
    return [future.result() for future in
            [pool.submit(function) for _ in range(2)]]


def test_suppression_is_built_once(in_the_middle):
  built = in_the_middle(detections, 'detect')
  suppress = host_graphs.Suppression(None)
  boxes = np.float32([[[[0, 0, 9, 9]], [[0, 0, 9, 8]], [[20, 20, 30, 30]]]])
  scores = np.float32([[[.5], [.9], [.7]]])
  for answer in _at_once(lambda: suppress(boxes, scores)):
    assert answer['num_detections'] == [2]
    np.testing.assert_array_equal(answer['detection_boxes'][0, :2],
                                  boxes[0, [1, 2], 0])
  assert len(built) == 1


def test_preparation_is_built_once(in_the_middle):
  built = in_the_middle(inputs, 'prepare')
  prepare = host_graphs.Preparation()
  spec = inputs.InputSpec(inputs.FIT, (8, 8), (8, 8))
  image = np.zeros([4, 8, 3], np.uint8)
  for pixels, info in _at_once(lambda: prepare.prepared(image, spec)):
    assert pixels.shape == (8, 8, 3)
    np.testing.assert_array_equal(info[0], [4, 8])
  assert len(built) == 1
