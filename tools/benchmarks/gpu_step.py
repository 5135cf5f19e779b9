"""Times a lowered step as one program of XLA, on a GPU or on this CPU.

  python -m tools.tpu_check --model=retinanet --batch=8 --module --work=steps
  .venv-export/bin/python -m tools.benchmarks.gpu_step steps/train-8 \\
      --machine=a100

The first command, on either runtime, builds the training and the prediction
step as an accelerator gets them and writes their HLO (steps/train-8,
steps/predict-8). The second needs jax alone: with jax[cuda12] of the same
version in an environment on the machine with the GPU, it is timed there.
Weights and images are random numbers. --machine names a row of
tools/pods/machines.py, whose roofline is printed beside the time. The input
pipeline is not part of it, and loops of a made-up image may be shorter.
"""

import argparse
import json
import os
import statistics
import time
from typing import Any, Dict, List, Optional, Sequence

import numpy as np

from tools.common import numbers
from tools.pods import machines


def parse_arguments(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
  """Command line to a namespace."""
  parser = argparse.ArgumentParser(
      prog='python -m tools.benchmarks.gpu_step', description=__doc__,
      formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('folder', help='with hlo.pb of tools.tpu_check --module')
  parser.add_argument('--platform', choices=('gpu', 'cpu'), default='gpu',
                      help='where it runs (default: %(default)s)')
  parser.add_argument('--machine', choices=sorted(machines.MACHINES),
                      help='whose roofline to print')
  parser.add_argument('--repeats', type=numbers.whole(), default=20,
                      help='timed steps (default: %(default)s)')
  parser.add_argument('--json', metavar='FILE', help='file for the figures')
  return parser.parse_args(argv)


def made_up(shape: Sequence[int], dtype: Any,
            random: np.random.RandomState) -> np.ndarray:
  """An argument of a program: small positive numbers, or zeros of integers.

  Variances of batch norm must be positive; labels of 0 are background.
  """
  if np.issubdtype(dtype, np.integer) or dtype == np.bool_:
    return np.zeros(shape, dtype)
  return random.uniform(.01, .1, shape).astype(dtype)


def measure(path: str, platform: str, repeats: int) -> Dict[str, Any]:
  """Compiles and times a program.

  Args:
    path: the path of a serialized HloModuleProto.
    platform: 'gpu' or 'cpu'.
    repeats: int, timed runs.

  Returns:
    dict with the device, compile_seconds, seconds (median), least_seconds,
    flops and moved_bytes as the compiler estimates them, and argument_bytes.
  """
  import jax
  from jaxlib import xla_client
  jax.config.update('jax_enable_x64', True)  # The global step is an int64.
  device = jax.devices(platform)[0]
  with open(path, 'rb') as f:
    computation = xla_client.XlaComputation(f.read())
  began = time.perf_counter()
  program = device.client.compile(
      xla_client._xla.mlir.xla_computation_to_mlir_module(computation))
  compiled = time.perf_counter() - began
  random = np.random.RandomState(0)
  values = [made_up(shape.dimensions(), shape.numpy_dtype(), random)
            for shape in computation.program_shape().parameter_shapes()]
  given = [jax.device_put(value, device) for value in values]

  def step():
    for array in program.execute(given):
      array.block_until_ready()

  step()  # The first one chooses kernels.
  seconds = []
  for _ in range(repeats):
    began = time.perf_counter()
    step()
    seconds.append(time.perf_counter() - began)
  cost = program.cost_analysis()
  cost = cost[0] if isinstance(cost, (list, tuple)) else cost
  return {'device': device.device_kind, 'compile_seconds': compiled,
          'seconds': statistics.median(seconds), 'least_seconds': min(seconds),
          'flops': cost.get('flops', 0.),
          'moved_bytes': cost.get('bytes accessed', 0.),
          'argument_bytes': sum(value.nbytes for value in values)}


def lines(found: Dict[str, Any], machine: Optional[str]) -> List[str]:
  """The figures as lines of text.

  Args:
    found: result of `measure`.
    machine: key of machines.MACHINES, or None.

  Returns:
    [str].
  """
  text = ['%s: %.2f ms a step, %.2f at least; compiled in %.0f s' % (
      found['device'], 1e3 * found['seconds'], 1e3 * found['least_seconds'],
      found['compile_seconds']),
          'estimated by the compiler: %.1f GFLOP, %.2f GB of memory traffic; '
          '%.2f GB of arguments' % (found['flops'] / 1e9,
                                    found['moved_bytes'] / 1e9,
                                    found['argument_bytes'] / 1e9)]
  if machine:
    chip = machines.MACHINES[machine]
    bounds = {
        'computing': found['flops'] / chip.teraflops / 1e12,
        'memory traffic': found['moved_bytes'] / chip.gigabytes_per_second / 1e9
    }
    limit = max(bounds, key=lambda name: bounds[name])
    text.append('roofline of %s: %.2f ms by %s; the step reaches %.0f %%' % (
        machine, 1e3 * bounds[limit], limit,
        100. * bounds[limit] / found['seconds']))
  return text


def main(argv: Optional[Sequence[str]] = None) -> None:
  arguments = parse_arguments(argv)
  path = os.path.join(arguments.folder, 'hlo.pb')
  if not os.path.exists(path):
    raise SystemExit('Error: there is no %s; python -m tools.tpu_check '
                     '--module --work=FOLDER writes it.' % path)
  found = measure(path, arguments.platform, arguments.repeats)
  print('\n'.join(lines(found, arguments.machine)))
  if arguments.json:
    with open(arguments.json, 'w') as f:
      json.dump(found, f, indent=1)


if __name__ == '__main__':
  main()
