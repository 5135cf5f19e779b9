"""Writes the sha256 of every package into lock files.

  python -m tools.lock_hashes requirements/py311-tf215 \\
      --python=.venv-tf2/bin/python

takes the pins of FILE.txt and FILE-build.txt, asks the package index (pip
install --dry-run) which file each of them is on this machine, and writes the
pins again with its hash. With a hash in a file, pip installs nothing without
one, and only the files that the lock was made from. To change a pin, write
`name==version` without a hash and run this.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from utils import files

# A pin, alone or with hashes.
PIN = re.compile(r'(?m)^([\w.-]+)==([^\s;]+)((?: *\\?\n? +--hash=\S+)*) *$')


def pins(text: str) -> Iterator[Tuple[str, str]]:
  """(package, version) of the text of a lock file."""
  for match in PIN.finditer(text):
    yield match.group(1), match.group(2)


def with_hashes(text: str, hashes: Mapping[str, Sequence[str]]) -> str:
  """The text with these hashes.

  Args:
    text: content of a lock file.
    hashes: {package as the index writes it: [sha256]}.

  Raises:
    ValueError: naming a package that has none.
  """
  def line(match):
    name, version = match.group(1), match.group(2)
    found = hashes.get(canonical(name))
    if not found:
      raise ValueError('The index has no file for %s %s.' % (name, version))
    return '%s==%s%s' % (name, version, ''.join(
        ' \\\n    --hash=sha256:%s' % one for one in sorted(set(found))))
  return PIN.sub(line, text)


def canonical(name: str) -> str:
  """As an index writes it."""
  return re.sub(r'[-_.]+', '-', name).lower()


def of_report(report: Mapping[str, Any]) -> Dict[str, List[str]]:
  """{package: [sha256]} of what pip install --report wrote."""
  found = {}
  for entry in report['install']:
    hashes = entry['download_info']['archive_info'].get('hashes', {})
    if 'sha256' in hashes:
      found.setdefault(canonical(entry['metadata']['name']), []).append(
          hashes['sha256'])
  return found


def _asked(python, text):
  """The hashes of the pins of a text, by pip."""
  with tempfile.TemporaryDirectory(prefix='lock-') as folder:
    wanted, report = folder + '/wanted.txt', folder + '/report.json'
    with open(wanted, 'w', encoding='utf-8') as f:
      f.write(''.join('%s==%s\n' % pin for pin in pins(text)))
    subprocess.run(
        [python, '-m', 'pip', '--disable-pip-version-check', 'install',
         '--quiet', '--dry-run', '--ignore-installed', '--no-deps',
         '--no-build-isolation', '--report', report, '-r', wanted], check=True)
    with open(report, encoding='utf-8') as f:
      return of_report(json.load(f))


def main(argv: Optional[Sequence[str]] = None) -> None:
  parser = argparse.ArgumentParser(
      prog='python -m tools.lock_hashes', description=__doc__,
      formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('lock', nargs='+', metavar='FILE',
                      help='path of a lock, without .txt')
  parser.add_argument('--python', required=True, metavar='PATH',
                      help='interpreter that the lock is for')
  arguments = parser.parse_args(argv)
  try:
    for lock in arguments.lock:
      for path in (lock + '-build.txt', lock + '.txt'):
        with open(path, encoding='utf-8') as f:
          text = f.read()
        files.write_atomically(
            path, with_hashes(text, _asked(arguments.python, text)))
        print('%s: %d packages' % (path, len(list(pins(text)))))
  except (OSError, ValueError, subprocess.CalledProcessError) as e:
    sys.exit('Error: %s' % e)


if __name__ == '__main__':
  main()
