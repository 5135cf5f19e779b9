"""Configurations as text: sections, comments, changed values."""

import pytest

from configs import base
from tools.own_data import yaml_text

_LINES = [('type', 'retinanet', ''), ('train.total_steps', 1000, 'by minutes'),
          ('train.optimizer.type', 'adam', ''), ('eval.label_map', None, ''),
          ('train.train_batch_size', 8, '')]


def test_text():
  assert yaml_text.text(_LINES, ['Of a test.']) == (
      '# Of a test.\n'
      'type: retinanet\n'
      'train:\n'
      '  total_steps: 1000                 # by minutes\n'
      '  optimizer:\n'
      '    type: adam\n'
      '  train_batch_size: 8\n'
      'eval:\n'
      '  label_map: null\n')


@pytest.mark.parametrize('value', [
    [1., .5], 'a: b', '1e5', 'C:\\x #y', '[set]*', True, None, .001, 'null'])
def test_values_come_back(value):
  text = yaml_text.text([('a.b', value, 'c')])
  assert yaml_text.parsed(text) == {'a': {'b': value}}


def test_replace():
  text = yaml_text.text(_LINES)
  changed = yaml_text.replace(text, {'train.total_steps': 77,
                                     'train.optimizer.type': 'momentum'})
  assert changed == text.replace('1000', '77  ').replace('adam', 'momentum')
  assert '# by minutes' in changed


def test_replace_knows_sections():
  """`type` of another section, and a comment with a colon, stay."""
  text = 'type: a\n# type: b\neval:\n  type: c\n\n  # x\n  suffix: d\n'
  assert yaml_text.replace(text, {'eval.type': 'e'}) == text.replace(
      'type: c', 'type: e')


def test_replace_what_is_not_there():
  with pytest.raises(base.ConfigError, match=r'train\.total_steps'):
    yaml_text.replace('train: {total_steps: 3}\n', {'train.total_steps': 4})
