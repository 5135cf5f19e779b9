"""Frozen configuration sections: strict overrides, errors, plain dicts.

A section is a frozen dataclass whose fields are scalars, tuples or further
sections. Nothing changes one; `override` makes another.
"""

import collections.abc
import dataclasses
import difflib
import functools
import re
import typing
from typing import Any, Dict, Iterable, Mapping, Optional, Sequence

from configs import values

_MAX_SENTENCE = 2000  # characters

# A frozen dataclass with keys; a block of a YAML file.
Section = Any
# The whole configuration: configs.experiment.Experiment with the sections of a
# model, which differ, so that mypy cannot know them.
Config = Any


class ConfigError(ValueError):
  """Mistakes in a configuration, in words for its author."""

  def __init__(self, *problems: str) -> None:
    """Takes a sentence, or one for each of several mistakes."""
    problems = tuple(map(_shortened, problems))
    self.problems = problems
    super().__init__(problems[0] if len(problems) == 1 else '\n  '.join(
        ('%d things are wrong with the configuration:' % len(problems),)
        + problems))


def _shortened(problem):
  """A sentence without the middle of a value that fills pages."""
  if len(problem) <= _MAX_SENTENCE:
    return problem
  half = _MAX_SENTENCE // 2
  return '%s [%d characters left out] %s' % (
      problem[:half], len(problem) - 2 * half, problem[-half:])


class LocatedDict(dict):
  """A mapping that knows where each of its keys was written."""

  def __init__(self, items: Any = (),
               places: Optional[Dict[Any, str]] = None) -> None:
    super().__init__(items)
    self.places = places or {}  # {key: such as 'my.yaml:12'}

  def where(self, key: Any) -> str:
    return self.places.get(key, '')


def option(default: Any, choices: Optional[Sequence[Any]] = None,
           at_least: Optional[float] = None, above: Optional[float] = None,
           at_most: Optional[float] = None, below: Optional[float] = None,
           pattern: bool = False, inert: Optional[str] = None) -> Any:
  """A field with more to check than its type.

  Args:
    default: the value of the field; immutable.
    choices: the values that are allowed (besides None if the type has it).
    at_least: smallest number; for a list, of each element.
    above: the number must be greater than this.
    at_most: greatest number.
    below: the number must be less than this.
    pattern: whether the text must be a valid regular expression.
    inert: for a key that has no effect: what decides instead.

  Returns:
    A dataclass field.
  """
  return dataclasses.field(default=default, metadata={
      'choices': choices, 'at_least': at_least, 'above': above,
      'at_most': at_most, 'below': below, 'pattern': pattern,
      'inert': inert})


def override(section: Section, changes: Any, path: str = '',
             source: str = '') -> Section:
  """Applies changes to a section, strictly.

  Args:
    section: a frozen dataclass.
    changes: {key: value}; a dict for a section, in which keys may be missing.
    path: dotted name of the section, for messages.
    source: where the changes come from, for messages; the places of a
      `LocatedDict` are more exact and go first.

  Returns:
    A new section of the same class.

  Raises:
    ConfigError: naming every unknown key and every value of a wrong type or
      out of range.
  """
  return _override(section, changes, path, source, section)


def _override(section, changes, path, source, root):
  if not isinstance(changes, collections.abc.Mapping):
    raise ConfigError('%s must be a block of keys, got %s.' % (
        _subject(path or 'the configuration', source),
        values.describe_value(changes)))
  replaced, problems = {}, []
  for key, value in changes.items():
    place = getattr(changes, 'where', lambda _: '')(key) or source
    try:
      replaced[key] = _replacement(section, key, value, path, place, root)
    except ConfigError as error:
      problems += error.problems
  if problems:
    raise ConfigError(*problems)
  return dataclasses.replace(section, **replaced)


def _replacement(section, key, value, path, place, root):
  """The new value of a key: a checked value, or a changed block."""
  fields = {f.name: f for f in dataclasses.fields(section)}
  if key not in fields:
    raise ConfigError(_unknown_key(root, section, path, key, place))
  name, kind = _join(path, key), type_hints(type(section))[key]
  block = _section_class(kind)
  if block is None:
    return _checked(value, kind, fields[key], name, place)
  if value is None and _is_optional(kind):
    return None
  # An optional block that is off starts from its own defaults.
  old = getattr(section, key)
  return _override(block() if old is None else old, value, name, place, root)


@functools.lru_cache(maxsize=None)
def type_hints(section_class: type) -> Dict[str, Any]:
  """{field name: type} of a section class."""
  return typing.get_type_hints(section_class)


def _is_optional(kind):
  return (getattr(kind, '__origin__', None) is typing.Union
          and type(None) in kind.__args__)


def _section_class(kind):
  """The dataclass of a field's type, or None for plain values."""
  kinds = kind.__args__ if _is_optional(kind) else (kind,)
  return next((k for k in kinds if dataclasses.is_dataclass(k)), None)


def _join(path, key):
  return '%s.%s' % (path, key) if path else str(key)


def _subject(name, place):
  return '%s: %r' % (place, name) if place else repr(name)


def _checked(value, kind, field, name, place):
  """The value as the type of the field, once its limits are checked."""
  subject = _subject(name, place)
  choices = field.metadata.get('choices')
  if value is None and field.default == '' and not _is_optional(kind):
    value = ''  # `val_json_file:` without a value.
  if choices and isinstance(choices[0], str) and type(value) is int:
    value = str(value)  # spinenet.model_id=96
  try:
    value = values.coerce(value, kind)
  except values.WrongType:
    raise ConfigError('%s must be %s, got %s.%s' % (
        subject, values.describe_type(kind), values.describe_value(value),
        _type_hint(value, kind)))
  if value is None:
    return None
  if choices and value not in choices:
    raise ConfigError('%s must be one of %s; got %r.%s' % (
        subject, ', '.join(repr(c) for c in choices), value,
        did_you_mean(value, choices)))
  _check_range(value, field.metadata, subject)
  if field.metadata.get('pattern'):
    try:
      re.compile(value)
    except re.error as error:
      raise ConfigError('%s is not a valid regular expression: %r (%s).'
                        % (subject, value, error))
  return value


def _type_hint(value, kind):
  if value in ('None', 'none') and _is_optional(kind):
    return ' Write null for none.'
  if isinstance(value, (int, float)) and kind in (str, typing.Optional[str]):
    return ' In quotes it is text.'
  return ''


def _check_range(value, limits, subject):
  if isinstance(value, str):  # Where a key takes numbers or a word.
    return
  for number in value if isinstance(value, tuple) else (value,):
    for limit, holds, words in (
        ('at_least', lambda x, y: x >= y, 'at least'),
        ('above', lambda x, y: x > y, 'greater than'),
        ('at_most', lambda x, y: x <= y, 'at most'),
        ('below', lambda x, y: x < y, 'less than')):
      bound = limits.get(limit)
      if bound is not None and not holds(number, bound):
        raise ConfigError('%s must be %s %s, got %s.' % (
            subject, words, bound, values.describe_value(value)))


def did_you_mean(word: Any, candidates: Iterable[Any]) -> str:
  """A question naming the nearest candidates; '' if none is near."""
  close = difflib.get_close_matches(
      str(word), [str(c) for c in candidates if c], n=3, cutoff=0.6)
  return ' Did you mean %s?' % ' or '.join(map(repr, close)) if close else ''


def _unknown_key(root, section, path, key, place):
  """The message for a key that the section does not have."""
  message = 'unknown key %r' % _join(path, key)
  if place:
    message = '%s: %s' % (place, message)
  if isinstance(key, str) and '.' in key:
    parts = key.split('.')
    nested = '%s: ...%s' % (': {'.join(parts), '}' * (len(parts) - 1))
    return ('%s: dotted keys work in a.b=c pairs; in YAML blocks are nested, '
            'as in {%s}.' % (message, nested))
  names = [f.name for f in dataclasses.fields(section)]
  nearest = _nearest_keys(root, names, path, str(key))
  if nearest:
    return '%s; did you mean %s?' % (message, ' or '.join(map(repr, nearest)))
  return '%s; the keys here are: %s.' % (message, ', '.join(sorted(names)))


def _nearest_keys(root, siblings, path, key):
  """Up to three dotted keys that an unknown one may stand for."""
  leaves = list(flatten(root))
  same_name = [n for n in leaves if n.split('.')[-1] == key]
  if same_name:  # The right key under the wrong block; nearby blocks first.
    return sorted(same_name, key=lambda n: not n.startswith(path))[:3]
  close = difflib.get_close_matches(key, siblings, n=3, cutoff=0.6)
  if close:
    return [_join(path, name) for name in close]
  return [n for n in leaves if difflib.get_close_matches(
      key, [n.split('.')[-1]], cutoff=0.8)][:3]


def to_dict(section: Section) -> Dict[str, Any]:
  """The section as nested plain dicts; tuples become lists."""
  return {f.name: _plain(getattr(section, f.name))
          for f in dataclasses.fields(section)}


def _plain(value):
  if dataclasses.is_dataclass(value):
    return to_dict(value)
  if isinstance(value, tuple):
    return [_plain(v) for v in value]
  return value


def flatten(section: Section, path: str = '') -> Dict[str, Any]:
  """{dotted key: value} of all leaves of a section, in order of fields."""
  leaves = {}
  for field in dataclasses.fields(section):
    value, name = getattr(section, field.name), _join(path, field.name)
    if dataclasses.is_dataclass(value):
      leaves.update(flatten(value, name))
    else:
      leaves[name] = value
  return leaves


def flatten_mapping(changes: Mapping[str, Any],
                    path: str = '') -> Dict[str, Any]:
  """{dotted key: value} of the leaves of nested mappings."""
  leaves = {}
  for key, value in changes.items():
    if isinstance(value, collections.abc.Mapping):
      leaves.update(flatten_mapping(value, _join(path, key)))
    else:
      leaves[_join(path, key)] = value
  return leaves


def lookup(config: Config, name: str) -> Any:
  """The value under a dotted key; AttributeError if there is none."""
  for part in name.split('.'):
    config = getattr(config, part)
  return config


def inert_notes(section: Section, path: str = '') -> Dict[str, str]:
  """{dotted key: note} of every key that is set although it has no effect."""
  notes = {}
  for field in dataclasses.fields(section):
    value, name = getattr(section, field.name), _join(path, field.name)
    if dataclasses.is_dataclass(value):
      notes.update(inert_notes(value, name))
    elif field.metadata.get('inert') and value != field.default:
      notes[name] = '%s: %r has no effect: %s.' % (
          name, _plain(value), field.metadata['inert'])
  return notes
