"""YAML as our configuration files use it: a private safe loader and dumper.

YAML 1.1 as PyYAML reads it, except that every number with an exponent is a
number (1e5, 4e-5, 1.5e5, which YAML 1.1 calls text) and that dates stay text.
The loader remembers lines and reports keys that are written twice. It builds
plain data only; no tag in a file can name a Python object. Files may come from
anywhere, so size, depth and what aliases add up to have limits.
"""

import re
from typing import Any, List, Tuple

import yaml

from configs import base

_FLOAT_TAG = 'tag:yaml.org,2002:float'
_FLOAT = re.compile(r"""^(?:
    [-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?
    |[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+
    |[-+]?\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?
    |[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*
    |[-+]?\.(?:inf|Inf|INF)
    |\.(?:nan|NaN|NAN))$""", re.VERBOSE)
_FLOAT_STARTS = list('-+0123456789.')
# A complete configuration has 15,000 characters, 500 values, a depth of 4.
MAX_CHARACTERS = 3 * 10 ** 5
_MAX_NODES = 10 ** 5
MAX_DEPTH = 32
_MAX_SHOWN = 60  # characters of a value in a message


class YamlSyntaxError(base.ConfigError):
  """Text that is not YAML."""


class _Loader(yaml.SafeLoader):
  """Changes to its tables stay in this class: PyYAML copies them on write."""

  def __init__(self, text, source, with_lines):
    super().__init__(text)
    self._source, self._with_lines = source, with_lines
    self._depth = 0
    self._extents = {}  # {id of a complete node: (its nodes, its depth)}
    self.notes = []

  def place(self, node):
    """'my.yaml:12', or just the source."""
    return '%s:%d' % (self._source, node.start_mark.line + 1) if (
        self._with_lines) else self._source

  def compose_node(self, parent, index):
    """As PyYAML does it, within limits that aliases count for in full."""
    event = self.peek_event()
    self._depth += 1
    if self._depth > MAX_DEPTH:
      raise _too_deep(event)
    node = super().compose_node(parent, index)
    self._depth -= 1
    if id(node) not in self._extents:
      if isinstance(event, yaml.AliasEvent):
        raise yaml.composer.ComposerError(
            None, None, 'an alias within what it stands for', event.start_mark)
      self._extents[id(node)] = self._extent(node, event)
    return node

  def _extent(self, node, event):
    """(number of nodes, depth) of a node whose parts are complete."""
    parts = [] if isinstance(node, yaml.ScalarNode) else node.value
    if isinstance(node, yaml.MappingNode):
      parts = [part for pair in parts for part in pair]
    extents = [self._extents[id(part)] for part in parts]
    count = 1 + sum(count for count, _ in extents)
    depth = 1 + max([depth for _, depth in extents] or [0])
    if depth > MAX_DEPTH:
      raise _too_deep(event)
    if count > _MAX_NODES:
      raise yaml.composer.ComposerError(
          None, None, 'more than %d values, aliases counted in full'
          % _MAX_NODES, event.start_mark)
    return count, depth

  def construct_object(self, node, deep=False):
    """As PyYAML does it; what no constructor expects becomes its error."""
    try:
      return super().construct_object(node, deep)
    except (yaml.YAMLError, base.ConfigError):
      raise
    except Exception:  # pylint: disable=broad-except
      # KeyError, AttributeError, ... of `!!bool x`, `!!timestamp x`.
      shown = node.value if isinstance(node.value, str) else 'this'
      if len(shown) > _MAX_SHOWN:
        shown = shown[:_MAX_SHOWN] + '...'
      raise yaml.constructor.ConstructorError(
          None, None, '%s is not a value of the tag %s' % (shown, node.tag),
          node.start_mark)


def _too_deep(event):
  return yaml.composer.ComposerError(
      None, None, 'values are nested more than %d levels deep' % MAX_DEPTH,
      event.start_mark)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers
            if tag not in (_FLOAT_TAG, 'tag:yaml.org,2002:timestamp')]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()}
_Loader.add_implicit_resolver(_FLOAT_TAG, _FLOAT, _FLOAT_STARTS)


def _construct_mapping(loader, node):
  data = base.LocatedDict()
  yield data
  if not isinstance(node, yaml.MappingNode):
    loader.construct_mapping(node)  # Raises.
  first_lines = {}
  for key_node, _ in node.value:
    key = key_node.value
    if not isinstance(key, str):
      continue  # construct_mapping says that the key is not hashable.
    if key in first_lines and key_node.tag != 'tag:yaml.org,2002:merge':
      loader.notes.append(
          '%s: the key %r is written twice (first in line %d); the later one '
          'replaces the earlier one.' % (loader.place(key_node), key,
                                         first_lines[key]))
    first_lines[key] = key_node.start_mark.line + 1
  data.update(loader.construct_mapping(node))
  for key_node, _ in node.value:
    data.places[loader.construct_object(key_node)] = loader.place(key_node)


_Loader.add_constructor('tag:yaml.org,2002:map', _construct_mapping)


def check_length(text: str, source: str) -> None:
  """Raises YamlSyntaxError for a text that no configuration can be.

  Args:
    text: str.
    source: what the text is called in messages.

  Raises:
    YamlSyntaxError: if it is longer than MAX_CHARACTERS.
  """
  if len(text) > MAX_CHARACTERS:
    raise YamlSyntaxError('%s: this is too long for a configuration, which has '
                          '%d characters at most.' % (source, MAX_CHARACTERS))


def parse(text: str, source: str,
          with_lines: bool = True) -> Tuple[Any, List[str]]:
  """Parses YAML text (JSON is YAML).

  Args:
    text: one document.
    source: what the text is called in messages.
    with_lines: whether the places of keys have line numbers.

  Returns:
    The data, with a `LocatedDict` for every mapping, and a list of notes.

  Raises:
    YamlSyntaxError: with the position of the mistake.
  """
  check_length(text, source)
  try:
    loader = _Loader(text, source, with_lines)
    try:
      return loader.get_single_data(), loader.notes
    finally:
      loader.dispose()
  except yaml.MarkedYAMLError as error:
    mark = error.problem_mark or error.context_mark
    raise YamlSyntaxError('%s:%d:%d: this is not valid YAML: %s.' % (
        source, mark.line + 1, mark.column + 1, error.problem))
  except (yaml.YAMLError, ValueError) as error:
    raise YamlSyntaxError('%s: this is not valid YAML: %s'
                          % (source, str(error).replace('\n', ' ')))


class _Dumper(yaml.SafeDumper):

  def ignore_aliases(self, data):
    return True


# So that text such as '1e5' is quoted: our loader would read a number.
_Dumper.add_implicit_resolver(_FLOAT_TAG, _FLOAT, _FLOAT_STARTS)
_Dumper.add_representer(list, lambda dumper, data: dumper.represent_sequence(
    'tag:yaml.org,2002:seq', data, flow_style=True))


def dump(data: Any) -> str:
  """YAML text of plain data: keys sorted, blocks, lists within a line."""
  return yaml.dump(data, Dumper=_Dumper, default_flow_style=False,
                   allow_unicode=True)
