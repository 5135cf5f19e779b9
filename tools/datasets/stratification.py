"""Divides images into splits that have about the same share of each class."""

import collections
import random
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Sequence, Set

from tools.datasets import annotation_checks
from tools.datasets import conversion_report

_IMAGES = None  # key of the number of images among those of the classes
_TOLERANCE = .2  # of the images of a split, by which it may miss its share


class Item(NamedTuple):
  """An image to be assigned.

  Attributes:
    name: name of the file; of a COCO file its place in the list.
    classes: those of its objects.
    group: images of the same one stay together.
  """
  name: Any
  classes: Iterable[Any]
  group: Any


def split(items: Sequence[Item], shares: Mapping[str, float],
          seed: int = 0) -> Dict[str, List[Item]]:
  """Divides items by iterative stratification.

  The units are the groups. Again and again, the class that fewest of the units
  left have is taken, and each unit with it goes to the split that lacks most
  of this class, then of images. Where many rare classes add up to a split that
  is far from its share of the images, units move afterwards, none that is the
  only one with a class in the largest split. No split stays empty.

  Args:
    items: [Item].
    shares: {split name: share}, which add up to 1.
    seed: int.

  Returns:
    {split name: [Item]}, in the order of the items.

  Raises:
    ConversionError: if there are fewer units than splits.

  Source: Sechidis et al., On the stratification of multi-label data (2011).
  """
  if not items:
    raise annotation_checks.ConversionError('There is no image to divide.')
  units = collections.OrderedDict()
  for item in items:
    units.setdefault(item.group, []).append(item)
  if len(units) < len(shares):
    raise annotation_checks.ConversionError(
        'There %s %s, too few for %d splits (%s): each needs one.' % (
            'is' if len(units) == 1 else 'are', conversion_report.count(
                len(units), 'image' if len(units) == len(items) else
                'group'), len(shares), ', '.join(shares)))
  order = sorted(units)
  random.Random(seed).shuffle(order)
  counts = {group: _counts(units[group]) for group in order}
  totals = sum(counts.values(), collections.Counter())
  wanted = {name: {key: share * n for key, n in totals.items()}
            for name, share in shares.items()}
  place = {}
  for key in _rarest_first(counts, order):
    for group in sorted((g for g in order if g not in place and counts[g][key]),
                        key=lambda g: -counts[g][key]):
      name = max(shares, key=lambda n: (wanted[n][key], wanted[n][_IMAGES]))
      place[group] = name
      for counted, number in counts[group].items():
        wanted[name][counted] -= number
  _Division(place, counts, order, totals, wanted, shares).fill()
  return {name: [i for i in items if place[i.group] == name]
          for name in shares}


class _Division:
  """Units in splits, of which some are moved.

  A class of one or two units is in the training set as a whole, and one of
  three is in a small split with a third of them; of many such classes, this is
  not the share of the images.
  """

  def __init__(self, place, counts, order, totals, wanted, shares):
    """Takes a division.

    Args:
      place: {group: split}, changed.
      counts: {group: Counter} as `_counts` returns them.
      order: [group], in the order of the seed.
      totals: Counter, the sum of `counts`.
      wanted: {split: {key: number that it lacks}}, changed.
      shares: {split: share}.
    """
    self._place, self._counts, self._order = place, counts, order
    self._wanted, self._shares = wanted, shares
    self._totals = totals
    self._largest = max(shares, key=lambda n: shares[n])
    self._units = collections.Counter()  # (split, key): units
    for group in order:
      self._units.update((place[group], key) for key in counts[group])

  def fill(self):
    """Moves units where a split is empty or far from its share of images."""
    empty = [n for n in self._shares if not self._units[n, _IMAGES]]
    for name in empty:
      self._move(min(
          (g for g in self._order if self._units[self._place[g], _IMAGES] > 1),
          key=lambda g: (self._lost(g), -self._gain(g, name),
                         self._counts[g][_IMAGES])), name)
    if empty or not self._are_near():
      for to in sorted(self._shares, key=lambda n: -self._wanted[n][_IMAGES]):
        for group in sorted(self._order, key=lambda g: -self._gain(g, to)):
          if self._is_better(group, to):
            self._move(group, to)

  def _are_near(self):
    """Whether every split has about its share of the images."""
    num_images = self._totals[_IMAGES]
    # Large groups seldom add up to a share.
    least = 1.5 * num_images / len(self._order)
    return all(abs(self._wanted[name][_IMAGES]) <= max(
        _TOLERANCE * share * num_images, least)
               for name, share in self._shares.items())

  def _is_better(self, group, to):
    """Whether a move brings two splits nearer to their shares of the images."""
    giver, size = self._place[group], self._counts[group][_IMAGES]
    return (giver != to and size < 2 * self._wanted[to][_IMAGES]
            and size < -2 * self._wanted[giver][_IMAGES]
            and self._units[giver, _IMAGES] > 1 and not self._lost(group))

  def _lost(self, group):
    """Number of classes that the largest split has in this unit only."""
    return sum(self._units[self._largest, key] < 2
               for key in self._counts[group] if key is not _IMAGES
               ) if self._place[group] == self._largest else 0

  def _gain(self, group, to):
    """By how much a move brings the classes of a unit nearer their shares."""
    wanted, giver = self._wanted, self._wanted[self._place[group]]
    # Rounded, as the order of the classes of an image is not fixed.
    return round(sum((wanted[to][key] - giver[key]) * number / self._totals[key]
                     for key, number in self._counts[group].items()), 6)

  def _move(self, group, to):
    for key, number in self._counts[group].items():
      self._wanted[self._place[group]][key] += number
      self._wanted[to][key] -= number
      self._units[self._place[group], key] -= 1
      self._units[to, key] += 1
    self._place[group] = to


def _counts(items):
  """Counter of the images with each class, and of all images, of a unit."""
  result = collections.Counter({_IMAGES: len(items)})
  for item in items:
    result.update(set(item.classes))
  return result


def _rarest_first(counts, order):
  """Keys in the order of the number of units with them; images come last."""
  units = collections.Counter(
      key for group in order for key in counts[group] if key is not _IMAGES)
  return sorted(units, key=lambda key: (units[key], str(key))) + [_IMAGES]


def classes_of(items: Iterable[Item]) -> Set[Any]:
  """The classes of images; empty without any."""
  return set(_counts(list(items))) - {_IMAGES}
