"""Which row of the model zoo a checkpoint is, from names and shapes."""

import re
from typing import (
  Any,
  Dict,
  List,
  Mapping,
  NamedTuple,
  Optional,
  Sequence,
  Tuple,
)

from tools.zoo import earlier_names
from tools.zoo import rows as zoo_rows
from tools.zoo import variable_lists
from utils import training_names

# The ImageNet head that upstream leaves, unused, in its EfficientNets.
UNUSED = re.compile(r'efficientnet-[\w.]+/head/')
_SHOWN = 5
# Variables whose last dimension counts classes.
_OF_CLASSES = re.compile(
    r'(.*/(class-predict|mask_fcn_logits|box-predict)'
    r'|classification_head/dense|segmentation/conv2d)/\w+$')


class Recognition(NamedTuple):
  """What is known of a checkpoint by its variables.

  Attributes:
    rows: whose variables are nearest.
    names: {name in the checkpoint: name today} of the model's variables.
    renamed: the variables that were renamed.
    num_classes: number of classes of the checkpoint where it is not that of the
      rows, else None.
    missing: names today.
    unexpected: names today.
    mis_shaped: (name, shape of the row, shape of the checkpoint).
  """
  rows: List[zoo_rows.Row]
  names: Dict[str, str]
  renamed: List[str]
  num_classes: Optional[int]
  missing: List[str]
  unexpected: List[str]
  mis_shaped: List[Tuple[str, Any, Any]]


def is_exact(found: Recognition) -> bool:
  """Whether a Recognition leaves no difference."""
  return not (found.missing or found.unexpected or found.mis_shaped)


def recognise(
    shapes: Mapping[str, Sequence[int]],
    lists: Sequence[Tuple[Dict[str, Sequence[int]], List[zoo_rows.Row]]],
    any_classes: bool = True) -> Recognition:
  """Finds the rows whose variables a checkpoint has.

  Args:
    shapes: {name in the checkpoint: shape}.
    lists: [({variable name: shape}, [rows.Row])].
    any_classes: whether another number of classes makes no difference; the
      lists are of rows then.

  Returns:
    Recognition: exact, or of the nearest rows.
  """
  names = [name for name in shapes if is_of_model(name)]
  best, best_score = None, -1.
  for renamed, notes in earlier_names.variants(names):
    here = {new: tuple(shapes[old]) for old, new in renamed.items()}
    for variables, rows in lists:
      score = _likeness(here, variables)
      if score > best_score:
        best_score = score
        best = compare(here, variables)._replace(
            rows=rows, renamed=notes, names={
                old: new for old, new in renamed.items() if new in variables})
  return _with_classes(best) if any_classes else best


def is_of_model(name: str) -> bool:
  """Whether a variable of a checkpoint is one that a model here may have."""
  return not training_names.is_bookkeeping(name) and not UNUSED.match(name)


def compare(here: Mapping[str, Sequence[int]],
            variables: Mapping[str, Sequence[int]]) -> Recognition:
  """What differs between a checkpoint and a list.

  What the checkpoint has besides in other scopes than the model's is of another
  program, and no difference.

  Args:
    here: {name today: shape in the checkpoint}.
    variables: {name: shape}.

  Returns:
    Recognition without rows and names.
  """
  scopes = {name.split('/')[0] for name in variables}
  return Recognition(
      rows=[], names={}, renamed=[], num_classes=None,
      missing=sorted(set(variables) - set(here)),
      unexpected=sorted(name for name in set(here) - set(variables)
                        if name.split('/')[0] in scopes),
      mis_shaped=sorted((name, shape, here[name])
                        for name, shape in variables.items()
                        if name in here and here[name] != shape))


def _likeness(here, variables):
  """From 0 to 1; names count most, shapes decide between equal names."""
  common = set(here) & set(variables)
  equal = sum(here[name] == variables[name] for name in common)
  total = len(here) + len(variables)
  return (len(common) * 2. + equal * 2. / 10) / total / 1.1 if total else 0.


def _with_classes(found):
  """Explains other shapes by another number of classes, if that does it."""
  if found.missing or found.unexpected or not found.mis_shaped:
    return found
  config = variable_lists.config_of(found.rows[0])
  num_classes = config.architecture.num_classes
  counts = {_scaled(num_classes, here, there) if _OF_CLASSES.match(name)
            else None for name, here, there in found.mis_shaped}
  count = counts.pop() if len(counts) == 1 else None
  if not count:
    return found
  return found._replace(num_classes=count, mis_shaped=[])


def _scaled(num_classes, here, there):
  """The number of classes with which the shape `here` would be `there`."""
  if here[:-1] != there[:-1] or here[-1] % num_classes:
    return None
  count, rest = divmod(there[-1], here[-1] // num_classes)
  return None if rest else count


def differences(found: Recognition) -> List[str]:
  """Lines that say how a checkpoint differs from the nearest row."""
  lines = []
  for what, names in (
      ('the checkpoint lacks', found.missing),
      ('only the checkpoint has', found.unexpected),
      ('of another shape', ['%s: %s there, %s in the checkpoint' % (
          name, list(here), list(there))
                            for name, here, there in found.mis_shaped])):
    if names:
      more = len(names) - _SHOWN
      lines.append('%s %d: %s%s' % (what, len(names), '; '.join(
          names[:_SHOWN]), '; and %d more' % more if more > 0 else ''))
  return lines
