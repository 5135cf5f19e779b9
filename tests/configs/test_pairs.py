"""Overrides written as a.b=c pairs."""

import pytest

from configs import base
from configs import pairs


def _parse(text):
  return pairs.parse(text, 'text')[0]


@pytest.mark.parametrize('text, value', [
    ('5', 5), ('1e-4', 1e-4), ('1.5e5', 1.5e5), ('yes', True), ('0x10', 16),
    ('010', 8), ('1_000', 1000), ('1:30', 90), ('', None), ('null', None),
    ('None', 'None'), ("'x,y'", 'x,y'), ('"a\\tb"', 'a\tb'),
    ("'it''s'", "it's"),
    ('gs://bk/a*', 'gs://bk/a*'), ('/data/tr*', '/data/tr*'), ('*tr', '*tr'),
    ('data/tr*', 'data/tr*'), ('/d/a[0-9]', '/d/a[0-9]'), ('a b', 'a b'),
    ('step', 'step'), ('@x', '@x'), ('a #b', 'a #b'), ("'5'", '5'),
    ('[]', []), ('[3,4]', [3, 4]), ('[3, 4,]', [3, 4]),
    ('[[1,2],[3]]', [[1, 2], [3]]), ("['a,b',\"c]\"]", ['a,b', 'c]']),
    ('[None, [1, 4, 2, 1], null]', ['None', [1, 4, 2, 1], None]),
    ('[gs://a,gs://b]', ['gs://a', 'gs://b']), ('[*.x]', ['*.x']),
    ('{p: 1, q: [2]}', {'p': 1, 'q': [2]}), ('x=y', 'x=y'),
    (r'(resnet\d+)/conv2d(|_[1-9])/', r'(resnet\d+)/conv2d(|_[1-9])/')])
def test_values(text, value):
  result = _parse('b.s=' + text)['b']['s']
  assert result == value
  assert type(result) is type(value) or isinstance(value, dict)


@pytest.mark.parametrize('text', [
    'a=5,b.c=3,b.d=x', ' a = 5 , b.c= 3,\n b.d =x ', 'a=5,\tb.c=3 ,b.d=x\n'])
def test_blanks(text):
  assert _parse(text) == {'a': 5, 'b': {'c': 3, 'd': 'x'}}


def test_the_later_of_two_wins_with_a_note():
  data, notes = pairs.parse('a=1,a=2', 'text')
  assert data == {'a': 2}
  assert notes == ['text: a is given twice; the later value is used.']


def test_a_key_inside_a_scalar():
  assert _parse('a=1,a.b=2') == {'a': {'b': 2}}


@pytest.mark.parametrize('text, position, expected', [
    ('a=5,b', 5, 'key=value'), ('a=5,', 5, 'key=value'),
    ("a='x", 3, 'quote'), ("a='x'y", 6, "','"), ('a=[1,2', 3, 'bracket'),
    ('a=[1,2]3', 8, "','"), ('a=[1}', 5, 'bracket'), ('a=1\nb=2', 5, "','"),
    ('a=1,b-c=2', 5, 'key=value'), ('a=1,b..c=2', 5, 'key=value')])
def test_syntax_errors_show_the_position(text, position, expected):
  with pytest.raises(base.ConfigError) as error:
    _parse(text)
  lines = str(error.value).split('\n')
  assert lines[0].startswith('text: expected ')
  assert expected in lines[0]
  assert 'character %d:' % position in lines[0]
  assert lines[1][2:] in text.split('\n')
  assert lines[2].endswith('^')


def test_an_empty_item_of_a_list():
  with pytest.raises(base.ConfigError, match='item of the list'):
    _parse('a=[1,,2]')


@pytest.mark.parametrize('text, answer', [
    ('a=1', True), (' a.b = 1', True), ('{a: 1}', False), ('a: b=1', False),
    ('my.yaml', False), ('a-b=1', False), ('', False)])
def test_looks_like_pairs(text, answer):
  assert pairs.looks_like_pairs(text) == answer


@pytest.mark.parametrize('text', ['a=' + '[' * 3000 + ']' * 3000,
                                  'a=[' + '{b: ' * 50 + '1' + '}' * 50 + ']'])
def test_brackets_have_a_limit(text):
  with pytest.raises(base.ConfigError, match='no deeper bracket') as raised:
    pairs.parse(text, 'x')
  assert len(str(raised.value)) < 2500
