"""Tests of dataloader/examples.py."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from dataloader import examples
from tests.dataloader import examples as records

_FEATURES = {'image/encoded': tf.FixedLenFeature([], tf.string),
             'image/object/class/label': tf.VarLenFeature(tf.int64)}


def _example(seed=0, length=60):
  rng = np.random.RandomState(seed)
  return records.serialize(encoded=rng.bytes(length), boxes=[[0, 0, 1, 1]] * 3,
                           classes=[1, 2, 300], mask_pngs=[rng.bytes(9)] * 3)


@pytest.fixture(name='parse')
def _parse():
  """(bytes) -> {key: value}, of one graph."""
  with tf.Graph().as_default(), tf.Session() as session:
    serialized = tf.placeholder(tf.string, [])
    parsed = examples.parse(serialized, _FEATURES)
    yield lambda record: session.run(parsed, {serialized: record})


@pytest.mark.parametrize('length', [
    0, 1, 100, 127, 128, 129, 16383, 16384, 1 << 21])
def test_examples_of_any_length(parse, length):
  """Lengths are stored in one byte more from 128, 16384, 2097152 on."""
  parsed = parse(_example(length=length))
  assert len(parsed['image/encoded']) == length
  assert parsed['image/object/class/label'].values.tolist() == [1, 2, 300]


@pytest.mark.parametrize('record', [
    b'', b'\xff\xd8\xff\xe0\x00\x10JFIF', b'no example', _example()[:150],
    _example()[:5], _example() + b'\xfe', b'\n\x02\x18D',
    records.encode(records.image(8, 8))])
def test_other_bytes_are_an_error(parse, record):
  """TF 1.15 ended in a segmentation fault."""
  with pytest.raises((tf.errors.DataLossError,
                      tf.errors.InvalidArgumentError)):
    parse(record)
  with pytest.raises(examples.ExampleError):
    examples.features_of(record)


def test_damaged_records_never_end_the_process(parse):
  """Random bytes changed, records cut off."""
  rng = np.random.RandomState(1)
  whole, num_errors = _example(), 0
  for i in range(300):
    record = bytearray(whole)
    for _ in range(rng.randint(1, 4)):
      record[rng.randint(len(record))] = rng.randint(256)
    if i % 5 == 0:
      record = record[:rng.randint(len(record))]
    try:
      parse(bytes(record))
    except (tf.errors.DataLossError, tf.errors.InvalidArgumentError):
      num_errors += 1
  assert num_errors > 50
