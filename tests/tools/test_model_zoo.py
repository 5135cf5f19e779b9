"""The zoo table: comparison, page, and some rows counted."""

import glob
import json
import os
import re

import pytest

from configs import factory
from tests import runtimes
from tools import model_zoo
from tools.zoo import page as zoo_page
from tools.zoo import rows as zoo_rows

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))


def _row(pattern):
  row, = [r for r in zoo_rows.ROWS if re.search(pattern, r.config_file)]
  return row


@pytest.fixture(autouse=True)
def _at_the_root(monkeypatch):
  monkeypatch.chdir(ROOT)


@pytest.mark.parametrize('value,printed,tolerance,is_it', [
    (34.091, '34.0', 0., True),   # cut off
    (53.083, '53.1', 0., True),   # rounded
    (34.10, '34.0', 0., False), (33.94, '34.0', 0., False),
    (118.27, '118', 0., True), (2.3376, '2.34', 0., True),
    (325.70, '326.3', 3e-3, True), (325.30, '326.3', 3e-3, False)])
def test_agreement_with_a_printed_number(value, printed, tolerance, is_it):
  assert model_zoo.agrees(value, printed, tolerance) == is_it


def test_every_row_is_a_file_that_loads():
  for row in zoo_rows.ROWS:
    config, _ = factory.load_config(
        None, os.path.join(model_zoo.EXPERIMENTS, row.config_file))
    expected = {'retinanet': zoo_rows.RETINANET,
                'mask_rcnn': zoo_rows.MASK_RCNN,
                'cascade_mask_rcnn': zoo_rows.COPY_PASTE,
                'classification': zoo_rows.IMAGENET,
                'segmentation': zoo_rows.PASCAL}[config.type]
    assert row.section == expected
  files = [row.config_file for row in zoo_rows.ROWS]
  assert len(set(files)) == len(files)
  shipped = [os.path.relpath(path, model_zoo.EXPERIMENTS) for path in glob.glob(
      model_zoo.EXPERIMENTS + '/zoo/*.yaml')]
  assert set(shipped) <= set(files)


def test_every_other_reading_stands_beside_one_that_fits():
  others = [row for row in zoo_rows.ROWS if not row.fits]
  assert len(others) == 5
  for other in others:
    assert [row for row in zoo_rows.ROWS if row.fits and (
        row.params, row.flops, row.accuracy, row.epochs) == (
            other.params, other.flops, other.accuracy, other.epochs)]


@pytest.mark.parametrize('pattern', [
    'zoo/retinanet_resnet50_fpn_640',
    runtimes.only('tf1', 'spinenet-mbconv49_retinanet'),
    pytest.param('', marks=pytest.mark.slow)])
def test_rows_are_as_published(pattern, tmp_path, capsys):
  results = tmp_path / 'results.jsonl'
  page = tmp_path / 'page.md'
  arguments = ['--results=%s' % results, '--output=%s' % page]
  model_zoo.main(arguments + (['--rows=' + pattern] if pattern else []))
  output = capsys.readouterr().out
  assert '0 of them not as published' in output
  assert page.exists() == (not pattern)
  lines = results.read_text().splitlines()
  if pattern:
    line, = lines
    assert json.loads(line)['params'] > 1e6
  else:
    assert len(lines) == len(zoo_rows.ROWS)


def test_a_row_that_differs_ends_with_an_error(monkeypatch, capsys):
  row = _row('mbconv49')
  monkeypatch.setattr(model_zoo, 'count', lambda row: {
      'config_file': row.config_file, 'size': [384, 384], 'params': 2500000,
      'flops': 1e9})
  with pytest.raises(SystemExit) as error:
    model_zoo.main(['--rows=' + row.config_file])
  assert error.value.code == 1
  output = capsys.readouterr().out
  assert 'parameters, millions: 2.500, published 2.34' in output


def test_a_row_that_cannot_be_counted_ends_with_an_error(monkeypatch, capsys):
  row = _row('mbconv49')
  monkeypatch.setattr(zoo_rows, 'ROWS', (row._replace(config_file='no.yaml'),))
  with pytest.raises(SystemExit) as error:
    model_zoo.main(['--rows=no'])
  assert error.value.code == 1
  assert 'not counted: ' in capsys.readouterr().out


def test_an_interrupted_run_goes_on(tmp_path, monkeypatch):
  row = _row('mbconv49')
  path = tmp_path / 'results.jsonl'
  counted = {'config_file': row.config_file, 'size': [384, 384],
             'params': 2337579, 'flops': 1e9}
  path.write_text(json.dumps(counted) + '\n')
  monkeypatch.setattr(model_zoo, 'count', None)
  assert model_zoo.count_all([row], str(path), reuse=True) == {
      row.config_file: counted}
  assert len(path.read_text().splitlines()) == 1


def test_page(capsys):
  rows = [_row('mbconv49'), _row('spinenet190_mrcnn'), _row('effb7_640'),
          _row('b7-nasfpn')]
  result = {'size': [384, 384], 'params': 2337579, 'flops': 1004668577}
  text = zoo_page.page([
      (rows[0], result, []), (rows[1], result, []), (rows[2], result, []),
      (rows[3], {'error': 'broken'}, ['not counted: broken'])])
  lines = {line.split('`')[1]: [cell.strip() for cell in line.split('|')]
           for line in text.split('\n') if '.yaml`' in line}
  cells = lines[rows[0].config_file]
  assert cells[3:12] == ['384 x 384', '600', '2.338', '2.34', '-0.10 %',
                         '1.005', '1.0', '+0.47 %', 'AP 28.6']
  assert cells[12] == 'yes'
  assert lines[rows[1].config_file][12] == 'other reading'
  assert lines[rows[2].config_file][12] == 'no figures'
  assert lines[rows[3].config_file][12] == 'no: not counted: broken'


def test_the_page_has_all_rows():
  """docs/MODEL_ZOO.md was written after the last change of the table."""
  with open('docs/MODEL_ZOO.md') as f:
    text = f.read()
  for row in zoo_rows.ROWS:
    line, = [line for line in text.split('\n')
             if '`%s`' % row.config_file in line]
    assert row.accuracy in line and '| %s |' % row.name in line


def test_rows_that_do_not_exist():
  with pytest.raises(SystemExit) as error:
    model_zoo.main(['--rows=mobilenet'])
  assert 'matches none of the files: zoo/retinanet_resnet50' in (
      error.value.code)
