"""The private YAML loader and dumper."""

import pytest
import yaml

from configs import base
from configs import yaml_format


def _value(text):
  return yaml_format.parse('a: ' + text, 'x')[0]['a']


@pytest.mark.parametrize('text, value', [
    ('4e-5', 4e-5), ('1e5', 1e5), ('1.5e5', 1.5e5), ('.5e3', 500.),
    ('4.0e-05', 4e-5), ('1.', 1.), ('-1E+3', -1000.), ('.5', .5),
    ('3', 3), ('0x10', 16), ('010', 8), ('1_000', 1000), ('1:30', 90),
    ('yes', True), ('on', True), ('off', False), ('null', None), ('', None),
    ('None', 'None'), ('2020-01-01', '2020-01-01'), ("'1e5'", '1e5'),
    ('.inf', float('inf')), ('gs://b/a*', 'gs://b/a*'), ('1e', '1e'),
    ('[1, [2, x]]', [1, [2, 'x']]), ('{"b": 1}', {'b': 1})])
def test_typing(text, value):
  result = _value(text)
  assert result == value
  assert isinstance(result, type(value))


def test_global_loader_is_untouched():
  assert yaml.safe_load('4e-5') == '4e-5'
  assert yaml.safe_dump({'a': '4e-5'}) == 'a: 4e-5\n'


def test_places():
  data, notes = yaml_format.parse('a:\n  b: 1\nc: 2\n', 'my.yaml')
  assert notes == []
  assert data.where('c') == 'my.yaml:3'
  assert data['a'].where('b') == 'my.yaml:2'
  assert yaml_format.parse('{a: 1}', 'x', False)[0].where('a') == 'x'


def test_duplicate_keys_are_noted_and_the_later_wins():
  data, notes = yaml_format.parse('a: {x: 1}\nb: 1\na: {y: 2}\n', 'my.yaml')
  assert data == {'a': {'y': 2}, 'b': 1}
  assert len(notes) == 1
  for part in ('my.yaml:3', "'a'", 'line 1', 'later'):
    assert part in notes[0]


def test_merge_keys_work():
  data, notes = yaml_format.parse('a: &x {p: 1}\nb: {<<: *x, q: 2}\n', 'x')
  assert data['b'] == {'p': 1, 'q': 2}
  assert notes == []


@pytest.mark.parametrize('text, part', [
    ('a: [1, 2', 'my.yaml:1:9'), ('a: 1\nb: *c\n', 'my.yaml:2:4'),
    ('a: 1\n b: 2\n', 'my.yaml:2'), ('a: !!python/name:os.system', 'python'),
    ('a: !!python/tuple [1]', 'python'), ('a: \x00', 'my.yaml'),
    ('a: 1\n---\nb: 1', 'my.yaml:2'), ('{[1]: 2}', 'my.yaml:1')])
def test_syntax_errors_have_a_position(text, part):
  with pytest.raises(base.ConfigError) as error:
    yaml_format.parse(text, 'my.yaml')
  assert part in str(error.value)
  assert 'not valid YAML' in str(error.value)


def test_dump():
  data = {'b': {'z': [1, [2]], 'y': None}, 'a': '1e5', 'c': 4e-5, 'd': ''}
  text = yaml_format.dump(data)
  assert text == ("a: '1e5'\nb:\n  y: null\n  z: [1, [2]]\nc: 4.0e-05\n"
                  "d: ''\n")
  assert yaml_format.parse(text, 'x')[0] == data


@pytest.mark.parametrize('value', ['1.5e5', '2020-01-01', 'yes', '010', 'a: b',
                                   'größe', '*x', '# no', '1:30', ' a '])
def test_text_survives(value):
  assert yaml_format.parse(
      yaml_format.dump({'a': value}), 'x')[0] == {'a': value}


def _bomb(levels):
  """Lists of nine aliases each: 9 ** levels values in a short text."""
  lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x]']
  lines += ['a%d: &a%d [%s]' % (i, i, ', '.join(['*a%d' % (i - 1)] * 9))
            for i in range(1, levels)]
  return '\n'.join(lines)


def _chain(length):
  """Aliases that lie within one another."""
  return '\n'.join(['a0: &a0 [x]'] + ['a%d: &a%d [*a%d]' % (i, i, i - 1)
                                      for i in range(1, length)])


@pytest.mark.parametrize('text, message', [
    (_bomb(9), 'x.yaml:6:.*more than 100000 values, aliases counted in full'),
    (_chain(2000), 'more than 32 levels deep'),
    ('[' * 300, 'x.yaml:1:33: .*more than 32 levels deep'),
    ('[' * 40 + ']' * 40, 'more than 32 levels deep'),
    ('{a: ' * 40 + '1' + '}' * 40, 'more than 32 levels deep'),
    ('- ' * 40 + 'a', 'more than 32 levels deep'),
    ('&a [*a]', 'x.yaml:1:5: .*an alias within what it stands for'),
    ('b: &a {c: [1, *a]}', 'an alias within what it stands for'),
    ('<<: &a {<<: *a}', 'an alias within what it stands for'),
    ('b: !!bool x', 'x.yaml:1:4: .*x is not a value of the tag .*:bool'),
    ('b: !!timestamp x', 'not a value of the tag .*:timestamp'),
    ('b: !!int %s' % ('y' * 500), r'y{60}\.\.\. is not a value of the tag'),
    ('!!map [a]', 'expected a mapping node, but found sequence'),
    ('b: !!map [a, b]', 'expected a mapping node, but found sequence'),
    ('b: !!python/object/apply:os.getcwd []', 'could not determine'),
    ('b: ' + 'y' * 300000, 'too long for a configuration')])
def test_texts_that_exhaust_or_crash_a_reader(text, message):
  with pytest.raises(yaml_format.YamlSyntaxError, match=message) as raised:
    yaml_format.parse(text, 'x.yaml')
  assert len(str(raised.value)) < 300


def test_aliases_within_the_limits():
  data, _ = yaml_format.parse(_bomb(4), 'x.yaml')
  assert data['a3'][8][8][8][8] == 'x'
