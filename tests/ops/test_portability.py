"""Tests of operations that other programs know."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ops import portability


@pytest.mark.one_runtime('tf2')
@pytest.mark.parametrize('last', [0, 1, 6, 90])
def test_clipped_indices_are_in_every_converter(last):
  """With 7 classes, indices were Relu6 of integers, which TFLite lacks."""
  values = np.array([-3, 0, 1, 6, 7, 100], np.int32)
  with tf.Graph().as_default(), tf.Session() as session:
    fed = tf.placeholder(tf.int32, values.shape)
    content = tf.lite.TFLiteConverter.from_session(
        session, [fed], [portability.clip_indices(fed, last) * 2]).convert()
  interpreter = tf.lite.Interpreter(model_content=content)
  interpreter.allocate_tensors()
  interpreter.set_tensor(interpreter.get_input_details()[0]['index'], values)
  interpreter.invoke()
  np.testing.assert_array_equal(
      interpreter.get_tensor(interpreter.get_output_details()[0]['index']),
      2 * np.clip(values, 0, last))
