"""How much memory a training graph takes on a CPU, estimated before it runs.

A process that takes more than the machine has is killed without a word. The
graph tells beforehand how large its tensors are, and which of them are held at
the same time; what else a process takes was measured, see docs/reliability.md.
"""

import collections
from typing import Any, Callable, Dict, NamedTuple, Optional, Sequence, Tuple

import tensorflow.compat.v1 as tf

from configs import base
from dataloader import file_patterns
from executor import devices
from executor import errors
from executor import estimator as estimator_lib
from executor import usage
from modeling import storage

# Operations whose output is their first input, under another shape or name.
_SAME = frozenset([
    'Identity', 'Reshape', 'Squeeze', 'ExpandDims', 'StopGradient',
    'PreventGradient', 'CheckNumerics', 'EnsureShape', 'Bitcast'])
# Operations that write to the memory of an input that nobody needs later.
_IN_PLACE = frozenset([
    'Add', 'AddV2', 'AddN', 'Sub', 'Mul', 'RealDiv', 'Maximum', 'Minimum',
    'BiasAdd', 'Relu', 'Relu6', 'ReluGrad', 'Relu6Grad', 'Sigmoid',
    'SigmoidGrad', 'Tanh', 'TanhGrad', 'Exp', 'Log', 'Log1p', 'Neg', 'Square',
    'Sqrt', 'Rsqrt', 'Abs', 'Pow', 'Softplus', 'SoftplusGrad', 'Softmax',
    'Select', 'SelectV2', 'FusedBatchNormV2', 'FusedBatchNormV3',
    'SquaredDifference', 'Elu', 'EluGrad', 'Sign', 'Floor', 'Round'])
# Measured, beyond the tensors: what the allocator and single operations take,
# as a share, and what TensorFlow takes for a graph and its threads, in bytes.
_OVERHEAD, _BASE = 1.15, 2.**29
_PREFETCHED = 3  # batches that are made before they are needed
_UNCERTAINTY = 1.25  # of the estimate; up to 1.12 was measured
# Fewer classes are not what fills a machine, and their number may be that of
# the features of a layer by chance.
MANY_CLASSES = 1000
_GIB = 2. ** 30
_SOURCES = frozenset(['IteratorGetNext', 'Placeholder'])


class Preflight(tf.train.SessionRunHook):
  """Compares the training graph with the memory of the machine.

  For training on the CPU of one machine; it tells what it expects, once, and
  refuses only where not even the variables find room.
  """

  def __init__(self, config: base.Config) -> None:
    """Keeps the experiment."""
    self._config = config
    self._is_done = False

  def begin(self) -> None:
    """Raises errors.SetupError if the variables alone take too much."""
    room = usage.available()
    if room is None or self._is_done:
      return
    self._is_done = True
    estimate = peak(tf.get_default_graph(),
                    self._config.architecture.num_classes)
    warning = check(self._config, estimate, room, _records(self._config))
    tf.logging.info('%s', describe(estimate, room))
    if warning:
      tf.logging.warning('%s', warning)


def make_hooks(
    config: base.Config, cluster: Any
) -> Tuple[Callable[[base.Config], tf.train.SessionRunHook], ...]:
  """The argument `make_hooks` of loops.train, for all starts of a job.

  Args:
    config: experiment.
    cluster: executor.cluster.Cluster, or None.

  Returns:
    A function that returns the same Preflight at each call; none where a job
    does not train on the CPU of one machine, for which this was measured.
  """
  if config.use_tpu or cluster or devices.gpu_names():
    return ()
  hook = Preflight(config)
  return (lambda _: hook,)


class Peak(NamedTuple):
  """What a graph holds at once when its operations run one after the other.

  Attributes:
    variables: bytes of all variables, those of the optimizer included.
    gradients: bytes of the gradients, as many as those of the weights.
    batch: bytes of what the input returns.
    tensors: bytes of the tensors that are held at the worst moment, the batch
      included, variables not.
    class_variables: bytes of those of the variables that grow with the number
      of classes, if it is a large one.
    class_tensors: the same of the tensors.
  """
  variables: int
  gradients: int
  batch: int
  tensors: int
  class_variables: int = 0
  class_tensors: int = 0


def needed(estimate: Peak, records: int = 0) -> float:
  """Bytes that a process is going to take beyond what it takes before it runs.

  Args:
    estimate: Peak.
    records: bytes of encoded records that are kept.
  """
  return (_BASE + estimate.variables + _OVERHEAD * estimate.tensors
          + _PREFETCHED * estimate.batch + records)


def check(config: base.Config, estimate: Peak, room: int,
          records: int = 0) -> Optional[str]:
  """Compares an estimate with the memory that is available.

  Args:
    config: experiment.
    estimate: Peak of its training graph.
    room: bytes.
    records: bytes of encoded records that are kept.

  Returns:
    A sentence to warn with; None if everything should fit.

  Raises:
    errors.SetupError: if the variables alone do not fit, or what does not is
      for the most part due to a large number of classes.
  """
  if estimate.variables > room:
    raise errors.SetupError(
        'The weights and what the optimizer keeps take %.1f GiB, and %.1f GiB '
        'of memory are available. Use a machine with more memory or a smaller '
        'model, or end other programs.%s' % (
            estimate.variables / _GIB, room / _GIB, _about_classes(
                config, estimate.class_variables, estimate.variables)))
  wanted = needed(estimate, records)
  if wanted <= room:
    return None
  about_classes = _about_classes(
      config, estimate.class_variables + estimate.class_tensors,
      estimate.variables + estimate.tensors)
  if about_classes and wanted > _UNCERTAINTY * room:
    raise errors.SetupError(
        'Training is going to take about %.1f GiB of memory, and %.1f GiB are '
        'available.%s' % (wanted / _GIB, room / _GIB, about_classes))
  size = estimator_lib.replica_batch_size(config, 1)
  fixed = estimate._replace(batch=0, tensors=estimate.gradients)
  for_images = room - needed(fixed, records)
  of_an_image = (needed(estimate) - needed(fixed)) / size
  return _advice(config, wanted, room, int(max(0, for_images) / of_an_image)
                 ) + about_classes


def _about_classes(config, of_classes, total):
  """A sentence, if most of so many bytes is due to the classes; else ''."""
  if 2 * of_classes < total or not total:
    return ''
  return (' %.1f GiB of it are due to architecture.num_classes: %d, as every '
          'number up to it has its own outputs. Set it to the highest class id '
          '+ 1; converters number ids that are far apart from 1 on '
          '(--class_ids=renumber).' % (
              of_classes / _GIB, config.architecture.num_classes))


def _advice(config, wanted, room, fitting):
  """The warning; fitting: images at once that fit."""
  train = config.train
  batch, parts = train.train_batch_size, train.accumulation_steps
  remedies = ['smaller images (%s.output_size)' % config.architecture.parser]
  if fitting:
    remedies.insert(0, 'train.train_batch_size: %d' % (fitting * parts))
    more = [n for n in range(parts + 1, batch + 1)
            if batch % n == 0 and batch // n <= fitting]
    if more:
      remedies.insert(0, 'train.accumulation_steps: %d (the same batch, in '
                      'parts)' % more[0])
  if not train.recompute_activations:
    remedies.append('train.recompute_activations: true')
  return ('Training is going to take about %.1f GiB of memory, and %.1f GiB '
          'are available: the system may kill it without a message. %s images '
          'at once (train.train_batch_size in train.accumulation_steps parts) '
          'should fit, of %d. Remedies: %s.' % (
              wanted / _GIB, room / _GIB, fitting or 'No', batch // parts,
              '; '.join(remedies)))


def describe(estimate: Peak, room: int) -> str:
  """One line about an estimate; room: bytes that are available."""
  return ('Memory: training is going to take about %.1f GiB (%.1f GiB of it '
          'weights and what the optimizer keeps); %.1f GiB are available.' % (
              needed(estimate) / _GIB, estimate.variables / _GIB, room / _GIB))


def _records(config):
  """Bytes of encoded records that training keeps, at most."""
  train = config.train
  try:
    paths = file_patterns.expand(train.train_file_pattern,
                                 'train.train_file_pattern')
  except ValueError:
    return 0  # Reading them says so.
  sizes = [tf.gfile.Stat(path).length for path in paths
           if not storage.is_remote(path)]
  # Of a bucket, which may have thousands, none is asked for.
  known = sum(sizes) if len(sizes) == len(paths) else train.shuffle_buffer_bytes
  return known if train.cache_records else min(known,
                                               train.shuffle_buffer_bytes)


def peak(graph: tf.Graph, num_classes: int = 0) -> Peak:
  """The memory of a training graph, from the static shapes of its tensors.

  Tensors are made in the order in which the graph was built, and live until
  their last use, as the executor of TensorFlow does it with few threads. What
  depends on the batch counts; tensors of unknown shape count nothing, nor does
  what single operations need while they run.

  Args:
    graph: of training, complete.
    num_classes: of the model.

  Returns:
    Peak.
  """
  operations = _of_the_batch(graph)
  with graph.as_default():
    variables, weights = tf.global_variables(), tf.trainable_variables()
  tensors, class_tensors = _most_held(operations, num_classes)
  return Peak(sum(map(_size, variables)), sum(map(_size, weights)),
              sum(_size(t) for op in operations if op.type in _SOURCES
                  for t in op.outputs), tensors,
              sum(_size(v) for v in variables
                  if _is_of_classes(v, num_classes)),
              class_tensors)


def _is_of_classes(tensor, num_classes):
  """Whether a tensor or variable has a value, or several, for each class."""
  if num_classes < MANY_CLASSES or not tensor.shape.ndims:
    return False
  last = tensor.shape.as_list()[-1]
  return bool(last) and last % num_classes == 0


def _of_the_batch(graph):
  """The operations that depend on the input, in the order they were made."""
  operations = graph.get_operations()
  reached = {op for op in operations if op.type in _SOURCES}
  pending = list(reached)
  while pending:
    for tensor in pending.pop().outputs:
      for op in tensor.consumers():
        if op not in reached:
          reached.add(op)
          pending.append(op)
  return [op for op in operations if op in reached]


def _most_held(operations: Sequence[tf.Operation],
               num_classes: int) -> Tuple[int, int]:
  """Bytes after one of the operations: the most held, and those of classes."""
  roots = _roots(operations)
  held: Dict[str, int] = {}
  of_classes: Dict[str, int] = {}
  ends = _last_uses(operations, roots)
  now = of_classes_now = 0
  most = (0, 0)
  for i, op in enumerate(operations):
    inputs = {roots[t.name] for t in op.inputs if t.name in roots}
    free = [name for name in inputs if ends[name] == i and held.get(name)]
    for tensor in op.outputs:
      if roots[tensor.name] != tensor.name:
        continue
      size = _size(tensor)
      reused = [n for n in free if held[n] == size] if (
          op.type in _IN_PLACE) else []
      if reused:
        free.remove(reused[0])
        now -= held.pop(reused[0])
        of_classes_now -= of_classes.pop(reused[0])
      held[tensor.name] = size
      of_classes[tensor.name] = size * _is_of_classes(tensor, num_classes)
      now += size
      of_classes_now += of_classes[tensor.name]
    most = max(most, (now, of_classes_now))
    free += [t.name for t in op.outputs if ends.get(t.name, -1) <= i
             and roots[t.name] == t.name]
    now -= sum(held.pop(name) for name in free)
    of_classes_now -= sum(of_classes.pop(name) for name in free)
  return most


def _roots(operations):
  """{tensor: the one whose memory it shares}, itself in most cases."""
  roots = {}
  for op in operations:
    for tensor in op.outputs:
      first = op.inputs[0].name if op.type in _SAME else tensor.name
      roots[tensor.name] = roots.get(first, tensor.name)
  return roots


def _last_uses(operations, roots):
  """{root: place of the last operation that needs it}."""
  ends = collections.defaultdict(lambda: -1)
  for i, op in enumerate(operations):
    for tensor in op.inputs:
      if tensor.name in roots:
        ends[roots[tensor.name]] = i
  return ends


def _size(tensor):
  """Bytes of a tensor or variable; 0 if its shape is unknown, or its type."""
  count = tensor.shape.num_elements()
  try:
    return (count or 0) * tensor.dtype.base_dtype.size
  except TypeError:  # Variants, resources and text have no fixed size.
    return 0
