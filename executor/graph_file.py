"""What a training run writes of its graph.

The savers of Estimator and TPUEstimator convert the graph into a message, 0.1
to 0.3 s for RetinaNet, seven times: twice when they open the event file, before
the graph is complete; three times before the first step, for `graph.pbtxt` and
two events; and for the `.meta` file of every checkpoint. Here it is converted
once. The event file has it once, which is what TensorBoard shows, and
`graph.pbtxt`, 12 MB of text that nothing here reads, is written on request.
"""

import contextlib
import os
import time
from typing import Any, Callable, Iterator

import tensorflow.compat.v1 as tf


@contextlib.contextmanager
def written_once(as_text: bool) -> Iterator[None]:
  """Within the block, savers of checkpoints write the graph as said above.

  Estimator and TPUEstimator make their savers themselves, and these have no
  arguments for it.

  Args:
    as_text: `train.write_graph`, whether there is a `graph.pbtxt`.
  """
  hook, graphs = tf.train.CheckpointSaverHook, _Graphs()
  with _replaced(hook, 'begin', _begin_without_graph(hook.begin)), _replaced(
      hook, 'after_create_session', _write_and_save(graphs, as_text)
  ), _replaced(tf.train.Saver, 'export_meta_graph',
               _export_once(graphs, tf.train.Saver.export_meta_graph)):
    yield


@contextlib.contextmanager
def _replaced(owner, name, value):
  """Within the block, an attribute has another value."""
  before = getattr(owner, name)
  setattr(owner, name, value)
  try:
    yield
  finally:
    setattr(owner, name, before)


class _Graphs:
  """Messages of graphs that are finalized, so that nothing changes them."""

  def __init__(self):
    self._graph_defs = {}  # {tf.Graph: tf.GraphDef}
    self._meta_graphs = {}  # {tf.train.Saver: tf.MetaGraphDef}

  def graph_def(self, graph):
    """The tf.GraphDef of a graph, with the shapes of all tensors."""
    if graph not in self._graph_defs:
      self._graph_defs[graph] = graph.as_graph_def(add_shapes=True)
    return self._graph_defs[graph]

  def meta_graph(self, saver, graph):
    """The tf.MetaGraphDef of a graph, as its saver exports it."""
    if saver not in self._meta_graphs:
      self._meta_graphs[saver] = tf.train.export_meta_graph(
          graph_def=self.graph_def(graph), saver_def=saver.saver_def)
    return self._meta_graphs[saver]


def _begin_without_graph(begin: Callable[..., None]) -> Callable[..., None]:
  """CheckpointSaverHook.begin, which opens the event file, without a graph."""
  def begin_without_graph(self):
    # A writer that the cache makes begins its file with the default graph.
    cache, folder = tf.summary.FileWriterCache, self._checkpoint_dir
    with cache._lock:
      if folder not in cache._cache:
        cache._cache[folder] = tf.summary.FileWriter(folder)
    begin(self)
  return begin_without_graph


def _write_and_save(graphs, as_text):
  """CheckpointSaverHook.after_create_session: the graph, and a checkpoint."""
  def write_and_save(self, session, coord):
    del coord
    step = session.run(self._global_step_tensor)
    graph_def = graphs.graph_def(tf.get_default_graph())
    if as_text:
      tf.train.write_graph(graph_def, self._checkpoint_dir, 'graph.pbtxt')
    self._summary_writer.add_event(tf.Event(
        wall_time=time.time(), graph_def=graph_def.SerializeToString()))
    self._save(session, step)
    self._timer.update_last_triggered_step(step)
  return write_and_save


def _export_once(graphs, export):
  """Saver.export_meta_graph, of a finalized graph in the form of Saver.save."""
  def export_once(self: tf.train.Saver, filename: Any = None,
                  strip_default_attrs: bool = False,
                  save_debug_info: bool = False, **kwargs: Any) -> Any:
    graph = tf.get_default_graph()
    if (not graph.finalized or not filename or strip_default_attrs
        or save_debug_info or kwargs):
      return export(self, filename, strip_default_attrs=strip_default_attrs,
                    save_debug_info=save_debug_info, **kwargs)
    meta_graph = graphs.meta_graph(self, graph)
    folder, name = os.path.split(filename)
    tf.train.write_graph(meta_graph, folder, name, as_text=False)
    return meta_graph
  return export_once
