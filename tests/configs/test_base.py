"""Sections: overriding, errors, freezing, plain dicts."""

import copy
import dataclasses
import pickle
from typing import Optional, Tuple

import pytest

from configs import base
from configs import common


@dataclasses.dataclass(frozen=True)
class Rate:
  type: str = base.option('step', choices=('step', 'cosine'))
  first: float = base.option(0.1, above=0)


@dataclasses.dataclass(frozen=True)
class Top:
  steps: int = base.option(10, at_least=0, at_most=100)
  sizes: Tuple[int, ...] = base.option((1, 2), at_least=1)
  name: str = ''
  names: str = base.option('.*', pattern=True)
  rate: Rate = Rate()
  second: Optional[Rate] = None
  old: Optional[int] = base.option(None, inert='steps decides')


def test_override_makes_a_new_section():
  top = Top()
  changed = base.override(top, {'steps': 3, 'rate': {'first': '2e-1'}})
  assert (changed.steps, changed.rate.first) == (3, 0.2)
  assert changed.rate.type == 'step'
  assert top == Top()


def test_sections_are_frozen_deeply():
  top = base.override(Top(), {'sizes': [3, 4]})
  assert top.sizes == (3, 4)
  with pytest.raises(dataclasses.FrozenInstanceError):
    top.steps = 1
  with pytest.raises(dataclasses.FrozenInstanceError):
    top.rate.first = 1.
  with pytest.raises(dataclasses.FrozenInstanceError):
    del top.rate.first


def test_python_habits_work():
  top = Top()
  assert not hasattr(top, 'missing')
  assert getattr(top, 'missing', 5) == 5
  assert copy.deepcopy(top) == top
  assert pickle.loads(pickle.dumps(top)) == top
  assert hash(top) == hash(Top())


def test_dict_over_an_optional_section():
  top = base.override(Top(), {'second': {'type': 'cosine'}})
  assert top.second == Rate(type='cosine')
  assert base.override(top, {'second': None}).second is None


def test_to_dict_and_back():
  top = base.override(Top(), {'second': {}, 'sizes': [5]})
  data = base.to_dict(top)
  assert data['sizes'] == [5]
  assert data['second'] == {'type': 'step', 'first': 0.1}
  assert base.override(Top(), data) == top


def test_flatten_and_lookup():
  assert base.flatten(Top())['rate.first'] == 0.1
  assert base.lookup(Top(), 'rate.type') == 'step'
  with pytest.raises(AttributeError):
    base.lookup(Top(), 'rate.missing')


def test_null_for_text_that_may_be_empty():
  assert base.override(Top(name='x'), {'name': None}).name == ''


def test_null_for_file_patterns():
  train = base.override(common.Train(train_file_pattern='a*'),
                        {'train_file_pattern': None})
  assert train.train_file_pattern == ''


@pytest.mark.parametrize('changes, parts', [
    ({'stepz': 1}, ["unknown key 'stepz'", "did you mean 'steps'?"]),
    ({'rate': {'frist': 1}}, ["'rate.frist'", "'rate.first'"]),
    ({'first': 1}, ["unknown key 'first'", "did you mean 'rate.first'?"]),
    ({'rate': {'steps': 1}}, ["unknown key 'rate.steps'",
                              "did you mean 'steps'?"]),
    ({'rate': {'qqq': 1}}, ['the keys here are: first, type.']),
    ({'rate.first': 1}, ['{rate: {first: ...}}']),
    ({3: 1}, ["unknown key '3'"]),
    ({'steps': 'ten'}, ["'steps' must be an integer", "the text 'ten'"]),
    ({'steps': None}, ['an integer', 'null']),
    ({'steps': {'a': 1}}, ['an integer', 'a block of keys (a)']),
    ({'steps': -1}, ["'steps' must be at least 0, got the number -1"]),
    ({'steps': 101}, ['at most 100']),
    ({'sizes': [1, 0]}, ["'sizes' must be at least 1"]),
    ({'sizes': 3}, ['a list of integers', 'the number 3']),
    ({'rate': 3}, ["'rate' must be a block of keys, got the number 3"]),
    ({'rate': None}, ["'rate' must be a block of keys, got null"]),
    ({'rate': {'first': 0}}, ["'rate.first' must be greater than 0"]),
    ({'rate': {'type': 'cosin'}}, ["'step', 'cosine'", "got 'cosin'",
                                   "Did you mean 'cosine'?"]),
    ({'old': 'None'}, ['an integer or null', 'Write null for none']),
    ({'name': 3}, ["'name' must be text", 'In quotes it is text']),
    ({'names': '(a'}, ['not a valid regular expression', "'(a'"]),
    (['a'], ['must be a block of keys', "the list ['a']"]),
])
def test_errors_name_key_value_and_remedy(changes, parts):
  with pytest.raises(base.ConfigError) as error:
    base.override(Top(), changes, source='my.yaml')
  message = str(error.value)
  assert message.startswith('my.yaml: ')
  for part in parts:
    assert part in message


def test_the_place_of_a_key_goes_before_the_source():
  changes = base.LocatedDict({'stepz': 1}, {'stepz': 'my.yaml:7'})
  with pytest.raises(base.ConfigError, match='^my.yaml:7: unknown key'):
    base.override(Top(), changes, source='other')


def test_path_of_a_section():
  with pytest.raises(base.ConfigError, match="'train.rate.frst'"):
    base.override(Rate(), {'frst': 1}, path='train.rate')


def test_inert_keys_are_noted():
  assert base.inert_notes(Top()) == {}
  assert base.inert_notes(base.override(Top(), {'old': 3})) == {
      'old': 'old: 3 has no effect: steps decides.'}
