"""Has Estimator convert and write the graph once.

The savers of Estimator and TPUEstimator convert the graph into a message, 0.1
to 0.3 s for RetinaNet, seven times: twice when they open the event file, before
the graph is complete; three times before the first step, for `graph.pbtxt` and
two events; and for the `.meta` file of every checkpoint. Here it is converted
once. The event file has it once, which is what TensorBoard shows, and
`graph.pbtxt`, 12 MB of text that nothing here reads, is written on request.
"""

import contextlib
import functools
import os
import time
from typing import Iterator

import tensorflow.compat.v1 as tf

from executor import log_files

# What Saver.save gives to Saver.export_meta_graph.
_OPTIONS_OF_SAVE = {'strip_default_attrs': False, 'save_debug_info': False}


@contextlib.contextmanager
def written_once(as_text: bool) -> Iterator[None]:
  """Within the block, savers of checkpoints write the graph as said above.

  Estimator and TPUEstimator make their savers themselves, and these have no
  arguments for it.

  Args:
    as_text: `train.write_graph`, whether there is a `graph.pbtxt`.
  """
  # A graph that is finalized never changes.
  @functools.lru_cache(maxsize=None)
  def convert(graph):
    return graph.as_graph_def(add_shapes=True)

  hook, saver = tf.train.CheckpointSaverHook, tf.train.Saver
  with _replaced(hook, 'begin', _begin_without_graph(hook.begin)), _replaced(
      hook, 'after_create_session', _write_and_save(convert, as_text)
  ), _replaced(saver, 'export_meta_graph',
               _export_once(convert, saver.export_meta_graph)):
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


def _begin_without_graph(begin):
  """CheckpointSaverHook.begin, which opens the event file, without a graph."""
  def begin_without_graph(self):
    log_files.event_writer(self._checkpoint_dir)
    begin(self)
  return begin_without_graph


def _write_and_save(convert, as_text):
  """CheckpointSaverHook.after_create_session: the graph, and a checkpoint."""
  def write_and_save(self, session, coord):
    del coord
    step = session.run(self._global_step_tensor)
    graph_def = convert(tf.get_default_graph())
    if as_text:
      tf.train.write_graph(graph_def, self._checkpoint_dir, 'graph.pbtxt')
    self._summary_writer.add_event(tf.Event(
        wall_time=time.time(), graph_def=graph_def.SerializeToString()))
    self._save(session, step)
    self._timer.update_last_triggered_step(step)
  return write_and_save


def _export_once(convert, export):
  """Saver.export_meta_graph, of a finalized graph in the form of Saver.save."""
  @functools.lru_cache(maxsize=None)
  def exported(saver, graph):
    return tf.train.export_meta_graph(graph_def=convert(graph),
                                      saver_def=saver.saver_def)

  def export_once(self, filename=None, **options):
    graph = tf.get_default_graph()
    if not filename or not graph.finalized or options != _OPTIONS_OF_SAVE:
      return export(self, filename, **options)
    meta_graph = exported(self, graph)
    tf.train.write_graph(meta_graph, *os.path.split(filename), as_text=False)
    return meta_graph
  return export_once
