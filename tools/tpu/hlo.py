"""What stands in the text of an HLO module, the program form of XLA.

Plain Python: the bridge reads the module before the compiler, the compiler the
module after it, and these run in different environments.
"""

import collections
import re
from typing import Any, Dict

# `%name = type opcode(operands), attributes`; the type of several results is in
# parentheses and contains spaces.
_INSTRUCTION = re.compile(
    r'^\s*(?:ROOT\s+)?%?(?P<name>[\w.\-]+) = '
    r'(?P<type>\(.*?\)|\S+) (?P<opcode>[a-z][a-z0-9\-]*)\(')
_OP_NAME = re.compile(r'op_name="([^"]*)"')
_TARGET = re.compile(r'custom_call_target="([^"]*)"')

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


def _first(pattern, line):
  match = pattern.search(line)
  return match.group(1) if match else '(not said)'
