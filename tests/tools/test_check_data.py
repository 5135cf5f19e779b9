"""Tests of tools/check_data.py."""

import json
import subprocess
import sys

import pytest

from configs import factory
from tests import docs_blocks
from tests import runtimes
from tests.dataloader import examples
from tools import check_data


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


@pytest.mark.parametrize('name, check, detail', [
    ('eval', 'images_in_both', '2 of the images to evaluate are trained on'),
    ('none', 'not_compared', 'eval.eval_file_pattern: '),
    ('other', None, None), ('', None, None)])
def test_images_of_training_and_evaluation(tmp_path, name, check, detail):
  """Labels, ids and the order may differ; the images are the same."""
  def write(name, seeds):
    return examples.write(tmp_path / name, [examples.serialize(
        examples.image(20, 30, seed), [[.1, .1, .9, .1 * (i + 2)]], [1],
        source_id='%s %d' % (name, i)) for i, seed in enumerate(seeds)])
  train = write('train', range(5))
  write('eval', [7, 4, 8, 0])
  write('other', [7, 8])
  config, _ = factory.load_config('retinanet', None, {
      'architecture': {'num_classes': 2},
      'train': {'train_file_pattern': train},
      'eval': {'eval_file_pattern': name and str(tmp_path / name)}})
  checker = check_data.check_records(
      config, train, 'key', eval_pattern=config.eval.eval_file_pattern)
  found = {f.check: f for f in checker.findings
           if f.check in ('images_in_both', 'not_compared')}
  assert list(found) == ([check] if check else [])
  if check:
    assert detail in found[check].detail
  if name == 'eval':
    assert found[check].where == '%s: record 1' % (tmp_path / name)


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
