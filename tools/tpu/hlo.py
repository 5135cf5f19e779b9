"""What stands in the text of an HLO module, the program form of XLA.

Plain Python: the bridge reads the module before the compiler, the compiler the
module after it, and these run in different environments.
"""

import collections
import heapq
import re
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Tuple

# `%name = type opcode(operands), attributes`; the type of several results is in
# parentheses and contains spaces.
_INSTRUCTION = re.compile(
    r'^\s*(?:ROOT\s+)?%?(?P<name>[\w.\-]+) = '
    r'(?P<type>\(.*?\)|\S+) (?P<opcode>[a-z][a-z0-9\-]*)\(')
_OP_NAME = re.compile(r'op_name="([^"]*)"')
_TARGET = re.compile(r'custom_call_target="([^"]*)"')

_ARRAY = re.compile(r'(?P<kind>[a-z]+)(?P<bits>\d*)[a-z0-9]*'
                    r'\[(?P<dims>[\d,]*)\](?:\{(?P<layout>[^}]*)\})?')
_TILE = re.compile(r'T\(([\d,]+)\)')
_OPERAND = re.compile(r'%([\w.\-]+)')
# They name memory, or wait for what another instruction began; the bodies of
# loops and branches are computations of their own.
_MOVES_NOTHING = re.compile(
    r'parameter|constant|tuple|get-tuple-element|bitcast|after-all|while|'
    r'conditional|call|.*-done')

# Of an exchange in two halves the second has the result.
_EXCHANGE = re.compile(
    r'(collective-permute|all-reduce|all-gather|all-to-all|reduce-scatter)'
    r'(-done)?')
_MEMORY_SPACE = re.compile(r'S\(\d+\)')

_UPDATE = 'dynamic-update-slice'  # also in names of fusions

# Marks a sum over all replicas until there is a compiler that has one.
CROSS_REPLICA_SUM = 'sum_over_all_replicas'


def summarize(text: str) -> Dict[str, Any]:
  """Counts instructions and finds dimensions that are not static.

  Args:
    text: the text of an HLO module, with its types.

  Returns:
    {'instructions': int, 'opcodes': {opcode: count}, 'custom_calls': {target:
    count}, 'dynamic': ['opcode, of TensorFlow operation'] for every
    instruction whose result has a dimension that only its run decides}.
  """
  opcodes, calls = collections.Counter(), collections.Counter()
  dynamic = []
  for line in text.splitlines():
    match = _INSTRUCTION.match(line)
    if not match:
      continue
    opcodes[match.group('opcode')] += 1
    if '<=' in match.group('type'):  # f32[<=8,4], bounded
      dynamic.append('%s %s, of %s' % (
          match.group('opcode'), match.group('type'), _first(_OP_NAME, line)))
    if match.group('opcode') == 'custom-call':
      calls[_first(_TARGET, line)] += 1
  return {'instructions': sum(opcodes.values()),
          'opcodes': dict(opcodes.most_common()),
          'custom_calls': dict(calls), 'dynamic': dynamic}


class Traffic(NamedTuple):
  """What an instruction reads from and writes to the memory of a device.

  Attributes:
    name: of the instruction in the compiled program.
    opcode: 'fusion', 'copy' and so on.
    operation: of TensorFlow; of a fusion several, with semicolons between.
    bytes: operands and results, with the padding of their tiles; an operand
      of which only a part is read counts as a whole.
    padding: bytes of them that the tiles add.
  """
  name: str
  opcode: str
  operation: str
  bytes: int
  padding: int


def heaviest(traffic: Iterable[Traffic], count: int = 10) -> List[Traffic]:
  """Those that move most, largest first.

  Args:
    traffic: from `of_instructions`.
    count: int.
  """
  return heapq.nlargest(count, traffic, key=lambda one: one.bytes)


def of_instructions(text: str) -> Iterator[Traffic]:
  """What each instruction of a compiled program moves.

  Args:
    text: the text of a compiled HLO module, with layouts.

  Yields:
    Traffic of the program itself; not of the bodies of loops, nor of branches.
  """
  types, inside = {}, False
  for line in text.splitlines():
    inside = line.startswith('ENTRY ') or (inside and not line.startswith('}'))
    match = _INSTRUCTION.match(line) if inside else None
    if not match:
      continue
    types[match.group('name')] = match.group('type')
    if not _MOVES_NOTHING.fullmatch(match.group('opcode')):
      names = _OPERAND.findall(line[match.end():].split(')', 1)[0])
      operands = [types[name] for name in names if name in types]
      moved = _moved(match, operands, bytes_of)
      yield Traffic(
          match.group('name'), match.group('opcode'), _first(_OP_NAME, line),
          moved, moved - _moved(match, operands, _bytes_of_values))


def exchanges(text: str) -> Tuple[int, int]:
  """What a device gets from the others that run the program with it.

  Args:
    text: the text of a compiled HLO module, with layouts.

  Returns:
    The number of instructions and the bytes of their results; in the body of a
    loop an instruction counts once.
  """
  sizes = [
      bytes_of(_MEMORY_SPACE.sub('', match.group('type')))
      for match in map(_INSTRUCTION.match, text.splitlines())
      if match and _EXCHANGE.fullmatch(match.group('opcode'))]
  return len(sizes), sum(sizes)


def _moved(match, operands, size_of):
  """Bytes that an instruction reads and writes.

  Args:
    match: of _INSTRUCTION.
    operands: [type].
    size_of: bytes of a type.
  """
  result = match.group('type')
  is_update = _UPDATE in match.group('name') or _UPDATE in match.group('opcode')
  if is_update and result in operands:
    # It takes the place of the operand, of which the rest is not touched.
    others = list(operands)
    others.remove(result)
    return 2 * sum(map(size_of, others))
  return size_of(result) + sum(map(size_of, operands))


def _bytes_of_values(text):
  """What `bytes_of` returns, without the padding of tiles."""
  return bytes_of(_TILE.sub('', text))


def bytes_of(text: str) -> int:
  """Bytes of the memory of a device that a type takes.

  Args:
    text: such as 'f32[8,160]{1,0:T(8,128)}', or several in parentheses. What
      has a memory space, S(1) of the layout, is in memory within the core: 0.

  Returns:
    int; the last two dimensions of a layout are padded to those of its tile.
  """
  total = 0
  for match in _ARRAY.finditer(text):
    layout = match.group('layout') or ''
    if 'S(' in layout:
      continue
    dims = [int(d) for d in match.group('dims').split(',') if d]
    order = [int(d) for d in layout.split(':')[0].split(',') if d]
    tile = _TILE.search(layout)
    if tile and len(order) == len(dims):
      # Both lists from the fastest dimension on.
      for axis, side in zip(order, reversed(tile.group(1).split(','))):
        dims[axis] += -dims[axis] % int(side)
    size = 1
    for dim in dims:
      size *= dim
    # pred is a byte, a token nothing.
    bits = int(match.group('bits') or (match.group('kind') == 'pred') * 8)
    total += size * max(bits, 8 * (bits > 0)) // 8
  return total


def _first(pattern, line):
  match = pattern.search(line)
  return match.group(1) if match else '(not said)'
