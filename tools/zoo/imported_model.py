"""Writes a model_dir with the variables of another checkpoint."""

import dataclasses
import functools
import json
import os
import re
from typing import Any, Dict, List, Mapping, Optional

import numpy as np
import tensorflow.compat.v1 as tf

from configs import base
from executor import checkpoints
from executor import model_dir as model_dir_lib
from modeling import checkpoint_checks
from modeling import kept_names
from modeling import storage
from tools.zoo import recognition
from utils import training_names

NOTES = 'import.json'


def stored_names(contents: checkpoint_checks.Contents,
                 names: Mapping[str, str]) -> Dict[str, str]:
  """What is taken from a checkpoint.

  Args:
    contents: modeling.checkpoint_checks.Contents.
    names: {name in the checkpoint: name today} of the model's variables.

  Returns:
    {name in the checkpoint: name today}, with the states of optimizers and
    the averages that belong to these, and what training counts.
  """
  taken = dict(names)
  for stored in contents.shapes:
    owner = training_names.owner(stored)
    if owner is not None and owner in names:
      taken[stored] = names[owner] + stored[len(owner):]
    elif owner is None and training_names.is_bookkeeping(stored):
      taken[stored] = stored
  taken.pop(tf.GraphKeys.GLOBAL_STEP, None)
  if training_names.NUM_AVERAGED not in contents.shapes:
    # Averages of another program: an evaluation here would not know when they
    # began.
    taken = {old: new for old, new in taken.items()
             if not new.endswith('/' + training_names.AVERAGE)}
  return taken


def averages_as_weights(contents: checkpoint_checks.Contents,
                        names: Mapping[str, str]) -> Dict[str, str]:
  """The same with the moving averages of the weights in their place.

  Args:
    contents: modeling.checkpoint_checks.Contents.
    names: {name in the checkpoint: name today} of the model's variables.

  Returns:
    {name in the checkpoint: name today}.

  Raises:
    ValueError: if the checkpoint has no averages.
  """
  taken, count = {}, 0
  for stored, name in names.items():
    average = '%s/%s' % (stored, training_names.AVERAGE)
    count += average in contents.shapes
    taken[average if average in contents.shapes else stored] = name
  if not count:
    raise ValueError('--use_moving_average: %s has no moving averages (names '
                     'that end in /%s).' % (contents.prefix,
                                            training_names.AVERAGE))
  return taken


def step_of(contents: checkpoint_checks.Contents) -> int:
  """The training step of a checkpoint; of its name if it holds none."""
  name = tf.GraphKeys.GLOBAL_STEP
  if name in contents.shapes:
    return int(tf.train.load_checkpoint(contents.prefix).get_tensor(name))
  return checkpoints.step_of(contents.prefix)


def write(folder: str, config: base.Config,
          contents: checkpoint_checks.Contents, taken: Mapping[str, str],
          notes: Mapping[str, Any], label_map: Optional[str] = None) -> str:
  """Writes params.yaml and the checkpoint; the folder appears complete.

  Args:
    folder: model_dir; it is made, or it is empty.
    config: an experiment of configs.factory.
    contents: modeling.checkpoint_checks.Contents.
    taken: {name in the checkpoint: name to write}.
    notes: mapping, the content of import.json.
    label_map: path of the names of its classes, or None. They are kept in the
      folder where the configuration has none.

  Returns:
    The prefix of the new checkpoint.
  """
  step = step_of(contents)
  return _write_folder(
      folder, step, functools.partial(_copy, contents, taken, step), notes,
      config, label_map)


def write_arrays(folder: str, config: Optional[base.Config],
                 arrays: Mapping[str, np.ndarray], notes: Mapping[str, Any],
                 label_map: Optional[str] = None,
                 texts: Optional[Mapping[str, str]] = None,
                 step: int = 0) -> str:
  """`write` for values that are here.

  Args:
    folder: model_dir; it is made, or it is empty.
    config: an experiment, or None: a checkpoint to start from only.
    arrays: {name: float32}.
    notes: a mapping for import.json.
    label_map: path of the names of its classes, or None.
    texts: {name: content} of further files.
    step: step of the checkpoint.

  Returns:
    The prefix of the new checkpoint.
  """
  return _write_folder(folder, step,
                       functools.partial(_save_arrays, arrays, step), notes,
                       config, label_map, texts)


def _write_folder(folder, step, save, notes, config, label_map=None,
                  texts=None):
  """The folder with what `save(prefix)` writes."""
  folder = os.path.abspath(folder)
  name = 'model.ckpt-%d' % step
  with storage.replaced_folder(folder) as made:
    os.mkdir(made)
    save(os.path.join(made, name))
    storage.write_json(os.path.join(made, NOTES), dict(notes, step=step))
    for file_name, text in (texts or {}).items():
      with open(os.path.join(made, file_name), 'w', encoding='utf-8') as f:
        f.write(text)
    if config is not None:
      config = dataclasses.replace(config, model_dir=folder)
      if not config.eval.label_map:
        # Where every job looks for the names; the folder may be moved.
        kept_names.keep(label_map, made)
      model_dir_lib.save_params(config, model_dir_lib.params_path(made))
    checkpoints.write_state(made, [name])
  return os.path.join(folder, name)


def _copy(contents, taken, step, prefix):
  """Writes the values under their new names, without loading them here."""
  old = sorted(taken, key=taken.get)
  with tf.Graph().as_default():
    values = list(tf.raw_ops.RestoreV2(
        prefix=tf.constant(contents.prefix), tensor_names=old,
        shape_and_slices=[''] * len(old),
        dtypes=[contents.dtypes[name] for name in old]))
    # Models here have float32 alone, whatever they compute in.
    values = [tf.cast(value, tf.float32) if value.dtype.is_floating else value
              for value in values]
    _save(prefix, [taken[name] for name in old], values, step)


def _save_arrays(arrays, step, prefix):
  """Writes arrays; they are fed, as a graph holds 2 GB at most."""
  names = sorted(arrays)
  with tf.Graph().as_default():
    values = [tf.placeholder(tf.float32, arrays[name].shape) for name in names]
    _save(prefix, names, values, step,
          {value: arrays[name] for value, name in zip(values, names)})


def _save(prefix, names, values, step, feed=None):
  """Writes tensors and the step as a checkpoint."""
  names = names + [tf.GraphKeys.GLOBAL_STEP]
  values = values + [tf.constant(step, tf.int64)]
  save = tf.raw_ops.SaveV2(
      prefix=tf.constant(prefix), tensor_names=names,
      shape_and_slices=[''] * len(names), tensors=values)
  with tf.Session() as session:
    session.run(save, feed)


def left_out(contents: checkpoint_checks.Contents,
             taken: Mapping[str, str]) -> List[str]:
  """Lines about what of a checkpoint is not written."""
  names = sorted(set(contents.shapes) - set(taken)
                 - {tf.GraphKeys.GLOBAL_STEP})
  groups = {}
  for name in names:
    if recognition.UNUSED.match(name):
      what = 'the ImageNet head, which no model here has'
    elif training_names.owner(name):
      what = '/%s of variables' % name.rsplit('/', 1)[-1]
    else:
      what = re.sub(r'/.*', '/...', name)
    groups[what] = groups.get(what, 0) + 1
  return ['not taken, %d: %s' % (count, json.dumps(what)[1:-1])
          for what, count in groups.items()]
