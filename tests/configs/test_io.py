"""Reading overrides in all their forms; writing YAML."""

import subprocess
import sys

import pytest

from configs import base
from configs import factory
from configs import io


@pytest.fixture
def folder(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  return tmp_path


def _write(folder, name, text):
  (folder / name).write_text(text)
  return name


@pytest.mark.parametrize('value', [None, '', '  ', {}])
def test_nothing(value):
  assert io.parse_override(value) == ({}, [])


@pytest.mark.parametrize('value', [
    {'a': {'b': 1}}, 'a.b=1', '{a: {b: 1}}', 'a:\n  b: 1\n',
    '{"a": {"b": 1}}'])
def test_forms(value):
  assert io.parse_override(value)[0] == {'a': {'b': 1}}


@pytest.mark.parametrize('text', ["a: {b: 1}, c: {d: 'x-*'}",
                                  "a.b: 1, c: {d: 'x-*'}"])
def test_mapping_without_its_braces(text):
  data, _ = io.parse_override(text)
  assert io.nest(data) == {'a': {'b': 1}, 'c': {'d': 'x-*'}}


@pytest.mark.parametrize('name', [
    'my.yaml', 'x=1.yaml', 'a', 'train: {total_steps: 5}'])
def test_an_existing_file_wins(folder, name):
  _write(folder, name, 'a: {b: 1e5}\n')
  data, _ = io.parse_override(name)
  assert data == {'a': {'b': 1e5}}
  assert data['a'].where('b') == '%s:1' % name


def test_a_file_of_the_home_folder(folder, monkeypatch):
  monkeypatch.setenv('HOME', str(folder))
  _write(folder, 'my.yaml', 'a: 1\n')
  assert io.parse_override('~/my.yaml')[0] == {'a': 1}


@pytest.mark.parametrize('value, parts', [
    ('missing.yaml', ["no file 'missing.yaml'", 'current folder']),
    ('just words', ["no file 'just words'", 'not a mapping']),
    ('a-b=1', ['letters, digits']), ('[1, 2]', ['mapping', 'list']),
    ('5', ['mapping', 'int']), (5, ['text or a mapping is expected']),
    (['a'], ['text or a mapping is expected']), ('{a: 1', ['my:1:6']),
    ('a: {b: 1, c: 2', ['my:1:']), ('a: {b: 1}, c', ['my:1:']),
    ('a=5,b', ['character 5'])])
def test_errors(folder, value, parts):
  with pytest.raises(base.ConfigError) as error:
    io.parse_override(value, 'my')
  assert str(error.value).startswith('my:')
  for part in parts:
    assert part in str(error.value)


@pytest.mark.parametrize('text, part', [
    ('', 'no keys'), ('# only a comment\n', 'no keys'),
    ('- a\n', 'mapping'), ('a: [\n', 'not valid YAML')])
def test_file_errors_name_the_file(folder, text, part):
  with pytest.raises(base.ConfigError, match=part) as error:
    io.read_yaml(_write(folder, 'my.yaml', text))
  assert 'my.yaml' in str(error.value)


def test_a_file_that_is_not_text(folder):
  (folder / 'my.yaml').write_bytes(b'\xff\xfe\x00')
  with pytest.raises(base.ConfigError, match='my.yaml: this file is not text'):
    io.read_yaml('my.yaml')
  with pytest.raises(base.ConfigError, match='Cannot read.*missing'):
    io.read_yaml('missing')


def test_nest():
  assert io.nest({'a.b': 1, 'a.c': 2, 'd': 3, 'e': {'f.g': 4}}) == {
      'a': {'b': 1, 'c': 2}, 'd': 3, 'e': {'f': {'g': 4}}}


@pytest.mark.parametrize('model', factory.MODELS)
def test_dumped_yaml_loads_to_an_equal_config(folder, model):
  config, _ = factory.load_config(model, None, {
      'model_dir': 'gs://bucket/1e5', 'eval': {'suffix': '1e5'},
      'train': {'input_partition_dims': [None, [1, 4, 2, 1], 'None'],
                'num_cores_per_replica': 8, 'l2_weight_decay': 1e-7,
                'train_file_pattern': ['a*', 'b*']}})
  loaded, _ = factory.load_config(
      None, _write(folder, 'params.yaml', io.dump_yaml(config)))
  assert loaded == config
  assert type(loaded) is type(config)
  assert loaded.train.input_partition_dims == (None, (1, 4, 2, 1), 'None')


def test_yaml_text_is_complete_sorted_and_within_a_line():
  lines = io.dump_yaml(factory.default_config('retinanet')).split('\n')
  assert '  output_size: [640, 640]' in lines
  top = [line.split(':')[0] for line in lines if line[:1].isalpha()]
  assert top == sorted(top)
  assert {'fpn', 'nasfpn', 'spinenet', 'retinanet_head'} <= set(top)


def test_configs_do_not_load_tensorflow():
  code = ('import sys; from configs import factory; factory.load_config(); '
          'sys.exit("tensorflow" in sys.modules or "numpy" in sys.modules)')
  assert subprocess.call([sys.executable, '-c', code]) == 0


def test_a_huge_text_does_not_come_back_as_a_message(tmp_path):
  path = tmp_path / 'huge.yaml'
  path.write_text('a' * 10 ** 6)
  for text in ('a' * 10 ** 6, 'train.total_steps=' + '9' * 10 ** 5, str(path)):
    with pytest.raises(base.ConfigError) as raised:
      factory.load_config('retinanet', None, text)
    assert len(str(raised.value)) < 3000
