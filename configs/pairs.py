"""Overrides written as pairs: `train.total_steps=100, anchor.num_scales=3`.

  pairs = pair {"," pair}            value = quoted | list | block | plain
  pair  = dotted.key "=" value       list  = "[" [value {"," value}] "]"

A plain value is any run up to the next comma, typed like YAML ('yes', 1e-4,
null, 0x10). What YAML cannot read, such as *.tfrecord, is taken as text.
"""

import re
from typing import List, Tuple

from configs import base
from configs import yaml_format

_KEY = re.compile(r'\s*([A-Za-z]\w*(?:\.\w+)*)[ \t]*=[ \t]*')
_QUOTED = re.compile(r"""'(?:[^']|'')*'|"(?:[^"\\]|\\.)*\"""")
_CLOSING = {'[': ']', '{': '}'}


def looks_like_pairs(text: str) -> bool:
  """Whether the text starts with a pair; YAML mappings never do."""
  return bool(_KEY.match(text))


def parse(text: str, source: str) -> Tuple[base.LocatedDict, List[str]]:
  """Parses pairs.

  Args:
    text: the pairs.
    source: what the text is called in messages.

  Returns:
    A nested `LocatedDict` of the dotted keys and a list of notes.

  Raises:
    ConfigError: with the position of what cannot be read.
  """
  tree, notes, seen = base.LocatedDict(), [], set()
  position = 0
  while True:
    match = _KEY.match(text, position)
    if not match:
      raise _syntax_error(text, position, 'key=value', source)
    key = match.group(1)
    end = _end_of_value(text, match.end(), ',\n', source)
    if key in seen:
      notes.append('%s: %s is given twice; the later value is used.'
                   % (source, key))
    seen.add(key)
    _insert(tree, key, _typed(text[match.end():end].strip(), source), source)
    rest = re.compile(r'\s*').match(text, end).end()
    if rest == len(text):
      return tree, notes
    if text[rest] != ',':
      raise _syntax_error(text, rest, "','", source)
    position = rest + 1


def _insert(tree, dotted_key, value, source):
  """Sets `tree['a']['b']` for the key 'a.b'."""
  parts = dotted_key.split('.')
  for part in parts[:-1]:
    tree.places[part] = source
    if not isinstance(tree.get(part), dict):
      tree[part] = base.LocatedDict()
    tree = tree[part]
  tree[parts[-1]] = value
  tree.places[parts[-1]] = source


def _end_of_value(text, start, stops, source):
  """Index behind the value that starts at `start`."""
  quoted = _QUOTED.match(text, start)
  if quoted:
    return quoted.end()
  if text[start:start + 1] in ("'", '"'):
    raise _syntax_error(text, start, 'a closing quote for this one', source)
  if text[start:start + 1] in ('[', '{'):
    return _end_of_bracket(text, start, source)
  end = start
  while end < len(text) and text[end] not in stops:
    end += 1
  return end


def _end_of_bracket(text, start, source):
  """Index behind the bracket that closes the one at `start`."""
  open_brackets, position = [], start
  while position < len(text):
    quoted = _QUOTED.match(text, position)
    if quoted:
      position = quoted.end()
      continue
    char = text[position]
    if char in '[{':
      open_brackets.append(char)
      if len(open_brackets) > yaml_format.MAX_DEPTH:
        raise _syntax_error(text, position, 'no deeper bracket', source)
    elif char in ']}':
      if _CLOSING[open_brackets.pop()] != char:
        raise _syntax_error(text, position, 'another closing bracket', source)
      if not open_brackets:
        return position + 1
    position += 1
  raise _syntax_error(text, start, "'%s' for this bracket"
                      % _CLOSING[text[start]], source)


def _typed(text, source):
  """The value that a piece of text stands for."""
  if text.startswith('['):
    return _typed_list(text, source)
  if '#' in text and text[0] not in '\'"{':
    return text  # Not a comment here.
  try:
    return yaml_format.parse(text, source)[0]
  except yaml_format.YamlSyntaxError:
    if text[0] in '\'"{':
      raise
    return text


def _typed_list(text, source):
  """The list of '[a, [b, c]]'; a comma may follow the last item."""
  items, position, end = [], 1, len(text) - 1
  while text[position:end].strip():
    position = re.compile(r'\s*').match(text, position).end()
    stop = min(_end_of_value(text, position, ',', source), end)
    item = text[position:stop].strip()
    position = re.compile(r'\s*').match(text, stop).end()
    if not item or text[position:position + 1] not in (',', ']'):
      raise _syntax_error(text, position, 'an item of the list', source)
    items.append(_typed(item, source))
    position = min(position + 1, end)
  return items


def _syntax_error(text, position, expected, source):
  line_start = text.rfind('\n', 0, position) + 1
  line = text[line_start:].split('\n')[0]
  return base.ConfigError(
      '%s: expected %s at character %d:\n  %s\n  %s^' % (
          source, expected, position + 1, line,
          ' ' * (position - line_start)))
