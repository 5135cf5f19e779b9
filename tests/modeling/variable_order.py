"""The order in which the reference creates variables, where ours is another."""

import re

# Heads whose convolutions are shared by all levels, and whose normalizations
# belong to one level each.
_HEAD = re.compile(r'retinanet/|rpn_head/')
_LEVEL = re.compile(
    r'(?:retinanet/\w+_net/\w+-\d+-(\d+)|rpn_head/rpn-l(\d+)-bn[^/]*)/')


def level_by_level(variables):
  """Puts the variables of heads into the order of the reference.

  Our heads make a layer for all levels, then the next one. The reference makes
  all layers for the first level, convolutions included, then for the next one.

  Args:
    variables: [(name, anything)], in creation order.

  Returns:
    The same pairs; those of a head level by level, all others where they are.
  """
  result, start = list(variables), 0
  while start < len(result):
    head = _HEAD.match(result[start][0])
    end = start + 1
    if head:
      while end < len(result) and result[end][0].startswith(head.group()):
        end += 1
      result[start:end] = _sorted_by_level(result[start:end])
    start = end
  return result


def _sorted_by_level(variables):
  levels = []
  for name, _ in variables:
    match = _LEVEL.match(name)
    levels.append(int(match.group(1) or match.group(2)) if match else None)
  first = min([level for level in levels if level is not None] or [0])
  order = sorted(range(len(levels)),
                 key=lambda i: first if levels[i] is None else levels[i])
  return [variables[i] for i in order]
