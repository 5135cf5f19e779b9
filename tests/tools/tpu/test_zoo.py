"""The table of the model zoo: saved row by row, written between markers."""

import json

import pytest

from tools.tpu import zoo
from tools.zoo import rows as zoo_rows

ROWS = zoo_rows.ROWS[:3]


def _result(row, problems=()):
  return {'config_file': row.config_file, 'size': [640, 512],
          'instructions': 7, 'infeed_bytes': 2500000, 'seconds': 1.,
          'problems': list(problems)}


def test_rows_that_are_done_are_not_done_again(tmp_path, monkeypatch):
  done = []

  def check(row):
    done.append(row.config_file)
    return _result(row)

  monkeypatch.setattr(zoo, 'check', check)
  path = tmp_path / 'results.jsonl'
  path.write_text(json.dumps(_result(ROWS[0])) + '\n' +
                  json.dumps(_result(ROWS[1], ['no lowering'])) + '\n')
  results = zoo.check_all(ROWS, str(path), fresh=False)
  # One that failed is tried again.
  assert done == [row.config_file for row in ROWS[1:]]
  assert not any(result['problems'] for result in results.values())
  zoo.check_all(ROWS, str(path), fresh=False)
  assert len(done) == 2
  zoo.check_all(ROWS, str(path), fresh=True)
  assert len(done) == 5


def test_table_of_results():
  results = {ROWS[0].config_file: _result(ROWS[0]),
             ROWS[1].config_file: _result(ROWS[1], ['Bad has no lowering'])}
  lines = zoo.table(ROWS, results).splitlines()
  assert lines[2] == '| `%s` | 640 x 512 | 7 | 2.50 | lowers |' % (
      ROWS[0].config_file)
  assert lines[3].endswith('| | | | Bad has no lowering |')
  assert lines[4].endswith('| | | | not checked yet |')


def test_text_between_the_markers_is_replaced():
  page = 'before\n%s\nold\n%s\nafter\n' % (zoo.BEGIN, zoo.END)
  text = zoo.replace_between_markers(page, 'new')
  assert text == 'before\n%s\n\nnew\n\n%s\nafter\n' % (zoo.BEGIN, zoo.END)
  assert zoo.replace_between_markers(text, 'new') == text
  with pytest.raises(ValueError, match='must be there once each'):
    zoo.replace_between_markers('before\n%s\n' % zoo.BEGIN, 'new')


def test_a_configuration_that_fails_is_reported(monkeypatch):
  row = ROWS[0]._replace(config_file='zoo/no_such_file.yaml')
  problem, = zoo.check(row)['problems']
  assert problem.startswith('not built: ') and 'no_such_file' in problem


def test_markers_stand_in_the_page():
  with open(zoo.parse_arguments([]).output, encoding='utf-8') as f:
    zoo.replace_between_markers(f.read(), '')
