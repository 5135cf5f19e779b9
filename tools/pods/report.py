"""A plan as lines of text."""

from typing import List, Sequence

from tools.pods import planning


def plan_lines(plan: planning.Plan, work: planning.Work,
               efficiency: float) -> List[str]:
  """A table of a plan.

  Args:
    plan: planning.Plan.
    work: planning.Work that it was made of.
    efficiency: float, as it was made with.

  Returns:
    [str].
  """
  step = plan.step
  rows = [
      ('machine', '%s, %d devices, %d host%s' % (
          plan.topology, plan.devices, plan.hosts, 's' * (plan.hosts > 1))),
      ('batch', '%g images, %g of a device, %g of a host' % (
          plan.batch, plan.batch / plan.devices, plan.images_per_host)),
      ('an image', '%.0f GFLOP, %.2f GB of memory traffic, %.1f CPU ms of input'
       % (work.flops / 1e9, work.moved_bytes / 1e9, work.input_ms)),
      ('computing', '%.1f ms at the peak, %.1f ms expected' % (
          1e3 * plan.computing, 1e3 * plan.computing / efficiency)),
      ('memory traffic', '%.1f ms at the peak, %.1f ms expected' % (
          1e3 * plan.memory, 1e3 * plan.memory / efficiency)),
      ('network', '%.1f ms: each chip sends %.1f MB of the gradients' % (
          1e3 * plan.network, plan.gradient_bytes_per_chip / 1e6)),
      ('input', '%.1f ms: each host decodes %g images and sends %.1f MB, '
       '%.2f GB/s' % (1e3 * plan.input, plan.images_per_host,
                      plan.infeed_bytes_per_host / 1e6,
                      plan.infeed_bytes_per_host / step / 1e9)),
      ('step', '%.1f ms, %.0f images/s, limited by %s' % (
          1e3 * step, plan.images_per_second, plan.limit))]
  return ['%-16s %s' % row for row in rows]


def input_lines(needs: planning.InputNeeds, plan: planning.Plan,
                host_cores: float) -> List[str]:
  """What the hosts need, and what helps where the input limits.

  Args:
    needs: planning.InputNeeds.
    plan: planning.Plan.
    host_cores: float, of a host.

  Returns:
    [str].
  """
  lines = [
      'So that the chips never wait, each host needs %.1f of its %g cores and '
      'reads %.1f MB/s.' % (needs.cores, host_cores,
                            needs.read_bytes_per_second / 1e6)]
  if plan.limit == 'input':
    lines.append(
        'The input limits. Any of these removes it: %.1f CPU ms per image '
        'instead of what it takes now; %d hosts instead of %d for the same '
        'chips; images that were resized once and written as smaller records.'
        % (needs.input_ms, -int(-needs.hosts // 1), plan.hosts))
  lines.append(
      'If reading is slow: train.cache_records keeps the records of a host in '
      '%.1f GB of its memory. Decoded images would take %.1f GB (there is no '
      'such cache; it saves the JPEG part of the input only).' % (
          needs.record_bytes / 1e9, needs.decoded_bytes / 1e9))
  return lines


def scaling_lines(plans: Sequence[planning.Plan]) -> List[str]:
  """Slices side by side; the others are compared with the first one.

  Args:
    plans: result of `planning.scaling`.

  Returns:
    [str].
  """
  lines = ['%-12s %7s %6s %9s %10s %10s  %s' % (
      'slice', 'devices', 'hosts', 'batch', 'images/s', 'per device',
      'limited by')]
  first = plans[0].images_per_second / plans[0].devices
  for plan in plans:
    lines.append('%-12s %7d %6d %9g %10.0f %9.0f%%  %s' % (
        plan.topology, plan.devices, plan.hosts, plan.batch,
        plan.images_per_second,
        100. * plan.images_per_second / plan.devices / first, plan.limit))
  return lines
