"""Compiles an HLO module with the TPU compiler, on a machine without a TPU.

  .venv-tpu/bin/python -m tools.tpu.compiler FOLDER --topology v3:2x2

FOLDER has the hlo.pb and hlo.json of tools.tpu.hlo_lowering. Writes
FOLDER/TOPOLOGY.json and, with --text, the text of the compiled program. The
package libtpu holds the compiler of Cloud TPUs; it can serve a topology that is
only named. jax leads to it; nothing else of jax is used, and nothing is run.

One process of a machine at a time can hold libtpu; others wait here.
"""

import argparse
import fcntl
import json
import os
import sys
import tempfile
import time
from typing import Any, Dict, Mapping, Optional, Sequence, Tuple

import numpy as np

from tools.common import numbers
from tools.tpu import hlo

# Before libtpu loads: there is no TPU host to describe, no server to ask.
_ENVIRONMENT = {
    'TPU_SKIP_MDS_QUERY': '1', 'TPU_ACCELERATOR_TYPE': 'v5litepod-4',
    'TPU_WORKER_HOSTNAMES': 'localhost', 'TPU_WORKER_ID': '0',
    'JAX_PLATFORMS': 'cpu'}
_MAX_ERROR = 4000  # characters of a message; the compiler lists allocations
# Each of these operations on 64-bit integers is estimated at minus one second.
_UNKNOWN_COST = 'X64'
_SHARDING = 'mhlo.sharding'


def parse_arguments(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
  """Command line to a namespace."""
  parser = argparse.ArgumentParser(
      prog='python -m tools.tpu.compiler', description=__doc__,
      formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('folder', help='with hlo.pb and hlo.json')
  parser.add_argument('--topology', required=True, help='such as v5e:2x2')
  parser.add_argument('--replicas', type=numbers.whole(), default=1,
                      help='copies of the program that run together')
  parser.add_argument('--partitions', type=numbers.whole(), default=1,
                      help='devices of a replica, which divide the inputs as '
                      'hlo.json says')
  parser.add_argument('--text', action='store_true',
                      help='write the compiled program, too')
  return parser.parse_args(argv)


def result_name(topology: str) -> str:
  """Name of the file of results, without folder."""
  return topology.replace(':', '-') + '.json'


def compile_module(
    module: bytes, topology: str, replicas: int = 1, partitions: int = 1,
    parts: Optional[Mapping[str, Sequence[int]]] = None
) -> Tuple[Dict[str, Any], Optional[str]]:
  """Compiles for a topology.

  Args:
    module: bytes, a serialized HloModuleProto.
    topology: str.
    replicas: int.
    partitions: int, devices of a replica.
    parts: {number of a parameter: into how many parts the devices of a replica
      divide each of its dimensions}; they have the others complete.

  Returns:
    The results as a dict, `error` alone with `device` and `seconds` if the
    compiler refuses; and the text of the compiled program.
  """
  devices = _devices(topology)
  result = {'topology': topology, 'replicas': replicas,
            'partitions': partitions,
            'device': devices[0].device_kind, 'versions': _versions()}
  wanted = replicas * partitions
  if wanted > len(devices):
    sys.exit('Error: %s has %d devices; %d replicas of %d devices make %d.' % (
        topology, len(devices), replicas, partitions, wanted))
  began = time.time()
  try:
    executable = _compile(
        module, np.reshape(devices[:wanted], (replicas, partitions)),
        parts or {})
  except Exception as e:  # of a class of libtpu's own
    return dict(result, error=str(e)[:_MAX_ERROR],
                seconds=time.time() - began), ''
  text = '\n'.join(m.to_string() for m in executable.hlo_modules())
  traffic = list(hlo.of_instructions(text))
  program = dict(
      hlo.summarize(text), moved_bytes=sum(one.bytes for one in traffic),
      padding_bytes=sum(one.padding for one in traffic),
      exchanges=hlo.exchanges(text),
      heaviest=[one._asdict() for one in hlo.heaviest(traffic)])
  return dict(result, seconds=time.time() - began,
              memory=_memory(executable), cost=_cost(executable, program),
              program=program), text


def _devices(topology):
  """The devices of a topology that need not exist."""
  from jax.experimental import topologies
  try:
    return topologies.get_topology_desc(
        platform='tpu', topology_name=topology).devices
  except Exception as e:  # jaxlib's; its text names what it knows
    sys.exit('Error: the TPU compiler has no topology %r: %s' % (topology, e))


def _versions():
  from importlib import metadata
  return {name: metadata.version(name) for name in ('jax', 'jaxlib', 'libtpu')}


def _compile(module, devices, parts):
  """The executable of a module for devices [replicas, partitions]."""
  from jax._src import compiler
  from jax._src.interpreters import mlir
  from jax._src.lib.mlir import ir
  from jaxlib import _jax
  options = compiler.get_compile_options(
      *devices.shape,
      device_assignment=np.vectorize(lambda device: device.id)(devices))
  text = _jax.mlir.hlo_to_stablehlo(module)
  with mlir.make_ir_context():
    parsed = ir.Module.parse(text)
    for operation in _walk(parsed.operation):
      _replace(operation)
    if devices.shape[1] > 1:
      _divide(parsed, parts, devices.shape[1])
    return devices[0, 0].client.compile(
        parsed, _jax.DeviceList(tuple(devices.flat)), options)


def _divide(module, parts, partitions):
  """Says which device of a replica has which part of the parameters.

  The results, values of variables, are complete on each of them.
  """
  from jax._src.lib.mlir import ir
  main_function, = [
      function for function in module.body.operations
      if ir.StringAttr(function.attributes['sym_name']).value == 'main']
  kind = ir.FunctionType(
      ir.TypeAttr(main_function.attributes['function_type']).value)
  for values, name, known in ((kind.inputs, 'arg_attrs', parts),
                              (kind.results, 'res_attrs', {})):
    old = (ir.ArrayAttr(main_function.attributes[name])
           if name in main_function.attributes else [ir.DictAttr.get({})]
           * len(values))
    main_function.attributes[name] = ir.ArrayAttr.get([
        _with(attributes, _SHARDING, ir.StringAttr.get(
            _sharding(known.get(str(i)), partitions)))
        for i, attributes in enumerate(old)])


def _with(attributes, name, value):
  """A dictionary of attributes with one more."""
  from jax._src.lib.mlir import ir
  named = {one.name: one.attr for one in ir.DictAttr(attributes)}
  return ir.DictAttr.get(dict(named, **{name: value}))


def _sharding(parts, partitions):
  """XLA's notation of who has which part: in the order of the devices."""
  if not parts:
    return '{replicated}'
  return '{devices=[%s]<=[%d]}' % (','.join(map(str, parts)), partitions)


def _walk(operation):
  """All operations within one, as a list that does not change with them."""
  found = []
  for region in operation.regions:
    for block in region:
      for inner in block:
        found.append(inner.operation)
        found += _walk(inner.operation)
  return found


def _replace(operation):
  """Replaces what has no form in StableHLO, or only a mark."""
  from jax._src.lib.mlir import ir
  if operation.name == 'mhlo.copy':  # an identity
    operation.results[0].replace_all_uses_with(operation.operands[0])
    operation.erase()
  elif operation.name.endswith('.custom_call'):
    target = ir.StringAttr(operation.attributes['call_target_name']).value
    if target == hlo.CROSS_REPLICA_SUM:
      _make_all_reduce(operation)


def _make_all_reduce(operation):
  """Puts the sum over the replicas where the bridge left a mark."""
  from jax._src.lib.mlir import ir
  from jax._src.lib.mlir.dialects import hlo as stablehlo
  groups = json.loads(ir.StringAttr(operation.attributes['backend_config'])
                      .value)
  kind = operation.results[0].type
  with ir.InsertionPoint(operation), ir.Location.unknown():
    scalar = ir.RankedTensorType.get(
        [], ir.RankedTensorType(kind).element_type)
    total = stablehlo.AllReduceOp(
        [kind], [operation.operands[0]],
        ir.DenseIntElementsAttr.get(np.asarray(groups, np.int64)))
    block = total.regions[0].blocks.append(
        scalar, scalar, arg_locs=[ir.Location.unknown()] * 2)
    with ir.InsertionPoint(block):
      stablehlo.return_([stablehlo.add(*block.arguments)])
  operation.results[0].replace_all_uses_with(total.operation.results[0])
  operation.erase()


def _memory(executable):
  """Bytes that a device needs, and what they are for."""
  stats = executable.get_compiled_memory_stats()
  parts = {
      'arguments': stats.argument_size_in_bytes,
      'outputs': stats.output_size_in_bytes,
      # Variables: their new values take the place of the old ones.
      'aliased': stats.alias_size_in_bytes,
      'temporaries': stats.temp_size_in_bytes,
      'code': stats.generated_code_size_in_bytes}
  return dict(parts, needed=sum(parts.values()) - 2 * parts['aliased'])


def _cost(executable, program):
  """What the compiler estimates; bodies of loops count once."""
  cost = executable.cost_analysis()
  cost = cost[0] if isinstance(cost, (list, tuple)) else cost
  unknown = sum(count for target, count in program['custom_calls'].items()
                if target.startswith(_UNKNOWN_COST))
  seconds = cost.get('optimal_seconds', 0.) + unknown
  return {'flops': cost.get('flops', 0.),
          'bytes': cost.get('bytes accessed', 0.),
          'seconds': seconds if seconds > 0 else None}


def _open_lock_file():
  """Descriptor of the file that compilations of one user take turns by.

  Everybody may write to the folder, so a link of this name is not followed.
  """
  path = os.path.join(tempfile.gettempdir(), 'tpu_check-%d.lock' % os.getuid())
  return os.open(path, os.O_CREAT | os.O_WRONLY | os.O_NOFOLLOW, 0o600)


def main(argv: Optional[Sequence[str]] = None) -> None:
  arguments = parse_arguments(argv)
  for name, value in _ENVIRONMENT.items():
    os.environ.setdefault(name, value)
  with open(os.path.join(arguments.folder, 'hlo.pb'), 'rb') as f:
    module = f.read()
  # A descriptor stays open to the end of the process, as long as libtpu is
  # held; a file object would be closed when this function returns.
  fcntl.flock(_open_lock_file(), fcntl.LOCK_EX)
  with open(os.path.join(arguments.folder, 'hlo.json')) as f:
    parts = json.load(f)['parts']
  result, text = compile_module(module, arguments.topology, arguments.replicas,
                                arguments.partitions, parts)
  path = os.path.join(arguments.folder, result_name(arguments.topology))
  with open(path, 'w') as f:
    json.dump(result, f, indent=1)
  if arguments.text:
    with open(path[:-len('json')] + 'txt', 'w') as f:
      f.write(text)


if __name__ == '__main__':
  main()
