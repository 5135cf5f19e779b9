"""Turns an error of a running input pipeline into a sentence.

A graph knows neither the file nor the record it was working on, so the record
is searched for after the failure; as long as all goes well, this costs nothing.
"""

import contextlib
import logging
import re

import tensorflow.compat.v1 as tf
import tqdm

from dataloader import example_decoder
from dataloader import examples
from dataloader import record_files
from dataloader import segmentation
from dataloader import sessions
from ops import compat

_PROGRESS_AFTER = 5  # seconds; a shorter search shows nothing
_ASSERTION = re.compile(r'assertion failed: \[(Image .*?)\](?:\s|$)', re.DOTALL)


class InputError(ValueError):
  """A record that stopped the input, with its file or its id."""


@contextlib.contextmanager
def explained_errors(files, parsers=None):
  """A context in which errors of broken records name file and record.

  Args:
    files: [path] of the records that are being read.
    parsers: {path: dataloader.parser.Parser} of those that read them: what can
      be decoded may still stop its parser. None: it stops none.

  Raises:
    InputError: instead of what a broken record of `files` raises.
  """
  try:
    yield
  except (tf.errors.DataLossError, tf.errors.InvalidArgumentError) as e:
    explanation = explain(e.message, files, parsers)
    if explanation is None:
      raise
    raise InputError(explanation) from e
  except UnicodeDecodeError as e:
    # TensorFlow failed to report an error that quotes the bytes of a record.
    explanation = _search(files, parsers)
    if explanation is None:
      raise
    raise InputError(explanation) from e


def explain(message, files, parsers=None):
  """Finds out what was wrong with the input.

  Args:
    message: str, of the error that stopped reading, training or evaluation.
    files: [path] of the records that were being read.
    parsers: see `explained_errors`.

  Returns:
    str, or None if the input is not the cause.
  """
  # Checks of the parsers name the image themselves.
  assertion = _ASSERTION.search(message)
  if assertion:
    return assertion.group(1)
  # A dataset passes on the errors of its functions through this operation.
  return _search(files, parsers) if compat.NEXT_BATCH in message else None


def _search(files, parsers=None):
  """`find_broken_record` with an announcement, as it may take a while."""
  logging.warning('A record cannot be read. Looking for it in %d files ...',
                  len(files))
  try:
    return find_broken_record(files, parsers)
  except record_files.RecordError as e:
    return str(e)


def find_broken_record(files, parsers=None):
  """Reads, decodes and parses record by record until one fails.

  Args:
    files: [path].
    parsers: see `explained_errors`.

  Returns:
    str naming file, record and id, or None when all can be decoded.

  Raises:
    RecordError: for a file that is damaged or cut off.
  """
  with tf.Graph().as_default(), sessions.make() as session:
    serialized = tf.placeholder(tf.string, [])
    image = tf.shape(example_decoder.ExampleDecoder().decode(
        serialized)['image'])
    # A fault here only stops a model with masks, or one of segmentation.
    parts = {
        'image/object/mask': tf.shape(example_decoder.ExampleDecoder(
            include_mask=True).decode(serialized)['groundtruth_instance_masks']),
        segmentation.CLASSES_KEY: segmentation.classes_size(
            serialized)}
    parsed = {parser: _parsed(parser, serialized)
              for parser in set((parsers or {}).values())}
    of_masks = None
    for path, number, record in tqdm.tqdm(
        record_files.iterate(files), unit=' records', delay=_PROGRESS_AFTER):
      where = '%s: record %d (counting from 0)' % (path, number)
      try:
        name = _name(record)
      except examples.ExampleError as e:
        return '%s %s' % (where, e)
      sentence = where + ', ' + name + ', cannot be decoded: %s'
      broken = _first_line_of_error(session, image, {serialized: record})
      if broken:
        return sentence % broken
      of_record = _broken_part(session, parts, {serialized: record})
      of_record = of_record and sentence % of_record
      parser = (parsers or {}).get(path)
      broken = parser and _first_line_of_error(session, parsed[parser],
                                               {serialized: record})
      if broken:
        return of_record or '%s, %s, cannot be used: %s' % (where, name, broken)
      of_masks = of_masks or of_record
  return of_masks


def _broken_part(session, parts, feed):
  """'key: what is wrong' of the first of {key: tensor} that fails, or None."""
  for key, part in parts.items():
    broken = _first_line_of_error(session, part, feed)
    if broken:
      return '%s: %s' % (key, broken)
  return None


def _parsed(parser, serialized):
  """What a parser makes of a record, as a list of tensors.

  TensorFlow leaves out operations whose results nobody takes.
  """
  if parser.needs_source:  # The record stands for that to paste from, too.
    serialized = (serialized, serialized)
  example = parser(serialized, seed=tf.constant([0, 0], tf.int64))
  return tf.nest.flatten(example)


def _first_line_of_error(session, tensor, feed):
  """What is wrong with a record, or None when it can be decoded."""
  try:
    session.run(tensor, feed)
  except tf.errors.OpError as e:
    return compat.error_reason(e.message)
  return None


def _name(record):
  """'image/source_id 7, image/filename a.jpg' of a record, as far as known."""
  features = examples.features_of(record)
  names = []
  for key in ('image/source_id', 'image/filename'):
    values = features[key].bytes_list.value
    if values:
      names.append('%s %s' % (key, values[0].decode('utf-8', 'replace')))
  return ', '.join(names) or 'without an id'
