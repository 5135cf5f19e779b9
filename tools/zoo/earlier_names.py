"""Names that variables had in earlier releases of the reference framework.

Each rule is from the history of `models/official/detection` of tensorflow/tpu,
or of the ResNet classifier beside it; see docs/MODEL_ZOO.md.
"""

import re
from typing import Any, Dict, List, NamedTuple, Sequence, Tuple


class Rule(NamedTuple):
  """How names were written once.

  Attributes:
    what: the rule, in words.
    pattern: pattern of names.
    replacement: replacement for what matches, as re.sub takes it.
  """
  what: str
  pattern: str
  replacement: Any


_RULES = (
    # spinenet_lib, 2019: numbered by both blocks that are joined; now by the
    # block that is made, and which of its two inputs it is.
    Rule('SpineNet resampling of the first release',
         r'^(spinenet/sub_policy(\d+)/resample_with_alpha_)([01])_\d+_\d+/',
         r'\1resample_\2_\3/'),
    Rule('RPN batch norm of the first release',
         r'^rpn_head/rpn(\d)-bn/', r'rpn_head/rpn-l\1-bn/'),
    # models/official/retinanet and mask_rcnn, where detection came from.
    Rule('pyramid of the programs before', r'^resnet_fpn/', r'fpn/'),
    Rule('RetinaNet batch norm of the program before',
         r'^(retinanet/(?:class|box)_net/(?:class|box)-\d)-bn-(\d)/',
         r'\1-\2/'))
_BOX_HEAD = 'fast_rcnn_head/'
_FIRST_STAGE = 'frcnn_layer_0/'
_UNSCOPED = re.compile(r'(conv2d|batch_normalization)(_\d+)?/')
# Convolutions of a ResNet, the projections included, give its depth.
_DEPTHS = {21: 18, 37: 34, 53: 50, 104: 101, 155: 152, 205: 200}


def variants(names: Sequence[str]) -> List[Tuple[Dict[str, str], List[str]]]:
  """Ways to read the names of a checkpoint, the plainest first.

  Args:
    names: [name in the checkpoint].

  Returns:
    [({name in the checkpoint: name today}, [what was renamed])].
  """
  renamed, notes = {name: name for name in names}, []
  for rule in _RULES:
    _apply(renamed, notes, rule)
  depth = _unscoped_depth(names)
  if depth:
    for what, pattern, replacement in (
        ('ResNet without scope', _UNSCOPED.pattern, r'resnet%d/\g<0>' % depth),
        ('classifier without scope', r'dense/', 'classification_head/dense/')):
      _apply(renamed, notes, Rule(what, pattern, replacement))
  if len(set(renamed.values())) < len(names):  # two would become one
    renamed, notes = {name: name for name in names}, []
  found = [(renamed, notes)]
  other = _other_box_head(renamed)
  if other:
    found.append((other[0], notes + [other[1]]))
  return found


def _apply(renamed, notes, rule):
  """Renames in place; notes the rule if it changed a name."""
  count = 0
  for stored, name in renamed.items():
    new = re.sub(rule.pattern, rule.replacement, name) if re.match(
        rule.pattern, name) else name
    count += new != name
    renamed[stored] = new
  if count:
    notes.append('%s: %d names' % (rule.what, count))


def _unscoped_depth(names):
  """Depth of a ResNet whose variables have no scope, or None."""
  kernels = {name for name in names
             if re.match(r'conv2d(_\d+)?/kernel$', name)}
  return _DEPTHS.get(len(kernels))


def _other_box_head(renamed):
  """Mask R-CNN as a cascade of one stage, and the reverse."""
  values = list(renamed.values())
  if any(name.startswith(_BOX_HEAD) for name in values):
    old, new, what = _BOX_HEAD, _FIRST_STAGE + _BOX_HEAD, (
        'box head as the first stage of a cascade')
  elif any(name.startswith(_FIRST_STAGE) for name in values):
    old, new, what = _FIRST_STAGE + _BOX_HEAD, _BOX_HEAD, (
        'first stage of a cascade as the box head')
  else:
    return None
  return {stored: new + name[len(old):] if name.startswith(old) else name
          for stored, name in renamed.items()}, what
