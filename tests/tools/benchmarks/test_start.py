"""Tests of tools/benchmarks/start.py."""

import json
import subprocess
import sys

import pytest

from tools.benchmarks import start_phases


def test_phases_are_what_lies_between_the_marks():
  marks = [(float(i), float(i * i)) for i in range(8)]
  figures = start_phases.seconds_between(marks)
  assert list(figures) == list(start_phases.PHASES)
  assert figures['imports'] == {'cpu': 1., 'wall': 1.}
  assert figures['end'] == {'cpu': 1., 'wall': 13.}
  with pytest.raises(RuntimeError, match='reached 2 of 7 phases'):
    start_phases.seconds_between(marks[:3])


@pytest.mark.one_runtime('tf2')
def test_a_small_model_goes_through_all_phases(tmp_path):
  path = tmp_path / 'figures.json'
  output = subprocess.run(
      [sys.executable, '-m', 'tools.benchmarks.start', '--repeats=1',
       '--model=classification', '--image_size=32', '--json=%s' % path,
       '--config_file=configs/experiments/demo/classification.yaml'],
      stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True,
      text=True).stdout
  figures = json.loads(path.read_text())['this code']
  assert list(figures) == list(start_phases.PHASES)
  # To load TensorFlow takes a while, and no phase takes none.
  assert figures['imports']['cpu'] > .1
  assert all(f['cpu'] > 0 and f['wall'] > 0 for f in figures.values())
  assert [line.split()[0] for line in output.splitlines()[-8:]] == [
      'imports', 'configuration', 'graph', 'session', 'first', 'second', 'end',
      'all']
