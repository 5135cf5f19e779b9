"""Keeps the plan of docs/architecture.md: what rooms import, and nobody does.

The imports are read from the source, those inside of functions too.
"""

import ast
import collections
import functools
import os
import re
import subprocess

import pytest

# Of texts: no runtime has a part in it.
pytestmark = pytest.mark.one_runtime('tf2')

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# A room imports rooms of lower levels only; so rooms on one level do not import
# each other.
LEVELS = {'configs': 0, 'utils': 0, 'ops': 1, 'architecture': 2,
          'dataloader': 2, 'evaluation': 2, 'modeling': 3, 'executor': 4,
          'serving': 4, 'main': 5, 'tools': 5}
# What a room does without. configs is loaded by every --help and reads a bucket
# through a function that loads TensorFlow then; evaluation and utils are NumPy.
FORBIDDEN = {'configs': {'tensorflow', 'numpy'}, 'utils': {'tensorflow'},
             'evaluation': {'tensorflow'}}
# The one module that knows which TensorFlow it runs on.
COMPAT = os.path.join('ops', 'compat.py')
# These print or record the version and choose between figures of the two.
TELL_THE_VERSION = (
    os.path.join('executor', 'devices.py'), os.path.join('tools', 'env.py'),
    os.path.join('tools', 'benchmark_saved_model.py'),
    os.path.join('tools', 'benchmarks', 'guard.py'),
    os.path.join('tools', 'benchmarks', 'input_pipeline.py'),
    os.path.join('tools', 'benchmarks', 'ops.py'),
    os.path.join('tools', 'benchmarks', 'saved_model_target.py'),
    os.path.join('tools', 'benchmarks', 'step.py'),
    os.path.join('tools', 'benchmarks', 'timing.py'),
    os.path.join('tools', 'make_report.py'),
    os.path.join('tools', 'plan_pod.py'),
    # Which Python has the bridge, and how exact its XLA is.
    os.path.join('tools', 'tpu', 'check.py'))

# Below the rooms that run an experiment, these read the whole configuration;
# the rest takes arguments or a section.
READ_THE_TREE = re.compile(
    r'\w+/factory\.py$|architecture/(backbones|decoders)/\w+\.py$'
    r'|dataloader/(\w+_checks|inputs)\.py$|modeling/statistics\.py$')

# One import. module: dotted name. line: int. name: what is taken from it.
Import = collections.namedtuple('Import', 'module name line')


def _python_files():
  """Paths of the modules, relative to the root, without the tests."""
  paths = ['main.py']
  for room in LEVELS:
    for folder, _, names in os.walk(os.path.join(ROOT, room)):
      paths += [os.path.relpath(os.path.join(folder, name), ROOT)
                for name in names if name.endswith('.py')]
  return sorted(paths)


FILES = _python_files()


@functools.lru_cache(maxsize=None)
def _tree(path):
  with open(os.path.join(ROOT, path), encoding='utf-8') as f:
    return ast.parse(f.read(), path)


def imports_of(tree):
  """[Import] of a syntax tree, wherever they stand."""
  found = []
  for node in ast.walk(tree):
    if isinstance(node, ast.Import):
      found += [Import(alias.name, None, node.lineno) for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
      module = '.' * node.level + (node.module or '')
      found += [Import(module, alias.name, node.lineno)
                for alias in node.names]
  return found


def _room(module):
  return re.split(r'[./]', module)[0]


def _takes_a_configuration(tree):
  """Whether a function has the argument `config`, an experiment.

  Those that tables name are called `build`, and may.
  """
  return any(
      isinstance(node, ast.FunctionDef) and node.name != 'build'
      and 'config' in [argument.arg for argument in node.args.args]
      for node in ast.walk(tree))


def test_who_reads_the_whole_configuration():
  """As docs/architecture.md promises."""
  readers = [path.replace(os.sep, '/') for path in FILES
             if LEVELS[_room(path)] in (1, 2, 3)
             and _takes_a_configuration(_tree(path))]
  assert 'modeling/factory.py' in readers
  assert [path for path in readers if not READ_THE_TREE.match(path)] == []


_AMBIENT = re.compile(
    r'threading\.local|get_collection|add_to_collection|get_tpu_context'
    r'|get_replica_context|control_flow_v2_enabled|custom_getter'
    r'|bfloat16_scope')


def test_what_is_around_the_building_of_a_graph_is_documented():
  """In the table of docs/architecture.md, by the names of the modules."""
  with open(os.path.join(ROOT, 'docs', 'architecture.md')) as f:
    text = f.read()
  text = text[text.index('## What a graph is built for'):]
  table = text[:text.index('\n## ', 1)]
  found = []
  for path in FILES:
    if LEVELS[_room(path)] in (1, 2, 3):
      with open(os.path.join(ROOT, path), encoding='utf-8') as f:
        if _AMBIENT.search(f.read()):
          found.append(path[:-len('.py')].replace(os.sep, '.'))
  assert 'ops.convolution' in found
  assert [name for name in found if '`' + name not in table
          and not name.startswith('modeling.training.')] == []


def dotted_names(tree):
  """{'tf.contrib.layers', ...}: all attributes of plain names."""
  names = set()
  for node in ast.walk(tree):
    parts = []
    while isinstance(node, ast.Attribute):
      parts.append(node.attr)
      node = node.value
    if parts and isinstance(node, ast.Name):
      names.add('.'.join([node.id] + parts[::-1]))
  return names


def wrong_imports(path, tree):
  """[sentence] for every import that the plan does not have."""
  room = _room(path)
  wrong = []
  for module, _, line in imports_of(tree):
    other = _room(module)
    where = '%s:%d imports %s' % (path, line, module)
    if module.startswith('.'):
      wrong.append('%s: imports begin at the root.' % where)
    elif other in LEVELS and other != room and LEVELS[other] >= LEVELS[room]:
      wrong.append('%s: %s is level %d, %s is level %d.' % (
          where, room, LEVELS[room], other, LEVELS[other]))
    elif other in FORBIDDEN.get(room, ()):
      wrong.append('%s: %s does without %s.' % (where, room, other))
    elif other == 'tests':
      wrong.append('%s: the code does not need its tests.' % where)
  return wrong


def left_out_of_tensorflow(path, tree):
  """[sentence] for what is in one of the runtimes only, or no graph."""
  wrong = ['%s: %s' % (path, name) for name in sorted(dotted_names(tree))
           if re.search(r'\.(contrib|keras)(\.|$)', name)]
  for module, name, line in imports_of(tree):
    if re.search(r'(^|\.)(contrib|keras)(\.|$)',
                 '%s.%s' % (module, name or '')):
      wrong.append('%s:%d: %s' % (path, line, module))
    # TF 2's own interface runs without graphs.
    if (module, name) == ('tensorflow', None):
      wrong.append('%s:%d: import tensorflow.compat.v1.' % (path, line))
  return wrong


def asks_for_the_version(tree):
  """Whether the source asks which TensorFlow it is, or what that has."""
  names = dotted_names(tree)
  asked = {'tf.__version__', 'tf.VERSION', 'compat.IS_TF2', 'tf2.enabled'}
  probes = [node for node in ast.walk(tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            and node.func.id in ('hasattr', 'getattr') and node.args
            and ast.dump(node.args[0]).startswith("Name(id='tf'")]
  return bool(names & asked or probes)


def test_imports_go_down():
  assert not [w for path in FILES for w in wrong_imports(path, _tree(path))]


@functools.lru_cache(maxsize=None)
def _imported_at_once(path):
  """Names of modules that a file imports outside of functions."""
  names = []

  def visit(node):
    if isinstance(node, ast.Import):
      names.extend(alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
      names.extend([node.module] + ['%s.%s' % (node.module, alias.name)
                                    for alias in node.names])
    elif not isinstance(node, ast.FunctionDef):
      for inner in ast.iter_child_nodes(node):
        visit(inner)

  visit(_tree(path))
  return names


def _loaded_at_once(module, found):
  """Adds the modules that importing one loads."""
  path = module.replace('.', os.sep)
  path = path + '.py' if path + '.py' in FILES else os.path.join(
      path, '__init__.py')
  if module in found or path not in FILES:
    return found
  found.add(module)
  for name in _imported_at_once(path):
    if _room(name) == 'tensorflow':
      found.add(name)
    _loaded_at_once(name, found)
  return found


# Its pages are built where it is.
SLOW_HELP = {'tools.make_report'}


@pytest.mark.parametrize('path', [
    path for path in FILES
    if re.match(r'(main|tools/(?!__init__)\w+)\.py$', path)])
def test_help_waits_for_no_tensorflow(path):
  """Loading it takes seconds; ops.tensorflow_later loads it when it is used."""
  module = path[:-len('.py')].replace(os.sep, '.')
  found = _loaded_at_once(module, set())
  loads = any(_room(name) == 'tensorflow' for name in found)
  assert module in found and loads == (module in SLOW_HELP)


def test_every_folder_with_code_is_a_room():
  folders = {path.split(os.sep)[0] for path in os.listdir(ROOT)
             if os.path.exists(os.path.join(ROOT, path, '__init__.py'))}
  assert folders - {'tests'} <= set(LEVELS)


def test_what_lies_at_the_top():
  """No download and no result that was added by mistake."""
  paths = subprocess.check_output(
      ['git', 'ls-files'], cwd=ROOT, text=True).splitlines()
  assert {path for path in paths if '/' not in path} == {
      '.dockerignore', '.editorconfig', '.gitignore', '.pre-commit-config.yaml',
      'CHANGELOG.md', 'CONTRIBUTING.md', 'LICENSE', 'Makefile', 'NOTICE',
      'README.md', 'main.py', 'mkdocs.yml', 'pyproject.toml'}


def test_no_contrib_and_no_keras():
  assert not [w for path in FILES
              for w in left_out_of_tensorflow(path, _tree(path))]


def test_one_module_knows_the_version():
  asking = {path for path in FILES if asks_for_the_version(_tree(path))}
  assert COMPAT in asking
  assert asking <= {COMPAT} | set(TELL_THE_VERSION)


def _test_files():
  return [os.path.relpath(os.path.join(folder, name), ROOT)
          for folder, _, names in os.walk(os.path.join(ROOT, 'tests'))
          for name in names if name.endswith('.py')]


def texts_of_the_workplace(tree):
  """Strings that name the folder of reference data beside the clone."""
  # Put together, for this file is read, too.
  pattern = re.compile(r'(\.\./|/work/|^)shar' + r'ed(/|$)')
  return [node.s for node in ast.walk(tree)
          if isinstance(node, ast.Str) and pattern.search(node.s)]


def test_nothing_beside_the_clone_is_read():
  """That folder exists on one machine; what tests need is in tests/data."""
  paths = FILES + _test_files()
  assert len(paths) > len(FILES) + 50
  assert not [(path, text) for path in paths
              for text in texts_of_the_workplace(_tree(path))]


def test_nothing_touches_the_search_path():
  assert not [path for path in FILES
              if 'sys.path' in dotted_names(_tree(path))]


@pytest.mark.parametrize('path,source,number', [
    ('ops/boxes.py', 'from architecture import fpn', 1),
    ('ops/boxes.py', 'from ops import nms', 0),
    ('ops/boxes.py', 'def f():\n  import dataloader.records', 1),
    ('dataloader/a.py', 'from evaluation import ids', 1),
    ('configs/io.py', 'from utils import files', 1),
    ('configs/io.py', 'import tensorflow.compat.v1 as tf', 1),
    ('evaluation/ids.py', 'import numpy as np\nfrom utils import masks', 0),
    ('modeling/a.py', 'from . import b', 1),
    ('modeling/a.py', 'from tests import golden', 1),
    ('tools/a.py', 'from executor import jobs\nfrom tools import env', 0)])
def test_wrong_imports_are_found(path, source, number):
  assert len(wrong_imports(path, ast.parse(source))) == number


@pytest.mark.parametrize('source,expected', [
    ('tf.contrib.layers.conv2d(x)', True), ('tf.keras.Model()', True),
    ('from tensorflow.compat.v1 import keras', True),
    ('import tensorflow as tf', True),
    ('import tensorflow.compat.v1 as tf\ntf.nn.relu(x)', False)])
def test_what_is_left_out_of_tensorflow_is_found(source, expected):
  found = left_out_of_tensorflow('a.py', ast.parse(source))
  assert bool(found) == expected


@pytest.mark.parametrize('source,expected', [
    ("tf.__version__.startswith('2.')", True), ('compat.IS_TF2', True),
    ("hasattr(tf, 'contrib')", True), ("hasattr(x, 'contrib')", False),
    ('compat.enable_graph_mode()', False)])
def test_questions_about_the_version_are_found(source, expected):
  assert asks_for_the_version(ast.parse(source)) == expected


@pytest.mark.parametrize('text,expected', [
    ('../%s/spec', True), ('/work/%s', True), ('%s/reference', True),
    ('a %s machine', False), ('the %s', False)])
def test_paths_of_the_workplace_are_found(text, expected):
  tree = ast.parse('x = %r' % (text % ('shar' + 'ed')))
  assert bool(texts_of_the_workplace(tree)) == expected
