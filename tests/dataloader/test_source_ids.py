"""Ids of images: numbers stay, other strings are hashed."""

import tensorflow.compat.v1 as tf

from dataloader import source_ids


def test_decimal_strings_are_numbers():
  largest = str(2**63 - 1)
  assert source_ids.to_ints(['0', '42', '000000397133', largest]) == [
      0, 42, 397133, 2**63 - 1]


def test_other_strings_are_hashed():
  strings = ['BloodImage_00001', '', '-1', '1.5', ' 7', str(2**63), '9' * 30]
  ids = source_ids.to_ints(strings)
  assert all(0 <= i < 2**63 for i in ids)
  assert len(set(ids)) == len(ids)
  assert ids == source_ids.to_ints(strings)


def test_hash_is_the_published_one():
  # farmhash fingerprint64 modulo 2**63 - 1, as TensorFlow computes it.
  with tf.Session() as session:
    expected = session.run(
        tf.strings.to_hash_bucket_fast('img_a', 2**63 - 1))
  assert source_ids.to_ints(['img_a']) == [expected]


def test_no_ids():
  assert source_ids.to_ints([]) == []


def test_graph_and_python_agree_on_a_scalar():
  with tf.Session() as session:
    value = session.run(source_ids.to_int64(tf.constant('img_a')))
  assert [value] == source_ids.to_ints(['img_a'])
