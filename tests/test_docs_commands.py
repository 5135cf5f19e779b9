"""The commands of the documents by their sources: none of them is run.

Every program exists and knows its flags, and what a job of main.py is given is
a configuration. Whole documents are run by tests/test_docs.py.
"""

import glob
import os
import re
import shlex

import pytest

from configs import factory
from tests import docs_blocks

# Nothing here depends on TensorFlow, or on the Python that it runs in.
pytestmark = pytest.mark.one_runtime('tf2')

_DOCUMENTS = ['README.md'] + sorted(
    os.path.relpath(p, docs_blocks.ROOT)
    for p in glob.glob(os.path.join(docs_blocks.ROOT, 'docs', '*.md')))
# `'--num_%s_shards'` is any of them; a row of a table of flags is a name and
# a sentence.
_DEFINED = re.compile(
    r"""(?:DEFINE_\w+|add_argument|add)\(\s*((?:['"][\w%-]+['"],?\s*)+)""")
_LISTED = re.compile(r"\(\s*'(\w+)',\s+'[A-Z]")
_IMPORTED = re.compile(r'(?m)^\s*from (tools[\w.]*) import (\w+)')


def words_of(text):
  """[[word]] of the commands of a script, as bash splits them.

  Args:
    text: str; variables keep their names.
  """
  lexer = shlex.shlex(text.replace('\\\n', ' '), posix=True,
                      punctuation_chars='|&;<>\n')
  lexer.whitespace, lexer.whitespace_split = ' \t', True
  commands = [[]]
  for word in lexer:
    if set(word) <= set('|&;<>\n'):
      commands.append([])
    else:
      commands[-1].append(word)
  return [words for words in commands if words]


def programs_in(text):
  """[(module, [argument])] of the Python programs of this repository."""
  found = []
  for words in words_of(text):
    if 'python' not in words:
      continue
    words = words[words.index('python') + 1:]
    if words[:1] == ['main.py']:
      found.append(('main', words[1:]))
    elif words[:1] == ['-m'] and words[1].startswith('tools.'):
      found.append((words[1], words[2:]))
  return found


def _path(module):
  return os.path.join(docs_blocks.ROOT, *module.split('.')) + '.py'


def flags_of(module, seen=None):
  """{pattern} of the flags in a module, and in those of tools/ it imports."""
  seen = set() if seen is None else seen
  seen.add(module)
  with open(_path(module), encoding='utf-8') as f:
    text = f.read()
  flags = {name.lstrip('-').replace('%s', r'\w+')
           for names in _DEFINED.findall(text)
           for name in re.findall(r'[\w%-]+', names)}
  flags |= set(_LISTED.findall(text))
  for package, name in _IMPORTED.findall(text):
    imported = '%s.%s' % (package, name)
    if imported not in seen and os.path.exists(_path(imported)):
      flags |= flags_of(imported, seen)
  return flags


def _is_flag(name, known):
  return bool(re.match('(no)?(%s)$' % '|'.join(known), name))


def _commands():
  return [pytest.param(module, arguments, block, id='%s:%d %s %d' % (
      path, block.line, module, i))
          for path in _DOCUMENTS for block in docs_blocks.read(path)
          if block.tag in ('run', 'flags', 'syntax')
          for i, (module, arguments) in enumerate(programs_in(block.text))]


@pytest.mark.parametrize('module, arguments, block', _commands())
def test_flags_exist(module, arguments, block):
  known = flags_of(module)
  if '--' in arguments:  # What follows is another command.
    arguments = arguments[:arguments.index('--')]
  given = [a.split('=')[0][2:] for a in arguments if a.startswith('--')]
  assert [name for name in given if not _is_flag(name, known)] == []


@pytest.mark.parametrize('module, arguments, block', [
    p for p in _commands() if p.values[0] == 'main'])
def test_jobs_have_a_configuration(module, arguments, block, tmp_path):
  """Keys and types; the files of a document are those it describes."""
  given = dict(a[2:].partition('=')[::2] for a in arguments)
  if 'plugins' in given:
    pytest.skip('tests/configs/test_plugins.py runs it.')
  config_file = given.get('config_file')
  files = {b.argument: b.text for path in _DOCUMENTS
           for b in docs_blocks.read(path) if b.tag == 'file'}
  if config_file in files:
    config_file = str(tmp_path / config_file)
    with open(config_file, 'w', encoding='utf-8') as f:
      f.write(files[given['config_file']])
  elif config_file and not os.path.exists(
      os.path.join(docs_blocks.ROOT, config_file)):
    config_file = None
  override = given.get('params_override')
  if override and override.endswith('.yaml') and not os.path.exists(
      os.path.join(docs_blocks.ROOT, override)):
    override = None  # A file that another command writes.
  config, _ = factory.load_config(given.get('model'), config_file, override)
  assert config.type in factory.MODELS


def test_words_and_flags_are_found():
  text = ('x=1  # a note\npython main.py \\\n  --a="b\nc" --d && true | '
          'python -m tools.env')
  assert programs_in(text) == [('main', ['--a=b\nc', '--d']), ('tools.env', [])]
  assert {'model', 'config_file', 'params_override'} <= flags_of(
      'tools.model_stats')
  known = flags_of('main')
  assert _is_flag('model_dir', known) and _is_flag('nouse_tpu', known)
  assert not _is_flag('modle', known) and not _is_flag('no', known)
  assert len(_commands()) > 60
