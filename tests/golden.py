"""Reads the reference arrays under tests/data/reference.

Further folders of the same layout can be named in the environment variable
GOLDEN_DIRS (separated by ':'); every test over reference cases then runs on
their cases as well.
"""

import collections
import gzip
import json
import os

import numpy as np

DATA_DIR = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'data')
REFERENCE_DIR = os.path.join(DATA_DIR, 'reference')

# name: of the case. params: the exact keyword arguments. inputs, outputs:
# {array name without its 'in.' or 'out.' prefix: array}. meta: of the file.
Case = collections.namedtuple('Case', 'name params inputs outputs meta')


def reference_dirs():
  """The committed reference folder and those of GOLDEN_DIRS."""
  extra = os.environ.get('GOLDEN_DIRS', '')
  return [REFERENCE_DIR] + [d for d in extra.split(':') if d]


def reference_files(relative_path):
  """Existing files of this relative path, over all reference folders."""
  paths = [os.path.join(d, relative_path) for d in reference_dirs()]
  return [p for p in paths if os.path.exists(p)]


def load_cases(name):
  """Cases of ops/<name>.npz, in file order.

  Arrays of a case that has no inputs of its own are found through
  `arrays(case_name)` of the file; see the note of each case.

  Returns:
    [Case].
  """
  cases = []
  for path in reference_files('ops/%s.npz' % name):
    cases.extend(_load_file(path))
  return cases


def _load_file(path):
  archive = np.load(path)
  meta = json.loads(str(archive['meta']))
  arrays = {}
  for key in archive.files:
    if key == 'meta':
      continue
    # Case names never contain '.in.' or '.out.'.
    for kind in ('in', 'out'):
      head, found, tail = key.partition('.%s.' % kind)
      if found:
        arrays.setdefault(head, {'in': {}, 'out': {}})[kind][tail] = (
            archive[key])
        break
  meta['all_arrays'] = arrays
  result = []
  for entry in meta['cases']:
    of_case = arrays.get(entry['case'], {'in': {}, 'out': {}})
    result.append(Case(entry['case'], entry.get('params', {}), of_case['in'],
                       of_case['out'], meta))
  return result


def params_of(case, name):
  """The parameters of another case of the same file."""
  return next(entry.get('params', {}) for entry in case.meta['cases']
              if entry['case'] == name)


def levels(arrays, prefix):
  """{level: array} of the arrays called `<prefix>.L<level>`."""
  start = prefix + '.L'
  return {int(k[len(start):]): v for k, v in arrays.items()
          if k.startswith(start)}


def load_json(path):
  """Reads JSON, gzipped when the name ends in .gz."""
  opener = gzip.open if path.endswith('.gz') else open
  with opener(path, 'rt') as f:
    return json.load(f)
