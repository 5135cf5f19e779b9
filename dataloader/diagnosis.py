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

# Distinguishes an error of the pipeline from one of the model: a dataset passes
# on the errors of its functions through this operation.
_PIPELINE_OP = 'IteratorGetNext'
_PROGRESS_AFTER = 5  # seconds; a shorter search shows nothing
_ASSERTION = re.compile(r'assertion failed: \[(Image .*?)\](?:\s|$)', re.DOTALL)


class InputError(ValueError):
  """A record that stopped the input, with its file or its id."""


@contextlib.contextmanager
def explained_errors(files):
  """Raises InputError instead of what a broken record of `files` raises.

  Args:
    files: [path] of the records that are being read.
  """
  try:
    yield
  except (tf.errors.DataLossError, tf.errors.InvalidArgumentError) as e:
    explanation = explain(e.message, files)
    if explanation is None:
      raise
    raise InputError(explanation) from e
  except UnicodeDecodeError as e:
    # TensorFlow failed to report an error that quotes the bytes of a record.
    explanation = _search(files)
    if explanation is None:
      raise
    raise InputError(explanation) from e


def explain(message, files):
  """Finds out what was wrong with the input.

  Args:
    message: str, of the error that stopped reading, training or evaluation.
    files: [path] of the records that were being read.

  Returns:
    str, or None if the input is not the cause.
  """
  # Checks of the parsers name the image themselves.
  assertion = _ASSERTION.search(message)
  if assertion:
    return assertion.group(1)
  return _search(files) if _PIPELINE_OP in message else None


def _search(files):
  """`find_broken_record` with an announcement, as it may take a while."""
  logging.warning('A record cannot be read. Looking for it in %d files ...',
                  len(files))
  try:
    return find_broken_record(files)
  except record_files.RecordError as e:
    return str(e)


def find_broken_record(files):
  """Reads and decodes record by record until one fails.

  Args:
    files: [path].

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
      for key, part in parts.items():
        if not of_masks:
          broken = _first_line_of_error(session, part, {serialized: record})
          of_masks = broken and sentence % ('%s: %s' % (key, broken))
  return of_masks


def _first_line_of_error(session, tensor, feed):
  """What is wrong with a record, or None when it can be decoded."""
  try:
    session.run(tensor, feed)
  except (tf.errors.InvalidArgumentError, tf.errors.DataLossError) as e:
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
