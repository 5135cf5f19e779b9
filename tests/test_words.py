"""The word list of CONTRIBUTING.md, and paths that documents may name."""

import os
import re
import subprocess

import pytest

# Of texts: no runtime has a part in it.
pytestmark = pytest.mark.one_runtime('tf2')

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Where the words themselves are listed, and an old name of a flag.
_EXEMPT = {'CONTRIBUTING.md', 'CHANGELOG.md', 'tests/test_words.py'}
_ALLOWED = re.compile(r"'--num_pictures'")
_WORDS = {
    'image': r'picture',
    'training run': r'\btrainings\b|\b[Aa] training(?=[.,;:)]| (?:is|was|that'
                    r'|on|of|starts|has|can|ends|and|with|from|in)\b)',
    'is not': r'(?<!here )\bis no (?!longer|more\b|less\b|other\b|such\b|need\b'
              r'|one\b)\w+',
    'not finite': r'\bno finite\b',
    'no longer': r'\bany more\b',
    'again, start over': r'\banew\b',
    'forever': r'\bfor ever\b',
    'silently': r'\bin silence\b',
    'removes': r'\b(?:takes?|taken) away\b',
    'its own': r'\ban own\b',
    'the reverse': r'\bthe other way round\b',
    '1.5 times as fast': r'\bhalf as fast again\b'}


def _texts():
  """[(path, content)] of what people read; the data of tests is left out."""
  paths = subprocess.check_output(
      ['git', 'ls-files'], cwd=_ROOT, universal_newlines=True).splitlines()
  for path in paths:
    if (re.search(r'(\.(py|md|sh|yaml|html|j2)|Makefile)$', path)
        and not path.startswith('tests/data/') and path not in _EXEMPT
        and os.path.exists(os.path.join(_ROOT, path))):
      with open(os.path.join(_ROOT, path), encoding='utf-8') as f:
        yield path, f.read()


def found(pattern, texts):
  """['path:line: text'] of the matches of a pattern."""
  return ['%s:%d: %s' % (path, content.count('\n', 0, match.start()) + 1,
                         match.group())
          for path, content in texts
          for match in re.finditer(pattern, _ALLOWED.sub('', content))]


@pytest.mark.skipif(not os.path.exists(os.path.join(_ROOT, '.git')),
                    reason='The list of files comes from git.')
@pytest.mark.parametrize('word', sorted(_WORDS))
def test_word_list(word):
  assert found(_WORDS[word], list(_texts())) == []


@pytest.mark.parametrize('word, text', [
    ('image', 'a picture'), ('training run', 'after a training that failed'),
    ('is not', 'it is no number'), ('not finite', 'no finite weight'),
    ('no longer', 'not any more'), ('again, start over', 'begins anew'),
    ('forever', 'waits for ever'), ('silently', 'dropped in silence'),
    ('removes', 'it is taken away'), ('its own', 'an own file'),
    ('the reverse', 'and the other way round'),
    ('1.5 times as fast', 'trains half as fast again')])
def test_word_list_notices(word, text):
  assert found(_WORDS[word], [('page', text)])


@pytest.mark.skipif(not os.path.exists(os.path.join(_ROOT, '.git')),
                    reason='The list of files comes from git.')
def test_paths_in_docstrings_exist():
  """A Python or Markdown path below a folder of the project is a file."""
  folders = [name for name in os.listdir(_ROOT)
             if os.path.isdir(os.path.join(_ROOT, name))]
  pattern = r'(?<![\w./-])(?:%s|spec|reference)/[\w/]+\.(?:py|md)\b' % (
      '|'.join(re.escape(name) for name in folders if name[0] != '.'))
  missing = [line for line in found(pattern, [
      (path, content) for path, content in _texts()
      if path.endswith('.py') and not path.startswith('tests/')])
             if not os.path.exists(os.path.join(_ROOT, line.split(': ')[1]))]
  assert missing == []
