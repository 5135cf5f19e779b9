"""The results of a check as lines of text."""

from typing import Any, Dict, List, Sequence

from tools.tpu import chips

_SHOWN = 10  # names of a list that are printed; all are in the JSON file
_MAX_NAME = 90  # characters; a fusion is named after all its operations


def lowering_problems(found: Dict[str, Any]) -> List[str]:
  """What keeps a step from a TPU.

  Args:
    found: dict of tools.tpu.hlo_lowering.

  Returns:
    [sentence], empty if nothing does.
  """
  problems = []
  for kind, names in sorted(found['missing'].items()):
    problems.append('%s has no XLA lowering: %s' % (kind, _some(names)))
  if 'error' in found:
    problems.append('the bridge refuses the graph: %s' % found['error'])
  if found.get('dynamic'):
    problems.append('%d instructions have a size that is only known at run '
                    'time: %s' % (
                        len(found['dynamic']), _some(found['dynamic'])))
  return problems


def _some(names):
  more = len(names) - _SHOWN
  return ', '.join(names[:_SHOWN]) + (' and %d more' % more if more > 0 else '')


def lowering_line(job: str, found: Dict[str, Any]) -> str:
  """One line about a step that lowers."""
  calls = ', '.join('%s (%d)' % item
                    for item in sorted(found['custom_calls'].items()))
  return '%-8s lowers: %d instructions, none of dynamic size, %s' % (
      job, found['instructions'],
      'custom calls ' + calls if calls else 'no custom calls')


def comparison_lines(lines: Sequence[Any], tolerance: float) -> List[str]:
  """The losses of both forms of a step side by side.

  Args:
    lines: from tools.tpu.comparison.
    tolerance: float, relative difference that is allowed.

  Returns:
    [str].
  """
  text = ['%-28s %14s %14s %11s' % ('', 'plain', 'XLA', 'difference')]
  for line in lines:
    text.append('%-28s %14.6g %14.6g %11.1e%s' % (
        line.name, line.plain, line.compiled, line.difference,
        '' if line.difference <= tolerance else '  above %g' % tolerance))
  return text


def figures(result: Dict[str, Any], infeed_bytes: int) -> Dict[str, Any]:
  """What follows from the result of a compilation.

  Args:
    result: dict of tools.tpu.compiler, without error.
    infeed_bytes: int, that a step reads of its batch.

  Returns:
    dict of numbers; `fits` is a bool.
  """
  kind, cost = result['device'], result['cost']
  computing, traffic = chips.roofline(kind, cost['flops'], cost['bytes'])
  needed, available = result['memory']['needed'], chips.hbm_bytes(kind)
  return {
      'needed_bytes': needed, 'available_bytes': available,
      'fits': needed <= available, 'flops': cost['flops'],
      'moved_bytes': cost['bytes'],
      'flops_per_byte': cost['flops'] / max(cost['bytes'], 1.),
      'ridge_flops_per_byte': chips.ridge(kind),
      'computing_seconds': computing, 'traffic_seconds': traffic,
      'roofline_seconds': max(computing, traffic),
      'infeed_bytes': infeed_bytes}


def figure_lines(result: Dict[str, Any], numbers: Dict[str, Any],
                 batch_size: int) -> List[str]:
  """A table of the figures of one compilation.

  Args:
    result: dict of tools.tpu.compiler.
    numbers: result of `figures`.
    batch_size: int, of a replica.

  Returns:
    [str].
  """
  memory = result['memory']
  bound = ('computing' if numbers['computing_seconds'] >=
           numbers['traffic_seconds'] else 'memory traffic')
  rows = [
      ('device', '%s of %s, %d replica%s%s' % (
          result['device'], result['topology'], result['replicas'],
          's' * (result['replicas'] > 1),
          ' of %d devices' % result['partitions']
          if result['partitions'] > 1 else '')),
      ('batch of a replica', '%d' % batch_size),
      ('memory needed', '%.2f GB of %.2f GB%s' % (
          numbers['needed_bytes'] / 1e9, numbers['available_bytes'] / 1e9,
          '' if numbers['fits'] else ': DOES NOT FIT')),
      ('  of it', 'variables and inputs %.2f, temporaries %.2f, code %.2f GB' %
       (memory['arguments'] / 1e9, memory['temporaries'] / 1e9,
        memory['code'] / 1e9)),
      ('operations', '%.1f GFLOP' % (numbers['flops'] / 1e9)),
      ('moved', '%.2f GB' % (numbers['moved_bytes'] / 1e9)),
      ('  of it', 'at most %.2f outside of loops and branches; both branches '
       'count, and the body of a loop once' % (
           result['program']['moved_bytes'] / 1e9)),
      ('', '%.2f of these pad dimensions to those of a tile' % (
          result['program']['padding_bytes'] / 1e9)),
      *_exchange_rows(result),
      ('intensity', '%.0f FLOP a byte; both limits meet at %.0f' % (
          numbers['flops_per_byte'], numbers['ridge_flops_per_byte'])),
      ('roofline time', '%.1f ms at least, by %s (computing %.1f, traffic %.1f)'
       % (1e3 * numbers['roofline_seconds'], bound,
          1e3 * numbers['computing_seconds'], 1e3 * numbers['traffic_seconds'])
       ),
      ('infeed of a step', '%.2f MB' % (numbers['infeed_bytes'] / 1e6)),
      ('program', '%d instructions, compiled in %.0f s' % (
          result['program']['instructions'], result['seconds']))]
  return ['%-20s %s' % row for row in rows] + [
      '%-20s %s' % ('' if i else 'moves most', line) for i, line in enumerate(
          _traffic_lines(result['program']['heaviest'],
                         numbers['moved_bytes']))]


def _exchange_rows(result):
  """The row about what devices send each other, if there are several."""
  if result['replicas'] * result['partitions'] > 1:
    count, size = result['program']['exchanges']
    yield ('exchanged', '%.1f MB from other devices, by %d instructions' % (
        size / 1e6, count))


def replica_name(result: Dict[str, Any]) -> str:
  """What a replica runs on: one device, or several that share its images."""
  if result['partitions'] == 1:
    return 'a core of %s' % result['device']
  return '%d cores of %s that share images' % (
      result['partitions'], result['device'])


def _traffic_lines(heaviest, moved_bytes):
  """A line about each of the heaviest instructions."""
  for one in heaviest:
    yield '%7.3f GB %5.1f %%  %s %s, of %s' % (
        one['bytes'] / 1e9, 100. * one['bytes'] / max(moved_bytes, 1.),
        one['opcode'], one['name'], one['operation'][:_MAX_NAME])


def largest_batch(sizes: Sequence[int], needed: Sequence[float],
                  available: float) -> int:
  """The largest batch that should fit, if memory grows in proportion.

  Args:
    sizes: two different batch sizes.
    needed: bytes that each of them needs.
    available: bytes of a device.

  Returns:
    int, 0 if not even one fits.

  Raises:
    ValueError: if memory does not grow with the batch.
  """
  (small, large), (low, high) = sizes, needed
  slope = (high - low) / float(large - small)
  if slope <= 0:
    raise ValueError('Batches of %d and %d need %.0f and %.0f bytes: that says '
                     'nothing about larger ones.' % (small, large, low, high))
  return max(0, int((available - (low - slope * small)) / slope))
