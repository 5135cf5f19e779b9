"""Keys that have no effect because of what other keys say.

Only keys that a person wrote are worth a note: a default, or a params.yaml,
holds every key.
"""

from typing import (
  Any,
  Callable,
  Iterable,
  Iterator,
  NamedTuple,
  Optional,
  Set,
  Tuple,
)

from configs import base


class Rule(NamedTuple):
  """Keys that have no effect, and when.

  Attributes:
    keys: dotted keys or sections.
    reason: (config) -> why they have no effect, as a clause; None where they
      have one.
  """
  keys: Tuple[str, ...]
  reason: Callable[[Any], Optional[str]]


def unless(condition: Callable[[base.Config], Any],
           *names: str) -> Callable[[base.Config], Optional[str]]:
  """A reason: the values of some keys, where a condition does not hold.

  Args:
    condition: (config) -> whether the keys of the rule have an effect.
    *names: the dotted keys that decide it.

  Returns:
    (config) -> 'a.b is 1' or None.
  """
  def reason(config):
    if condition(config):
      return None
    return ' and '.join('%s is %s' % (name, _text(base.lookup(config, name)))
                        for name in names)
  return reason


def notes(config: base.Config, given: Set[str],
          rules: Iterable[Rule]) -> Iterator[str]:
  """Yields a sentence for every rule that keys of a person fall under.

  Args:
    config: experiment.
    given: {dotted key} that a person wrote.
    rules: [Rule].
  """
  for rule in rules:
    names = [name for name in rule.keys if any(
        key == name or key.startswith(name + '.') for key in given)]
    reason = rule.reason(config) if names else None
    if reason:
      yield '%s %s no effect: %s.' % (
          ' and '.join(names), 'has' if len(names) == 1 else 'have', reason)


def _text(value):
  """The value as YAML spells it."""
  if isinstance(value, str):
    return repr(value) if value else 'empty'
  if isinstance(value, bool):
    return 'true' if value else 'false'
  if isinstance(value, tuple):
    return str(list(value)) if value else 'empty'
  return 'null' if value is None else '%r' % (value,)
