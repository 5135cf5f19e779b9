"""Rank correlations of the order of training with the files."""

import tensorflow.compat.v1 as tf

from configs import common
from dataloader import order_check


def _write(path, count):
  with tf.io.TFRecordWriter(str(path)) as writer:
    for i in range(count):
      writer.write(b'%06d' % i)
  return str(path)


def test_a_large_buffer_mixes_and_a_small_one_does_not(tmp_path):
  path = _write(tmp_path / 'a', 1000)
  good = order_check.measure(path, common.Train())
  assert good.num_records == 1000
  assert abs(good.with_files) < .1 and abs(good.between_epochs) < .1
  assert order_check.is_good(good)
  bad = order_check.measure(path, common.Train(shuffle_buffer_bytes=2000))
  assert bad.with_files > .9 and bad.between_epochs > .9
  assert not order_check.is_good(bad)
  assert '--num_shards' in order_check.describe(bad)
  assert 'is not random (' in order_check.describe(bad)
  assert 'is random (rank' in order_check.describe(good)


def test_too_few_records_have_no_order(tmp_path):
  assert order_check.measure(_write(tmp_path / 'a', 2), common.Train()) is None
  order = order_check.measure(_write(tmp_path / 'b', 5), common.Train())
  assert order_check.is_good(order)
  assert 'is random, as far as 5 records show (' in order_check.describe(order)
