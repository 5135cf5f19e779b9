"""A sentence instead of a traceback where no environment is activated.

Only the standard library is needed.
"""

import os
import sys
import types
from typing import Optional, Type

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Packages that every environment of `make setup` has, by the name of their
# module. Others belong to single tools, which explain themselves.
_NEEDED = ('PIL', 'absl', 'cv2', 'numpy', 'tensorflow', 'tqdm', 'yaml')


def explain() -> None:
  """Makes an import error of such a package end this process with a sentence.

  All other errors keep their traceback.
  """
  sys.excepthook = _excepthook


def _excepthook(kind: Type[BaseException], error: BaseException,
                trace: Optional[types.TracebackType]) -> None:
  name = (getattr(error, 'name', None) or '').split('.')[0]
  if issubclass(kind, ModuleNotFoundError) and name in _NEEDED:
    sys.stderr.write('Error: %s\n' % sentence(name))
  else:
    sys.__excepthook__(kind, error, trace)


def sentence(name: str) -> str:
  """What to do about a package that is missing.

  Args:
    name: name of its module.
  """
  return ('%s has no package %s. Install and activate an environment: `make '
          'setup`, then `source .venv-tf2/bin/activate`, in %s '
          '(docs/getting_started.md).' % (sys.executable, name, _ROOT))
