"""Configuration files and overrides: from text to mappings, and back."""

import collections.abc
import importlib
import os
import re
from typing import Any, Dict, List, Mapping, Tuple

from configs import base
from configs import pairs
from configs import yaml_format


def read_yaml(path: str) -> Tuple[Any, List[str]]:
  """Reads a configuration file.

  Args:
    path: a local path, or a remote one such as gs://bucket/my.yaml.

  Returns:
    The content as nested `LocatedDict`s, and a list of notes.

  Raises:
    ConfigError: if there is no such file, or it is not a YAML mapping.
  """
  data, notes = yaml_format.parse(_read_text(path), path)
  return _as_mapping(data, path), notes


def _as_mapping(data, source):
  if data is None:
    raise base.ConfigError('%s: there are no keys in it.' % source)
  if not isinstance(data, dict):
    raise base.ConfigError('%s: a mapping of keys to values is expected, not '
                           'a %s.' % (source, type(data).__name__))
  return data


def _is_remote(path):
  return bool(re.match(r'[a-z][a-z0-9]*://', path))


def _read_text(path):
  if _is_remote(path):
    return _read_remote(path)
  try:
    # Editors on Windows put a byte order mark in front.
    with open(os.path.expanduser(path), encoding='utf-8-sig') as f:
      return f.read(yaml_format.MAX_CHARACTERS + 1)
  except UnicodeDecodeError:
    raise base.ConfigError('%s: this file is not text.' % path)
  except OSError as error:
    raise base.ConfigError('Cannot read the configuration file %s: %s.'
                           % (path, error.strerror or error))


def _read_remote(path):
  tf = _tensorflow()
  try:
    with tf.io.gfile.GFile(path) as f:
      return f.read(yaml_format.MAX_CHARACTERS + 1)
  except tf.errors.OpError as error:
    raise base.ConfigError('Cannot read the configuration file %s: %s'
                           % (path, error.message))


def _tensorflow():
  """TensorFlow, whose files include buckets; too slow to load for all else."""
  return importlib.import_module('tensorflow.compat.v1')


def parse_override(
    value: Any,
    source: str = '--params_override') -> Tuple[Mapping[str, Any], List[str]]:
  """Reads an override in any of its forms.

  Args:
    value: None or '' (no change); a mapping; or a string: the path of an
      existing file, `a.b=c` pairs, or YAML or JSON text, tried in that order.
    source: what the value is called in messages.

  Returns:
    {key: value}, nested, and a list of notes.

  Raises:
    ConfigError: if it is none of these, with the position of the mistake.
  """
  if value is None or value == '':
    return {}, []
  if isinstance(value, collections.abc.Mapping):
    return value, []
  if not isinstance(value, str):
    raise base.ConfigError('%s: text or a mapping is expected, got %r.'
                           % (source, value))
  yaml_format.check_length(value, source)
  if not value.strip():
    return {}, []
  if _is_file(value):
    return read_yaml(value)
  if pairs.looks_like_pairs(value):
    return pairs.parse(value, source)
  data, notes = _parse_yaml(value, source)
  if isinstance(data, str):
    raise base.ConfigError(_neither_text_nor_file(value, source))
  return _as_mapping(data, source), notes


def _parse_yaml(text, source):
  """Parsed YAML; `a: {b: 1}, c: {d: 2}` is a mapping without its braces."""
  has_lines = '\n' in text.strip()
  try:
    return yaml_format.parse(text, source, has_lines)
  except yaml_format.YamlSyntaxError:
    if not has_lines:
      try:
        parsed, notes = yaml_format.parse('{%s}' % text, source, has_lines)
        if None not in parsed.values():  # which are words without a value
          return parsed, notes
      except yaml_format.YamlSyntaxError:
        pass  # The mistake is told as it stands in the text.
    raise


def _is_file(text):
  if '\n' in text or '\0' in text:
    return False
  return _is_remote(text) or os.path.isfile(os.path.expanduser(text))


def _neither_text_nor_file(text, source):
  if '=' in text:
    return ('%s: %r is neither a file nor a list of a.b=c pairs; a key is '
            'made of letters, digits, _ and dots.' % (source, text))
  message = '%s: there is no file %r (current folder: %s)' % (
      source, text, os.getcwd())
  if text.endswith(('.yaml', '.yml', '.json')):
    return message + '.'
  return message + (', and it is not a mapping either, such as '
                    'train.total_steps=10 or {train: {total_steps: 10}}.')


def nest(changes: Mapping[str, Any]) -> Dict[str, Any]:
  """Nested blocks of {'train.total_steps': 5}; nested input stays as it is."""
  tree = {}
  for key, value in changes.items():
    block = tree
    *parents, leaf = key.split('.')
    for parent in parents:
      block = block.setdefault(parent, {})
    if isinstance(value, collections.abc.Mapping):
      block.setdefault(leaf, {}).update(nest(value))
    else:
      block[leaf] = value
  return tree


def dump_yaml(config: base.Config) -> str:
  """The complete configuration as YAML text."""
  return yaml_format.dump(base.to_dict(config))
