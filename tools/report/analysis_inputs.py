"""What tools.analyze_detections reads: annotations, detections and images."""

import collections
import os

import numpy as np

from evaluation import annotations as annotations_lib
from evaluation import coco_results
from evaluation import detections as detections_lib
from evaluation import ids
from evaluation import lvis_metrics
from utils import label_map as label_maps

# name, data: str, of the detections and of the ground truth. annotations:
# annotations.Annotations. detections: detections.Detections. messages: [str].
# load_images: ([row of the image_ids]) -> {row: uint8 [h, w, 3]}, of those that
# can be read. federation: lvis_metrics.Federation, by which detections are left
# out that cannot be judged; None: none are.
Source = collections.namedtuple(
    'Source', 'name data annotations detections messages load_images '
    'federation')


def read(arguments, include_mask):
  """Reads what the command line names.

  Args:
    arguments: namespace of tools.analyze_detections.
    include_mask: whether masks are compared.

  Returns:
    Source.

  Raises:
    OSError, ValueError: naming the file and what is wrong in it.
  """
  names = None
  if arguments.label_map:
    names = label_maps.read_label_map(arguments.label_map)
  if arguments.model_dir:
    return _of_model_dir(arguments, include_mask, names)
  content = annotations_lib.read_json(arguments.annotations)
  annotations = annotations_lib.load(content, include_mask, names,
                                     arguments.annotations)
  detections, messages = read_detections(arguments.detections, annotations,
                                         include_mask)
  return Source(arguments.detections, arguments.annotations, annotations,
                detections, annotations.messages + messages,
                _of_folder(arguments.images, content, annotations), None)


def read_detections(path, annotations, include_mask, suffix='',
                    federation=None):
  """Reads a results list.

  Args:
    path: path of the list, or a model_dir.
    annotations: `annotations.Annotations`.
    include_mask: whether masks are compared.
    suffix: `eval.suffix` of the evaluation in a model_dir.
    federation: see Source.

  Returns:
    (`detections.Detections`, [message]).
  """
  if os.path.isdir(path):
    path = os.path.join(path, 'eval' + suffix, 'detections.json')
  detections, messages = coco_results.from_results(
      annotations_lib.read_json(path), annotations, include_mask,
      ignore_unknown_categories=True, name=path)
  return _judged(annotations, federation, detections), messages


def _judged(annotations, federation, detections):
  """Detections that can be right or wrong."""
  if federation is None:
    return detections
  return detections_lib.select(detections, lvis_metrics.is_judged(
      annotations, federation, detections))


def _of_model_dir(arguments, include_mask, names):
  """Source of a training run that was evaluated."""
  from tools.report import evaluated_run
  config = evaluated_run.read_config(arguments.model_dir,
                                     arguments.params_override)
  path = os.path.join(arguments.model_dir, 'eval' + arguments.suffix,
                      'detections.json')
  return of_experiment(config, annotations_lib.read_json(path), include_mask,
                       names, path)


def of_experiment(config, results, include_mask, names=None,
                  name='The detections'):
  """Source of the evaluation of an experiment.

  Args:
    config: experiment.
    results: the results list of its evaluation.
    include_mask: whether masks are compared.
    names: {class id: name} over those of the experiment, or None.
    name: name of the results in messages.

  Raises:
    OSError, ValueError: naming the file and what is wrong in it.
  """
  from executor import groundtruth as groundtruth_lib
  from tools.report import evaluated_records
  content, known = groundtruth_lib.of_records(config, include_mask)
  annotations = annotations_lib.load(content, include_mask, dict(
      known, **(names or {})), 'The records')
  detections, messages = coco_results.from_results(
      results, annotations, include_mask, ignore_unknown_categories=True,
      name=name)
  federation = None
  if config.eval.type.startswith('lvis'):
    federation, note = read_federation(content, annotations)
    messages = [note] + messages
  records = {annotations.image_index[ids.canonical_id(image['id'])]: place
             for place, image in enumerate(content['images'])}

  def load_images(rows):
    rows_of = {records[row]: row for row in rows}
    return {rows_of[place]: pixels for place, pixels, _ in
            evaluated_records.images(config, rows_of)}

  return Source(name, str(config.eval.eval_file_pattern), annotations,
                _judged(annotations, federation, detections),
                annotations.messages + messages, load_images, federation)


def read_federation(content, annotations):
  """Which categories were looked for in the images of LVIS.

  Args:
    content: annotations of LVIS as a dict.
    annotations: `annotations.Annotations` of the same.

  Returns:
    (lvis_metrics.Federation, or None where the annotations do not tell;
    sentences about how to read the page).
  """
  partly = (
      'LVIS: an image is annotated for some categories only, those of its '
      'objects and those that are listed as absent. Detections of any other '
      'category are not counted against the model in AP')
  try:
    federation = lvis_metrics.load(content, annotations)
  except ValueError:
    return None, partly + (
        '. These records do not have the lists: curves, confusions and worst '
        'images on this page count such detections as wrong.')
  return federation, partly + (
      ', and are left out of this page. Where not every object of a category '
      'is annotated, AP does not count detections without an object either; '
      'curves, confusions and worst images count them as wrong.')


def _of_folder(folder, content, annotations):
  """Reads images of a folder; those that are not there are left out."""
  from dataloader import decoding
  names = {annotations.image_index[ids.canonical_id(image['id'])]:
           image.get('file_name') for image in content['images']}

  def load_images(rows):
    found = {}
    for row in rows if folder else ():
      for name in (names[row], os.path.basename(names[row] or '')):
        path = os.path.join(folder, name or '')
        if name and os.path.isfile(path):
          with open(path, 'rb') as f:
            found[row] = np.asarray(decoding.pixels(f.read()))
          break
    return found

  return load_images
