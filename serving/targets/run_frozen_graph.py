"""Runs a frozen graph in a session.

  python -m serving.targets.run_frozen_graph FOLDER IMAGES ANSWERS
"""

import os
import sys

import tensorflow.compat.v1 as tf

from serving.targets import answers

FILE = 'frozen_graph.pb'


class Model:
  """A frozen graph, ready to be run.

  Attributes:
    batch_size: int, or None for any.
  """

  def __init__(self, folder, described):
    """Loads it.

    Args:
      folder: folder of the export.
      described: result of description.read.
    """
    graph_def = tf.GraphDef()
    with open(os.path.join(folder, FILE), 'rb') as f:
      graph_def.ParseFromString(f.read())
    with tf.Graph().as_default() as graph:
      tf.import_graph_def(graph_def, name='')
    self._session = tf.Session(graph=graph)
    self._input = described['input']['name'] + ':0'
    self._outputs = {key: name + ':0'
                     for key, name in described['outputs'].items()}
    self.batch_size = answers.batch_size(described)
    self._fed = None

  def feed(self, images):
    """Gives it float32 [B, H, W, 3]."""
    self._fed = {self._input: images}

  def invoke(self):
    """Runs what was fed; returns {key: array [B, ...]}."""
    return self._session.run(self._outputs, self._fed)

  def run(self, images):
    """{key: array [B, ...]} of float32 [B, H, W, 3]."""
    self.feed(images)
    return self.invoke()


if __name__ == '__main__':
  answers.main(Model, sys.argv[1:])
