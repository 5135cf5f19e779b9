"""What a request is refused with."""

import json
from typing import Dict

import tensorflow.compat.v1 as tf

from ops import compat

RETRY_AFTER_S = 1  # what a client is asked to wait when there is no room

# TensorFlow Serving's table, util/net_http and http_rest_api_util.
_STATUS_OF_CODE = {
    tf.errors.CANCELLED: 499, tf.errors.INVALID_ARGUMENT: 400,
    tf.errors.DEADLINE_EXCEEDED: 504, tf.errors.NOT_FOUND: 404,
    tf.errors.ALREADY_EXISTS: 409, tf.errors.PERMISSION_DENIED: 403,
    tf.errors.RESOURCE_EXHAUSTED: 429, tf.errors.FAILED_PRECONDITION: 400,
    tf.errors.ABORTED: 409, tf.errors.OUT_OF_RANGE: 400,
    tf.errors.UNIMPLEMENTED: 501, tf.errors.UNAVAILABLE: 503,
    tf.errors.UNAUTHENTICATED: 401}


class RequestError(Exception):
  """A request that is answered with an error.

  Attributes:
    status: int, of HTTP.
    reason: str, a word for the metrics.
  """

  def __init__(self, message: str, status: int = 400,
               reason: str = 'bad_request') -> None:
    super().__init__(message)
    self.status, self.reason = status, reason

  def headers(self) -> Dict[str, str]:
    """{name: value} beside the body."""
    return ({'Retry-After': str(RETRY_AFTER_S)} if self.status == 503 else {})


def overloaded(message: str, reason: str) -> RequestError:
  """The RequestError of a server that has no room now."""
  return RequestError(message, 503, reason)


def of_exception(error: BaseException) -> RequestError:
  """The RequestError for whatever answering raised."""
  if isinstance(error, RequestError):
    return error
  if isinstance(error, tf.errors.OpError):
    return RequestError(compat.error_reason(error.message),
                        _STATUS_OF_CODE.get(error.error_code, 500), 'model')
  if isinstance(error, MemoryError):
    return overloaded('There is not enough memory for the request now.',
                      'memory')
  return RequestError('Internal error: %s.' % type(error).__name__, 500,
                      'internal')


def body(message: str) -> str:
  """The JSON text that TensorFlow Serving answers errors with."""
  return json.dumps({'error': message})
