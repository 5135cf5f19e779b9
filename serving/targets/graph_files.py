"""A named tuple with a GraphDef in two files, for other programs to read."""

import json
import os
from typing import Any, Iterator, Tuple

import tensorflow.compat.v1 as tf


def save(value: Any, folder: str, name: str) -> None:
  """Writes NAME.pb and NAME.json.

  Args:
    value: named tuple whose field `graph` is a GraphDef, and whose others JSON
      has a form of.
    folder: it is made if it is not there.
    name: name of the files, without suffix.
  """
  os.makedirs(folder, exist_ok=True)
  with open(os.path.join(folder, name + '.pb'), 'wb') as f:
    f.write(value.graph.SerializeToString())
  with open(os.path.join(folder, name + '.json'), 'w') as f:
    json.dump(value._replace(graph=None)._asdict(), f)


def load(kind: Any, folder: str, name: str) -> Any:
  """Reads what `save` wrote.

  Args:
    kind: class of the named tuple.
    folder: its path.
    name: name of the files, without suffix.

  Returns:
    The named tuple; tuples within it are lists now.
  """
  graph = tf.GraphDef()
  with open(os.path.join(folder, name + '.pb'), 'rb') as f:
    graph.ParseFromString(f.read())
  with open(os.path.join(folder, name + '.json')) as f:
    return kind(**json.load(f))._replace(graph=graph)


def operations(graph: tf.GraphDef) -> Iterator[Tuple[str, Any]]:
  """All operations of a graph, those of its functions too.

  Args:
    graph: GraphDef.

  Yields:
    (name, NodeDef); the name of one in a function has the function's before
    it.
  """
  for node in graph.node:
    yield node.name, node
  for function in graph.library.function:
    for node in function.node_def:
      yield '%s/%s' % (function.signature.name, node.name), node
