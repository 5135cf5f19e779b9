"""The variables of every row of the model zoo.

  python -m tools.zoo.variable_lists          # builds all models: many minutes

They stand in variables.json.gz beside this file, so that a checkpoint can be
recognised in a second. The command makes the file again; rows that have the
same variables share a list.
"""

import gzip
import io
import json
import os
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from configs import base
from configs import factory
from tools.zoo import rows as zoo_rows
from utils import files

PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                    'variables.json.gz')
EXPERIMENTS = 'configs/experiments'


def read(
    path: str = PATH
) -> List[Tuple[Dict[str, Sequence[int]], List[zoo_rows.Row]]]:
  """The lists of all rows.

  Args:
    path: path of the file.

  Returns:
    [({variable name: (dimension, ...)}, [zoo_rows.Row that have these])].
  """
  with gzip.open(path, 'rt', encoding='utf-8') as f:
    content = json.load(f)
  by_file = {row.config_file: row for row in zoo_rows.ROWS}
  return [({name: tuple(shape) for name, shape in entry['variables']},
           [by_file[name] for name in entry['rows'] if name in by_file])
          for entry in content]


def write(lists: Mapping[str, Mapping[str, Sequence[int]]],
          path: str = PATH) -> None:
  """Writes lists; the same lists make the same bytes.

  Args:
    lists: {config_file: {variable name: shape}}.
    path: path of the file.
  """
  groups = {}
  for config_file, shapes in lists.items():
    key = tuple(sorted((name, tuple(shape)) for name, shape in shapes.items()))
    groups.setdefault(key, []).append(config_file)
  content = json.dumps([{'rows': names, 'variables': variables}
                        for variables, names in groups.items()],
                       separators=(',', ':'))
  files.write_atomically(path, _compressed(content))


def _compressed(text):
  """gzip without the time and the name that it would hold."""
  buffer = io.BytesIO()
  with gzip.GzipFile('', 'wb', 9, buffer, mtime=0) as f:
    f.write(text.encode('utf-8'))
  return buffer.getvalue()


def config_of(row: zoo_rows.Row,
              changes: Optional[Mapping[str, Any]] = None) -> base.Config:
  """The configuration of a row.

  Args:
    row: zoo_rows.Row.
    changes: {dotted key: value} over its file, or None.

  Returns:
    An experiment of configs.factory.
  """
  path = os.path.join(EXPERIMENTS, row.config_file)
  return factory.load_config(None, path, extra=changes)[0]


def main() -> None:
  """Builds the models of all rows and writes the file."""
  from modeling import statistics
  from tools.common import config_arguments
  config_arguments.start_tensorflow()
  lists = {}
  for row in zoo_rows.ROWS:
    lists[row.config_file] = statistics.variable_shapes(config_of(row))
    print('%s: %d variables' % (row.config_file, len(lists[row.config_file])),
          flush=True)
  write(lists, PATH)


if __name__ == '__main__':
  main()
