"""What the server tells Prometheus."""

from typing import Callable

import prometheus_client

# Seconds.
_LATENCIES = (.005, .01, .025, .05, .1, .25, .5, 1., 2.5, 5., 10., 30., 60.)
_BATCHES = (1, 2, 4, 8, 16, 32, 64, 128)
CONTENT_TYPE = prometheus_client.CONTENT_TYPE_LATEST


class Metrics:
  """Counters of one server, in a registry of its own."""

  def __init__(self, model_name: str, version: str) -> None:
    """Sets all of them to zero.

    Args:
      model_name: str, a label of each.
      version: str, likewise.
    """
    self.registry = prometheus_client.CollectorRegistry()
    prometheus_client.ProcessCollector(registry=self.registry)
    labels = ('model_name', 'version')
    values = (model_name, version)

    def make(kind, name, text, more=(), **options):
      metric = kind('vision_serving_' + name, text, labels + more,
                    registry=self.registry, **options)
      return metric if more else metric.labels(*values)
    counter, gauge = prometheus_client.Counter, prometheus_client.Gauge
    histogram = prometheus_client.Histogram
    self._values = values
    self._requests = make(counter, 'requests', 'Answers, by HTTP status.',
                          ('method', 'status'))
    self._refused = make(counter, 'refused', 'Requests that were refused, by '
                         'reason.', ('reason',))
    self._latency = make(histogram, 'request_seconds', 'From the first byte of '
                         'a request to its answer.', ('method',),
                         buckets=_LATENCIES)
    self._rows = make(counter, 'rows', 'Rows that the network answered.')
    self._batches = make(histogram, 'batch_rows', 'Rows of a run of the '
                         'network.', buckets=_BATCHES)
    self._run = make(histogram, 'run_seconds', 'Time of a run of the network.',
                     buckets=_LATENCIES)
    self._gauges = {
        'requests_inside': make(gauge, 'requests_inside',
                                'Requests that are read, wait or are answered.'
                                ),
        'queue': make(gauge, 'queue_requests', 'Requests that wait for the '
                      'network.'),
        'bytes': make(gauge, 'body_bytes', 'Bytes of bodies that are held.')}

  def answered(self, method: str, status: int, seconds: float) -> None:
    """Counts an answer.

    Args:
      method: str, what was asked for: predict, classify, page and the like.
      status: int, of HTTP.
      seconds: float.
    """
    self._requests.labels(*self._values, method, str(status)).inc()
    self._latency.labels(*self._values, method).observe(seconds)

  def refused(self, reason: str) -> None:
    """Counts a refusal; `reason` is that of a RequestError."""
    self._refused.labels(*self._values, reason).inc()

  def batch(self, rows: int, seconds: float) -> None:
    """Counts a run of the network."""
    self._rows.inc(rows)
    self._batches.observe(rows)
    self._run.observe(seconds)

  def watch(self, **functions: Callable[[], float]) -> None:
    """Sets gauges ('requests_inside', 'queue', 'bytes') to functions."""
    for name, function in functions.items():
      self._gauges[name].set_function(function)

  def text(self) -> bytes:
    """bytes, in the text format of Prometheus."""
    return prometheus_client.generate_latest(self.registry)
