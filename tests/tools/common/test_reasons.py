"""Errors in words."""

import errno

import pytest
import tensorflow.compat.v1 as tf

from tools.common import reasons

_TRACE = ("Graph execution error:\n\nDetected at node 'save/SaveV2' defined at "
          '(most recent call last):\n    File "main.py", line 1, in <module>\n'
          "Node: 'save/SaveV2'\n%s\n\t [[{{node save/SaveV2}}]]\nHint: Hm.")


@pytest.mark.parametrize('error, text', [
    (ValueError('There is none.'), 'There is none.'),
    (OSError(errno.EACCES, 'Permission denied', 'x'),
     "[Errno 13] Permission denied: 'x'"),
    (tf.errors.NotFoundError(None, None, _TRACE % 'x is missing'),
     'x is missing'),
    (OSError(errno.ENOSPC, 'No space left on device', 'x'),
     "A disk is full: [Errno 28] No space left on device: 'x'. Make room, and "
     'start the same command again.'),
    (tf.errors.ResourceExhaustedError(
        None, None, _TRACE % 'x/part-0; No space left on device'),
     'A disk is full: x/part-0; No space left on device. Make room, and start '
     'the same command again.')])
def test_reasons(error, text):
  assert reasons.of(error) == text
