"""The steps of tools.import_checkpoint, from a folder to a model_dir."""

import argparse
import os
import sys
from typing import Any, Dict, NamedTuple, Optional

from configs import factory
from modeling import checkpoint_checks
from modeling import statistics
from tools.zoo import found_checkpoint
from tools.zoo import imported_model
from tools.zoo import readings
from tools.zoo import recognition
from tools.zoo import rows as zoo_rows
from tools.zoo import variable_lists

_FOLDER = os.path.dirname(os.path.abspath(__file__))
_COCO = os.path.join(_FOLDER, 'coco_label_map.txt')
_LABEL_MAPS = {zoo_rows.RETINANET: _COCO, zoo_rows.MASK_RCNN: _COCO,
               zoo_rows.COPY_PASTE: _COCO,
               zoo_rows.PASCAL: os.path.join(_FOLDER, 'voc_label_map.txt')}


class _Model(NamedTuple):
  """The model that a checkpoint is of.

  Attributes:
    config: an experiment.
    names: {name in the checkpoint: name today}.
    label_map: path, or None.
    notes: for import.json.
  """
  config: Any
  names: Dict[str, str]
  label_map: Optional[str]
  notes: Dict[str, Any]


def run(folder: str, name: str, wanted: Optional[str],
        arguments: argparse.Namespace) -> None:
  """Recognises, checks and writes; prints what it finds.

  Args:
    folder: that holds a checkpoint.
    name: name of the archive or folder.
    wanted: end of the checkpoint's prefix, or None.
    arguments: namespace of tools.import_checkpoint.

  Raises:
    ValueError: saying what is wrong, and what to do.
  """
  contents = checkpoint_checks.read_contents(
      found_checkpoint.find(folder, wanted))
  _check_kind(contents)
  print('%s: %d values' % (os.path.basename(contents.prefix),
                           len(contents.shapes)), flush=True)
  # Whole first: what is cut off is not read, and the rest takes longer.
  checkpoint_checks.check_files(contents)
  model = _model(contents, name, arguments)
  checkpoint_checks.check_values(contents, _progress)
  print('Every value is there and is a number.')
  if arguments.use_moving_average:
    taken = imported_model.averages_as_weights(contents, model.names)
  else:
    taken = imported_model.stored_names(contents, model.names)
  for line in imported_model.left_out(contents, taken):
    print('  %s' % line)
  if not arguments.output:
    print('With --output=MODEL_DIR it is imported.')
    return
  prefix = imported_model.write(
      arguments.output, model.config, contents, taken,
      dict(model.notes, source=name), model.label_map)
  print('Wrote %s and %s.' % (
      os.path.join(arguments.output, 'params.yaml'), prefix))


def _progress(done, total):
  """Shows how far reading is, on a terminal."""
  if sys.stderr.isatty():
    sys.stderr.write('\rreading %d of %d%s' % (
        done, total, '\n' if done == total else ''))


def _check_kind(contents):
  """Raises for checkpoints of programs with objects instead of names."""
  if any('.ATTRIBUTES/' in name for name in contents.shapes):
    raise ValueError(
        '%s is a checkpoint of TensorFlow 2 objects, such as those of the '
        'Model Garden (tensorflow/models). Its models differ from those of '
        'models/official/detection of tensorflow/tpu, which are supported here.'
        % contents.prefix)


def _model(contents, name, arguments):
  """The _Model that a checkpoint is of."""
  if arguments.config_file:
    return _configured(contents, arguments)
  lists = variable_lists.read()
  if arguments.row:
    lists = _only(lists, arguments.row)
  found = recognition.recognise(contents.shapes, lists)
  if not recognition.is_exact(found):
    raise ValueError(_unrecognised(contents, found))
  for line in found.renamed:
    print('Names of an earlier release: %s' % line)
  choice = readings.choose(found.rows, readings.Evidence(
      contents.prefix, imported_model.step_of(contents), name,
      found_checkpoint.config_files(contents.prefix)))
  _print_choice(choice)
  config, label_map, notes = _row_config(choice.row, found, arguments)
  return _Model(config, found.names, label_map, notes)


def _only(lists, wanted):
  """The one row of a file."""
  file = wanted.split('configs/experiments/')[-1]
  kept = [(variables, [row]) for variables, all_rows in lists
          for row in all_rows if row.config_file == file]
  if not kept:
    raise ValueError('--row=%s is not a row of the model zoo; rows are: %s.' % (
        wanted, ', '.join(row.config_file for row in zoo_rows.ROWS)))
  return kept


def _print_choice(choice):
  """Says which row is taken, why, and what else it may be."""
  print('%s, %s (%s)' % (choice.row.section, choice.row.name,
                         choice.row.config_file))
  print('  taken because %s' % choice.reason)
  for row, changes in choice.others:
    print('WARNING: names and shapes are also those of %s, with %s. If the '
          'checkpoint is that one, import it with --row=%s: as imported now it '
          'would give wrong results.' % (row.config_file, ', '.join(
              '%s %r instead of %r' % (key, there, here)
              for key, (here, there) in changes.items()), row.config_file))


def _row_config(row, found, arguments):
  """The configuration of a row, its label map, and what import.json says."""
  changes = {}
  if found.num_classes:
    changes['architecture.num_classes'] = found.num_classes
    print('  with %d classes (background included) instead of those of the row'
          % found.num_classes)
  path = os.path.join(variable_lists.EXPERIMENTS, row.config_file)
  config, _ = factory.load_config(None, path, arguments.params_override,
                                  changes)
  label_map = None if found.num_classes else _LABEL_MAPS.get(row.section)
  return config, label_map, {'row': row.config_file, 'renamed': found.renamed,
                             'published_accuracy': row.accuracy}


def _configured(contents, arguments):
  """The same for a configuration that is given."""
  config, notes = factory.load_config(None, arguments.config_file,
                                      arguments.params_override)
  for note in notes:
    print('Note: %s' % note)
  shapes = {name: tuple(shape) for name, shape in
            statistics.variable_shapes(config).items()}
  found = recognition.recognise(contents.shapes, [(shapes, [])], False)
  if not recognition.is_exact(found):
    raise ValueError('%s is not of the model of %s:\n  %s' % (
        contents.prefix, arguments.config_file,
        '\n  '.join(recognition.differences(found))))
  for line in found.renamed:
    print('Names of an earlier release: %s' % line)
  return _Model(config, found.names, None, {
      'config_file': arguments.config_file, 'renamed': found.renamed})


def _unrecognised(contents, found):
  """What to say of a checkpoint that is not a row."""
  given = found_checkpoint.config_files(contents.prefix)
  return (
      'The variables of %s are not those of any row of the model zoo. The '
      'nearest is %s (%s):\n  %s\nIf you have the configuration it was trained '
      'with, give it with --config_file%s.' % (
          contents.prefix, found.rows[0].name, found.rows[0].config_file,
          '\n  '.join(recognition.differences(found)),
          '; %s is next to it' % ', '.join(map(os.path.basename, given))
          if given else ''))
