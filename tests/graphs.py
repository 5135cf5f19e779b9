"""Graphs that several cases of a test run on, each of them built once.

Building a graph takes most of the time of a small test. Where only values
differ between its cases, they are fed.
"""

import collections

import tensorflow.compat.v1 as tf

_LIMIT = 10  # graphs that are kept; each has a session
_kept = collections.OrderedDict()


class Graph:
  """A graph of its own, whose session stays open."""

  def __init__(self, build, config=None):
    """Builds it.

    Args:
      build: function () -> ({name: placeholder}, outputs).
      config: tf.ConfigProto of the session.
    """
    graph = tf.Graph()
    with graph.as_default():
      self._inputs, self.outputs = build()
    self._session = tf.Session(graph=graph, config=config)

  def run(self, **values):
    """The outputs for values of all the placeholders, by name."""
    assert set(values) == set(self._inputs), sorted(self._inputs)
    return self._session.run(self.outputs, {
        self._inputs[name]: value for name, value in values.items()})

  def close(self):
    self._session.close()


def shared(key, build, config=None):
  """The Graph of a key, from an earlier case or built now.

  Args:
    key: all that the graph depends on; the function that builds it, too.
    build, config: as of Graph.
  """
  key = repr(key)
  if key not in _kept:
    _kept[key] = Graph(build, config)
    if len(_kept) > _LIMIT:
      _kept.popitem(last=False)[1].close()
  _kept.move_to_end(key)
  return _kept[key]
