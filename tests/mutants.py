"""Deliberate faults, each of which some test must notice.

  python -m tests.mutants [--only=REGEX] [--list] [--output=FILE.json]

Copies the project, applies one fault of tests/mutants.yaml at a time, runs the
tests that should notice it, and prints whether one did (killed) or none
(survived). Each result is written as it comes; with --output, a second call
goes on where the first one stopped.
"""

import argparse
import collections
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

import yaml

from tests import runtimes

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_LIST = os.path.join(ROOT, 'tests', 'mutants.yaml')
_GOAL = 0.95  # share that must be killed
_TIMEOUT = 600  # seconds; a fault that hangs the tests is noticed as well
_NOT_COPIED = ('.git', '.venv-*', '.setup', 'demo', '__pycache__', '.*_cache')

# file: path in the project. old: text that occurs once in it. new: the fault.
# tests: arguments of pytest.
Mutant = collections.namedtuple('Mutant', 'name file old new tests')


def read_list(path=_LIST):
  """[Mutant] of the list.

  Raises:
    ValueError: naming those that do not fit the code.
  """
  with open(path, encoding='utf-8') as f:
    entries = yaml.safe_load(f)
  mutants = [Mutant(name, entry['file'], entry['old'], entry['new'],
                    entry['tests'].split()) for name, entry in entries.items()]
  wrong = [problem for m in mutants for problem in _problems(m)]
  if wrong:
    raise ValueError('%s:\n  %s' % (path, '\n  '.join(wrong)))
  return mutants


def _problems(mutant):
  """What keeps a mutant from being applied."""
  with open(os.path.join(ROOT, mutant.file), encoding='utf-8') as f:
    count = f.read().count(mutant.old)
  if count != 1:
    yield '%s: the text occurs %d times in %s, not once: %r' % (
        mutant.name, count, mutant.file, mutant.old)
  for argument in mutant.tests:
    path = argument.split('::')[0]
    if not argument.startswith('-') and path.startswith('tests/') and (
        not os.path.exists(os.path.join(ROOT, path))):
      yield '%s: there is no %s' % (mutant.name, path)


def is_killed(mutant, folder):
  """Whether the tests fail with the fault in a copy of the project.

  Args:
    mutant: Mutant.
    folder: the copy; it is as before afterwards.

  Returns:
    bool.

  Raises:
    RuntimeError: if pytest did not run, with what it printed.
  """
  path = os.path.join(folder, mutant.file)
  with open(path, encoding='utf-8') as f:
    text = f.read()
  try:
    with open(path, 'w', encoding='utf-8') as f:
      f.write(text.replace(mutant.old, mutant.new))
    return _tests_fail(mutant.tests, folder)
  finally:
    with open(path, 'w', encoding='utf-8') as f:
      f.write(text)


def _tests_fail(tests, folder):
  command = [sys.executable, '-B', '-m', 'pytest', '-q', '-x',
             '-p', 'no:cacheprovider'] + tests
  try:
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=_TIMEOUT,
                          env=dict(os.environ, **{runtimes.EVERY_CASE: '1'}))
  except subprocess.TimeoutExpired:
    return True
  # 0: all passed; 1: a test failed; 2: one could not be loaded.
  if done.returncode not in (0, 1, 2):
    raise RuntimeError('%s ended with %d:\n%s' % (
        ' '.join(command), done.returncode, done.stdout.decode()[-2000:]))
  return done.returncode != 0


def _read_results(path):
  if path and os.path.exists(path):
    with open(path) as f:
      return json.load(f)
  return {}


def run(mutants, output=None):
  """Tries all mutants, and prints and writes each result.

  Args:
    mutants: [Mutant].
    output: JSON file of results, which are not tried again; None: none.

  Returns:
    {name: whether it was killed}.
  """
  results = _read_results(output)
  with tempfile.TemporaryDirectory() as parent:
    folder = os.path.join(parent, 'project')
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*_NOT_COPIED))
    for number, mutant in enumerate(mutants, 1):
      if mutant.name not in results:
        start = time.time()
        results[mutant.name] = is_killed(mutant, folder)
        print('%d/%d %-8s %s (%s, %d s)' % (
            number, len(mutants),
            'killed' if results[mutant.name] else 'SURVIVED', mutant.name,
            mutant.file, time.time() - start), flush=True)
      if output:
        with open(output, 'w') as f:
          json.dump(results, f, indent=1)
  return {m.name: results[m.name] for m in mutants}


def main(argv=None):
  parser = argparse.ArgumentParser(
      prog='python -m tests.mutants', description=__doc__,
      formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('--only', default='', metavar='REGEX',
                      help='those whose name or file matches')
  parser.add_argument('--list', action='store_true', help='print and end')
  parser.add_argument('--output', metavar='FILE.json',
                      help='results; a second call goes on from them')
  arguments = parser.parse_args(argv)
  mutants = [m for m in read_list()
             if re.search(arguments.only, m.name + ' ' + m.file)]
  if arguments.list:
    print('\n'.join('%s: %s' % (m.name, m.file) for m in mutants))
    return 0
  results = run(mutants, arguments.output)
  killed = sum(results.values())
  print('%d of %d killed (%.1f %%).' % (killed, len(results),
                                        100. * killed / max(1, len(results))))
  return 0 if killed >= _GOAL * len(results) else 1


if __name__ == '__main__':
  sys.exit(main())
