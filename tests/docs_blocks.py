"""Reads the fenced blocks of a document, with the tags that precede them.

A tag is an HTML comment on the line above the fence:
  <!-- run -->         a test runs the commands, with small numbers
  <!-- flags -->       main.py commands that need a TPU: flags and configuration
  <!-- syntax -->      needs the network or another machine: only its syntax
  <!-- make -->        targets of the Makefile
  <!-- file: NAME -->  content of a file that commands use
"""

import collections
import os
import re

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# tag: one of those above, or ''. argument: what follows its colon. language: of
# the fence. line: where it starts, from 1.
Block = collections.namedtuple('Block', 'tag argument language text line')

_TAG = re.compile(r'<!-- (\w+)(?:: (\S+))? -->$')


def read(path):
  """The blocks of a document that have a language.

  Args:
    path: of the document, relative to the clone.

  Returns:
    [Block].
  """
  blocks, tag, fence = [], ('', ''), None
  with open(os.path.join(ROOT, path), encoding='utf-8') as f:
    for number, line in enumerate(f, 1):
      if fence is None and line.startswith('```'):
        fence = (line[3:].strip(), number, [])
      elif fence is None:
        found = _TAG.match(line.strip())
        tag = (found.group(1), found.group(2) or '') if found else ('', '')
      elif line.startswith('```'):
        language, start, lines = fence
        if language:
          blocks.append(Block(tag[0], tag[1], language, ''.join(lines), start))
        fence, tag = None, ('', '')
      else:
        fence[2].append(line)
  return blocks


def substitute(text, substitutions, used):
  """Replaces what would be too large for a test.

  Args:
    text: str.
    substitutions: {text: replacement}.
    used: set, extended by the texts that were found.

  Returns:
    str.
  """
  for old, new in substitutions.items():
    if old in text:
      used.add(old)
      text = text.replace(old, new)
  return text
