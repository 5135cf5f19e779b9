"""Repairs of published files that do not fit the configuration as they are."""

from typing import Any, List, Mapping, Tuple

from configs import base

# In copy_paste/maskrcnn_resnet101_1024.yaml the line `train:` is missing, so
# that these stand under `architecture`.
_MISPLACED = ('train_batch_size', 'total_steps', 'learning_rate',
              'gradient_clip_norm', 'frozen_variable_prefix',
              'l2_weight_decay')
# Block of another project; its keys have no effect on the models we build.
_IGNORED_BLOCKS = ('vild_parser',)


def apply(changes: Mapping[str, Any],
          source: str) -> Tuple[Mapping[str, Any], List[str]]:
  """Repairs what is known to be wrong in published files.

  Args:
    changes: nested mapping of one source.
    source: name of the source, for the notes.

  Returns:
    The repaired mapping (the input is not changed) and a list of notes.
  """
  notes = []
  for block in _IGNORED_BLOCKS:
    if block in changes:
      changes = _without(changes, block)
      notes.append('%s: the block %r has no effect.' % (source, block))
  architecture = changes.get('architecture')
  # All six, and no train block: anything less is a mistake of somebody else,
  # and the error names the right keys.
  if ('train' in changes or not isinstance(architecture, dict)
      or not all(key in architecture for key in _MISPLACED)):
    return changes, notes
  train = base.LocatedDict({key: architecture[key] for key in _MISPLACED},
                           getattr(architecture, 'places', None))
  changes = _with(_with(changes, 'architecture',
                        _without(architecture, *_MISPLACED)), 'train', train)
  notes.append('%s: the line `train:` is missing above six keys; these were '
               'moved from architecture to train: %s.'
               % (source, ', '.join(_MISPLACED)))
  return changes, notes


def _without(mapping, *keys):
  return base.LocatedDict({k: v for k, v in mapping.items() if k not in keys},
                          getattr(mapping, 'places', None))


def _with(mapping, key, value):
  return base.LocatedDict(dict(mapping, **{key: value}),
                          getattr(mapping, 'places', None))
