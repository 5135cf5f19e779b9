"""Tests of utils/label_map.py."""

import pytest

from utils import label_map


def test_round_trip(tmp_path):
  path = str(tmp_path / 'labels.csv')
  names = {90: 'toothbrush', 1: 'person', 3: 'caf\u00e9: bar'}
  label_map.write_label_map(path, names)
  with open(path, encoding='utf-8') as f:
    assert f.readline() == '1:person\n'
  assert label_map.read_label_map(path) == names


def test_reads_windows_lines_and_blanks(tmp_path):
  path = tmp_path / 'labels.csv'
  path.write_bytes(b'1: person\r\n\r\n 2:traffic light \r\n')
  assert label_map.read_label_map(str(path)) == {1: 'person',
                                                 2: 'traffic light'}


def test_reads_true_csv(tmp_path):
  """With a line of columns, quotes, and signs that mean something elsewhere."""
  path = tmp_path / 'labels.csv'
  path.write_text('id,name,color\n1,person,red\n2,"light, green","#0f0"\n'
                  '3,"say ""a:b"""\n4:a,b\n')
  assert label_map.read_label_map(str(path)) == {
      1: 'person', 2: 'light, green', 3: 'say "a:b"', 4: 'a,b'}


@pytest.mark.parametrize('text, message', [
    ('1:person\nbicycle\n', 'line 2'),
    ('one:person\n', 'line 1'),
    ('1:\n', 'line 1'),
    ('id,name\n1,\n', 'line 2'),
    ('1,person\nid,name\n', 'line 2'),
    ('1:person\n1:bicycle\n', 'id 1 is given twice'),
])
def test_wrong_lines_are_named(tmp_path, text, message):
  path = tmp_path / 'labels.csv'
  path.write_text(text)
  with pytest.raises(ValueError, match=message):
    label_map.read_label_map(str(path))


def test_name_of_two_lines_is_refused(tmp_path):
  with pytest.raises(ValueError, match='spans lines'):
    label_map.write_label_map(str(tmp_path / 'labels.csv'), {1: 'a\nb'})
