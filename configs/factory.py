"""From a model name and overrides to the configuration of an experiment."""

import dataclasses
from typing import Any, List, Mapping, Optional, Tuple

from configs import base
from configs import families
from configs import io
from configs import plugins
from configs import repairs

plugins.load()  # which may have families
MODELS = tuple(families.FAMILIES)
DEFAULT_MODEL = 'retinanet'
# Projects of the reference whose files carry these names.
_NOT_BUILT = ('vild', 'attribute_mask_rcnn')


def default_config(model: str) -> base.Config:
  """The configuration of a model before any override.

  Args:
    model: one of MODELS; it becomes `type`.

  Returns:
    An experiment: a frozen dataclass.

  Raises:
    ConfigError: if there is no such model, or it is not built yet.
  """
  _check_model(model, '--model')
  return dataclasses.replace(families.experiment_class(model)(), type=model)


def load_config(model: Optional[str] = None, config_file: Any = None,
                params_override: Any = None,
                extra: Optional[Mapping[str, Any]] = None,
                params_file: Optional[str] = None,
                trains: bool = True,
                checks: bool = True) -> Tuple[base.Config, List[str]]:
  """Resolves a configuration; of two values of a key the later level's holds.

  Args:
    model: one of MODELS; None: the `type` that an override sets, else
      retinanet.
    config_file: a YAML file, or any other form that `io.parse_override` takes.
    params_override: over `config_file`; text, a file or a mapping.
    extra: over both, what the program sets itself (flags): a mapping, nested
      or with dotted keys.
    params_file: under all of these, the params.yaml of a model_dir.
    trains: whether it is to train; if not, what only training needs is not
      checked.
    checks: False: keys may contradict each other, and whoever asks looks at
      `problems` of the experiment.

  Returns:
    The experiment, and a list of notes: sentences for the user about keys
    without effect, repairs and keys written twice.

  Raises:
    ConfigError: naming each key, its source and what is wrong with it.
  """
  levels, notes = [], []
  for source, value in ((params_file, params_file),
                        ('--config_file', config_file),
                        ('--params_override', params_override),
                        ('the flags', io.nest(extra) if extra else None)):
    changes, more = io.parse_override(value, source)
    changes, repair_notes = repairs.apply(changes, source)
    levels.append((source, changes))
    notes += more + repair_notes
  model, type_notes = _resolve_model(model, levels)
  config = _with_levels(default_config(model), levels)
  problems = list(config.problems(trains))
  if problems:
    if checks:
      raise base.ConfigError(*problems)
    return config, notes + type_notes
  given = _given_keys(config, levels[1:])
  if not trains:
    given = {key for key in given if not key.startswith('train.')}
  return config, notes + type_notes + list(config.notes(given))


def _with_levels(config, levels):
  """The configuration with the changes of all levels, [(source, changes)]."""
  problems = []
  for source, changes in levels:
    try:
      _check_blocks(config, changes, source)
      config = base.override(config, changes, source=source)
    except base.ConfigError as error:
      problems += error.problems
  if problems:
    raise base.ConfigError(*problems)
  return config


def _given_keys(config, levels):
  """{dotted key} that a person wrote.

  A file with most of the keys is a params.yaml: nobody wrote those.
  """
  count, given = len(base.flatten(config)), set()
  for _, changes in levels:
    keys = base.flatten_mapping(changes)
    if len(keys) < count / 2:
      given.update(keys)
  return given


def _resolve_model(model, levels):
  """The model to build, from --model and the last `type`, and notes."""
  if model:
    _check_model(model, '--model')
  setting_type = [level for level in levels if 'type' in level[1]]
  if not setting_type:
    return model or DEFAULT_MODEL, []
  source, changes = setting_type[-1]
  model_type, place = changes['type'], _place(changes, 'type', source)
  _check_model(model_type, '%s: type' % place)
  if model in (None, '', model_type):
    return model_type, []
  if (families.experiment_class(model_type)
      is not families.experiment_class(model)):
    raise base.ConfigError(
        '--model is %r but %s sets type to %r: these are different kinds of '
        'models.' % (model, place, model_type))
  return model_type, [
      '%s: type is %r, which decides what is built, not --model=%s.'
      % (place, model_type, model)]


def _place(changes, key, source):
  return getattr(changes, 'where', lambda _: '')(key) or source


def _check_model(model, subject):
  if model in _NOT_BUILT:
    raise base.ConfigError('%s: %r is not built yet; these are: %s.'
                           % (subject, model, ', '.join(MODELS)))
  if model not in MODELS:
    raise base.ConfigError('%s: there is no model %r; these are: %s.%s' % (
        subject, model, ', '.join(MODELS), base.did_you_mean(model, MODELS)))


def _check_blocks(config, changes, source):
  """Says of a block of another model to which one it belongs."""
  problems = []
  for key in changes:
    if hasattr(config, str(key)):
      continue
    owners = [name for name in MODELS
              if hasattr(families.experiment_class(name), str(key))]
    if owners:
      problems.append(
          '%s: unknown key %r; the model is %s, and that key belongs to %s.'
          % (_place(changes, key, source), key, config.type,
             ' and '.join(owners)))
  if problems:
    raise base.ConfigError(*problems)
