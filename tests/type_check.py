"""Types, checked by mypy against the list of errors that there still are.

  python -m tests.type_check [--shrink]

tests/type_errors.txt counts them for each file and kind. Fails if a file has
more of a kind than the list says, or fewer: --shrink then takes those away from
the list. Nothing adds to it. mypy is installed beside TensorFlow 2.15
(RUNTIME=tf2); `make lint` runs this.
"""

import argparse
import collections
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_LIST = os.path.join(ROOT, 'tests', 'type_errors.txt')
_ERROR = re.compile(r'(?P<path>[^:]+\.py):\d+: error: .*\[(?P<kind>[\w-]+)\]$')


def count(output):
  """Counter of (path, kind) of the errors that mypy prints."""
  return collections.Counter(
      (match.group('path').replace(os.sep, '/'), match.group('kind'))
      for match in map(_ERROR.match, output.splitlines()) if match)


def parse(text):
  """Counter of the lines `path kind number`; '#' begins a comment."""
  rows = [line.split() for line in text.splitlines()
          if line and not line.startswith('#')]
  return collections.Counter({(path, kind): int(number)
                              for path, kind, number in rows})


def write(known):
  """The lines of a Counter, sorted."""
  return ''.join('%s %s %d\n' % (path, kind, number)
                 for (path, kind), number in sorted(known.items()))


def run_mypy():
  """What mypy prints.

  Raises:
    SystemExit: if it does not get as far as checking.
  """
  result = subprocess.run(
      [sys.executable, '-m', 'mypy', '--no-pretty', '--no-error-summary',
       '--show-error-codes'], cwd=ROOT, stdout=subprocess.PIPE,
      stderr=subprocess.STDOUT, text=True)
  # 1: it found errors. 2: of its own, or a file that cannot be parsed.
  if result.returncode not in (0, 1) or result.returncode and not count(
      result.stdout):
    raise SystemExit('mypy failed:\n%s' % result.stdout)
  return result.stdout


def judge(known, output):
  """What differs from the list, for people; '' if nothing does."""
  found = count(output)
  more, fewer = found - known, known - found
  lines = [line for line in output.splitlines() if _ERROR.match(line)
           and next(iter(count(line))) in more]
  if lines:
    lines.append('These files have more errors of a kind than '
                 'tests/type_errors.txt lists.')
  if fewer:
    lines.append('No longer found, so `python -m tests.type_check --shrink` '
                 'takes them away from tests/type_errors.txt:')
    lines += write(fewer).splitlines()
  return '\n'.join(lines)


def main(argv):
  parser = argparse.ArgumentParser(
      prog='python -m tests.type_check', description=__doc__.split('\n')[0])
  parser.add_argument('--shrink', action='store_true',
                      help='takes errors away that there no longer are')
  arguments = parser.parse_args(argv)
  with open(_LIST, encoding='utf-8') as f:
    text = f.read()
  known, output = parse(text), run_mypy()
  if arguments.shrink:
    known &= count(output)
    comments = ''.join(line for line in text.splitlines(True)
                       if line.startswith('#'))
    with open(_LIST, 'w', encoding='utf-8') as f:
      f.write(comments + write(known))
  problems = judge(known, output)
  if problems:
    raise SystemExit(problems)
  print('Types: no errors but the %d of tests/type_errors.txt.'
        % sum(known.values()))


if __name__ == '__main__':
  main(sys.argv[1:])
