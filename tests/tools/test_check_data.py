"""Tests of tools/check_data.py."""

import json
import subprocess
import sys

import pytest

from tests import docs_blocks
from tests import runtimes
from tests.dataloader import examples


def _run(tmp_path, boxes, *arguments):
  path = examples.write(tmp_path / 'a', [examples.serialize(
      examples.image(20, 30), boxes, [1] * len(boxes))])
  return subprocess.run(
      [sys.executable, '-m', 'tools.check_data', '--model=retinanet',
       '--params_override=architecture.num_classes=2', '--records=' + path,
       '--json=%s' % (tmp_path / 'a.json'), '--html=%s' % (tmp_path / 'a.html')]
      + list(arguments), cwd=docs_blocks.ROOT, capture_output=True,
      text=True)


@pytest.mark.parametrize('boxes, status', [
    runtimes.only('tf1', [[.1, .1, .9, .9]], 0),
    ([[.9, .1, .1, .9], [.1, .1, .9, .9]], 1)])
def test_exit_status_json_and_page(tmp_path, boxes, status):
  process = _run(tmp_path, boxes)
  assert process.returncode == status, process.stderr
  result = json.loads((tmp_path / 'a.json').read_text())
  assert result['num_records'] == 1 and result['num_objects'] == len(boxes)
  errors = [f for f in result['findings'] if f['level'] == 'error']
  assert len(errors) == status
  page = (tmp_path / 'a.html').read_text()
  assert ('box_inverted' in page) == bool(status)
  assert ('box_inverted' in process.stdout) == bool(status)


@pytest.mark.one_runtime('tf1')
def test_nothing_to_check(tmp_path):
  process = _run(tmp_path, [], '--records=%s' % (tmp_path / 'none*'))
  assert process.returncode == 2
  assert '--records' in process.stderr
  (tmp_path / 'empty').write_bytes(b'')
  process = _run(tmp_path, [], '--records=%s' % (tmp_path / 'empty'))
  assert process.returncode == 1
  assert 'no_objects' in process.stdout and 'Traceback' not in process.stderr


@pytest.mark.one_runtime('tf2')
@pytest.mark.parametrize('name, expected', [
    ('eval', 'images_in_both 1 x %s: record 1: 2 of the images to evaluate are '
             'trained on, too'),
    ('none', 'not_compared 1 x all records: Their images are not compared')])
def test_images_of_training_and_evaluation(tmp_path, name, expected):
  """Labels, ids and the order may differ; the images are the same."""
  def write(name, seeds):
    return examples.write(tmp_path / name, [examples.serialize(
        examples.image(20, 30, seed), [[.1, .1, .9, .1 * (i + 2)]], [1],
        source_id='%s %d' % (name, i)) for i, seed in enumerate(seeds)])
  train = write('train', range(5))
  write('eval', [7, 4, 8, 0])
  process = subprocess.run(
      [sys.executable, '-m', 'tools.check_data', '--params_override='
       'architecture.num_classes=2,train.train_file_pattern=%s,'
       'eval.eval_file_pattern=%s' % (train, tmp_path / name)],
      cwd=docs_blocks.ROOT, capture_output=True, text=True)
  assert process.returncode == 0, process.stderr
  printed = ' '.join(process.stdout.split())
  assert (expected % (tmp_path / name) if '%' in expected
          else expected) in printed


@pytest.mark.one_runtime('tf2')
def test_order_of_training_is_told(tmp_path):
  path = examples.write(tmp_path / 'many', [examples.serialize(
      examples.image(4, 4), [[0, 0, 1, 1]], [1], source_id=str(i))
                                            for i in range(1100)])
  process = _run(tmp_path, [], '--nodecode', '--records=' + path)
  assert 'rank correlation with the files' in process.stdout, process.stderr
  order = json.loads((tmp_path / 'a.json').read_text())['order']
  assert order['num_records'] == 1100
  assert max(abs(order['with_files']), abs(order['between_epochs'])) < .1
