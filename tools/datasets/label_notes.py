"""Doubts about the label maps of a conversion."""

from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence

PIXELS, IGNORED = 'pixels', 'ignored_pixels'
LABEL_MAPS, MASKS = 'label_maps', 'label_maps_of_0_and_ignored'

_SHOWN = 6  # values in a flag that is proposed
_NEAR = 16  # gray levels between values that mean the same
_ALL_IGNORED = .999
MANY_CLASSES = 64  # more in one label map than any data set has


def measures(counts: Mapping[int, int], ignore_label: int) -> Dict[str, float]:
  """What one label map adds to the measures of the set.

  Args:
    counts: {class: number of pixels}, with the ignore label.
    ignore_label: int.

  Returns:
    {name: number}.
  """
  return {PIXELS: sum(counts.values()), IGNORED: counts.get(ignore_label, 0),
          LABEL_MAPS: 1, MASKS: int(set(counts) == {0, ignore_label})}


def are_doubtful(num_values: int, highest: int) -> bool:
  """Whether values are high, and too few for the numbers of classes."""
  return highest >= MANY_CLASSES and 2 * num_values <= highest


def values_flag(values: Iterable[int]) -> Optional[str]:
  """--values for masks of these values; None where they are too many.

  High values next to each other, such as 254 and 255, become one class: what
  smoothing leaves of white.
  """
  shown = [v for v in sorted(values) if v]
  if len(shown) > _SHOWN:
    return None
  pairs, class_id, before = [], 0, 0
  for value in shown:
    class_id += before < MANY_CLASSES or value - before > _NEAR
    pairs.append('%d:%d' % (value, class_id))
    before = value
  return '--values=' + ','.join(pairs)


def lines(index: Dict[str, Any], ids: Sequence[int], ignore_label: int,
          has_names: bool = False) -> List[str]:
  """Notes about the label maps of a set.

  Args:
    index: from image_record_writer.write, with `measures`.
    ids: [int], the classes that occur, sorted.
    ignore_label: int.
    has_names: whether a label map says which classes there are.

  Returns:
    [str].
  """
  sums = index['measures']
  if not sums:
    return []
  result = []
  share = float(sums[IGNORED]) / sums[PIXELS]
  if sums[IGNORED]:
    result.append('%.1f %% of the pixels have no class (value %d, '
                  '--ignore_label): they are neither trained on nor scored.' % (
                      100 * share, ignore_label))
  if share > _ALL_IGNORED:
    result.append('Nothing can be learnt from such a set.')
  if set(ids) <= {0} and sums[MASKS]:
    result.append(
        'Warning: %d of %d label maps have the values 0 and %d only. The %d '
        'looks like the foreground, but counts as no class. If it is one, '
        'convert again with --values=%d:1.' % (
            sums[MASKS], sums[LABEL_MAPS], ignore_label, ignore_label,
            ignore_label))
  elif len(ids) == 1:
    result.append(
        'Warning: all pixels have the same class, %d. A model has nothing to '
        'distinguish. Are these the right label maps?' % ids[0])
  if not has_names and ids and are_doubtful(len(ids), ids[-1]):
    flag = values_flag(list(ids) + [ignore_label] * bool(sums[IGNORED]))
    result.append(
        'Warning: values reach %d, but only %d of them occur. Classes are 0, '
        '1, 2 and so on.%s If they were saved as JPEG or resized with '
        'interpolation, create them again.'
        % (ids[-1], len(ids), ' If they are masks, convert again with %s, or '
           'with the classes that they mean.' % flag
           if flag else ''))
  if len(ids) > MANY_CLASSES:
    result.append(
        'Warning: %d different values occur. Were label maps saved as JPEG, or '
        'resized with interpolation? That makes classes that do not exist.'
        % len(ids))
  return result
