"""Files outside of this code that add to its tables.

A plugin is a Python file that is run once, before configurations are read. It
adds entries to tables, such as `configs.backbones.BACKBONES`; see
docs/extending.md. It is named by the flag --plugins of main.py or by the
environment variable VISION_PLUGINS, and never by a configuration: a model_dir
from elsewhere runs no code.
"""

import hashlib
import importlib.util
import os
import sys
from typing import List, Tuple

VARIABLE = 'VISION_PLUGINS'

_loaded = {}  # {absolute path: sha256 of the file}


def loaded() -> List[Tuple[str, str]]:
  """[(file name, sha256)] of the plugins of this process."""
  return [(os.path.basename(path), digest)
          for path, digest in sorted(_loaded.items())]


def load() -> None:
  """Runs the files of VISION_PLUGINS, separated as in PATH; each once.

  Raises:
    SystemExit: with a sentence, if a file is missing or fails.
  """
  for path in filter(None, os.environ.get(VARIABLE, '').split(os.pathsep)):
    path = os.path.abspath(path)
    if path not in _loaded:
      _run(path)


def _run(path):
  try:
    with open(path, 'rb') as f:
      _loaded[path] = hashlib.sha256(f.read()).hexdigest()
  except OSError as e:
    sys.exit('Error: the plugin %s cannot be read: %s.' % (path, e.strerror))
  name = 'plugin_' + os.path.splitext(os.path.basename(path))[0]
  spec = importlib.util.spec_from_file_location(name, path)
  if spec is None:
    sys.exit('Error: the plugin %s is not a Python file (.py).' % path)
  module = importlib.util.module_from_spec(spec)
  sys.modules[name] = module
  try:
    spec.loader.exec_module(module)
  except Exception as e:  # Whatever it raises, the reader wants to know whose.
    sys.exit('Error: the plugin %s failed: %s: %s.' % (
        path, type(e).__name__, e))
