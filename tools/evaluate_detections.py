"""Scores a file of detections against COCO annotations.

  python -m tools.evaluate_detections \\
      --annotations=instances_val.json --detections=results.json --type=box

Prints the metrics as one JSON object on stdout, and a table and notes on
stderr. All images of the annotations are scored, also those without detections.
-1 means undefined: the set has no such object.

The types lvis_box and lvis_box_and_mask use the rules and metrics of LVIS.

Keys: AP AP50 AP75 APs APm APl ARmax1 ARmax10 ARmax100 ARs ARm ARl, and
"Precision mAP ByCategory/<id>" and the like for every category. For masks all
keys begin with mask_; with --type=mask those of all categories are repeated
without it.
"""

import argparse
import functools
import json
import sys
from typing import Dict, Optional, Sequence, Tuple

import numpy as np

from configs import plugins
from evaluation import annotations as annotations_lib
from evaluation import coco_metrics
from evaluation import coco_results
from evaluation import factory as evaluation_factory
from evaluation import ids
from evaluation import lvis_metrics
from evaluation import report
from tools.common import numbers
from utils import label_map as label_maps

_LVIS = 'lvis_'
_IOU_TYPES = {'box': ('bbox',), 'mask': ('segm',),
              'box_and_mask': ('bbox', 'segm'), _LVIS + 'box': ('bbox',),
              _LVIS + 'box_and_mask': ('bbox', 'segm')}


def parse_arguments(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
  """Command line to a namespace."""
  parser = argparse.ArgumentParser(
      prog='python -m tools.evaluate_detections', description=__doc__,
      formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('--annotations', required=True, metavar='A.json',
                      help='the ground truth, a COCO instances file')
  parser.add_argument('--detections', required=True, metavar='D.json',
                      help='the detections, a COCO results list')
  parser.add_argument('--type', choices=sorted(_IOU_TYPES), default='box',
                      help='what is compared (default: box)')
  parser.add_argument('--label_map', metavar='FILE', default=None,
                      help='lines id:name, names for the table (default: the '
                      'names in the annotations)')
  parser.add_argument('--max_detections', type=numbers.whole(), metavar='N',
                      help='above 100: adds APmaxN, AP50maxN, AP75maxN and '
                      'ARmaxN, which count N detections of an image and class '
                      '(the others count 100)')
  parser.add_argument('--extra_metrics', metavar='NAME,...', default='',
                      help='further metrics, separated by commas, of: %s'
                      % ', '.join(sorted(evaluation_factory.EXTRA_METRICS)))
  parser.add_argument('--ignore_unknown_categories', action='store_true',
                      help='leave out detections of categories that the '
                      'annotations do not have, instead of stopping')
  arguments = parser.parse_args(argv)
  if arguments.max_detections and (
      arguments.max_detections <= coco_metrics.MAX_DETECTIONS):
    parser.error('--max_detections should be above %d, which is always scored.'
                 % coco_metrics.MAX_DETECTIONS)
  return arguments


def evaluate_files(
    arguments: argparse.Namespace) -> Tuple[Dict[str, float], str]:
  """Reads both files and scores.

  Args:
    arguments: namespace of `parse_arguments`.

  Returns:
    ({metric: float}, table str).

  Raises:
    OSError, ValueError: naming the file and what is wrong in it.
  """
  include_mask = 'segm' in _IOU_TYPES[arguments.type]
  names = None
  if arguments.label_map:
    names = label_maps.read_label_map(arguments.label_map)
  content = annotations_lib.read_json(arguments.annotations)
  annotations = annotations_lib.load(content, include_mask, names,
                                     arguments.annotations)
  detections, messages = coco_results.from_results(
      annotations_lib.read_json(arguments.detections), annotations,
      include_mask, arguments.ignore_unknown_categories, arguments.detections)
  for message in _coverage(annotations, detections):
    print('Note: ' + message, file=sys.stderr)
  metrics = {}
  extra = evaluation_factory.pick_extra_metrics(
      [n for n in arguments.extra_metrics.split(',') if n], '--extra_metrics')
  evaluate = functools.partial(
      coco_metrics.evaluate, max_detections=arguments.max_detections)
  limits = coco_metrics.limit_messages(annotations, arguments.max_detections)
  if arguments.type.startswith(_LVIS):
    federation = lvis_metrics.load(content, annotations, arguments.annotations)
    evaluate = functools.partial(lvis_metrics.evaluate, federation=federation)
    limits = federation.messages
  for iou_type in _IOU_TYPES[arguments.type]:
    metrics.update(evaluate(annotations, detections=detections,
                            iou_type=iou_type))
    metrics.update(coco_metrics.evaluate_extra(
        extra, annotations, detections, iou_type))
  table = report.format_table(
      metrics, dict(zip(annotations.category_ids,
                        annotations.category_names)),
      annotations.num_objects(), annotations.messages + messages + limits,
      extra)
  if arguments.type == 'mask':
    for name in (list(coco_metrics.METRIC_NAMES)
                 + coco_metrics.limit_names(metrics, 'mask_')):
      metrics[name] = metrics['mask_' + name]
  return metrics, table


def _coverage(annotations, detections):
  """[message] about whether the two files belong together."""
  messages = []
  num_images = len(annotations.image_ids)
  without = np.setdiff1d(np.arange(num_images), detections.images)
  if len(without):
    messages.append(
        '%d of %d images of the annotations have no detections: %s. They count '
        'as images in which nothing was found.%s' % (
            len(without), num_images,
            ids.name_some([annotations.image_ids[i] for i in without]),
            ' Are these the detections of another data set, or of a part of it?'
            if 2 * len(without) > num_images else ''))
  num_beyond = np.count_nonzero(_reach_beyond(annotations, detections))
  if num_beyond:
    messages.append(
        '%d of %d detections reach far beyond their images. Do they belong to '
        'other images, or are their boxes not [x, y, width, height]?' % (
            num_beyond, len(detections.images)))
  return messages


def _reach_beyond(annotations, detections):
  """bool [N]: boxes beyond their image by more than a tenth of its size."""
  sizes = np.array([size or (np.inf, np.inf) for size in
                    annotations.image_sizes], np.float64).reshape([-1, 2])
  width_height = sizes[detections.images][:, ::-1]
  begin = detections.boxes[:, :2]
  end = begin + detections.boxes[:, 2:]
  return np.any((begin < -.1 * width_height) | (end > 1.1 * width_height),
                axis=1)


def main(argv: Optional[Sequence[str]] = None) -> int:
  """Entry point; returns the exit status."""
  plugins.load()  # which may have metrics
  try:
    metrics, table = evaluate_files(parse_arguments(argv))
  except (OSError, ValueError) as e:
    print('error: %s' % e, file=sys.stderr)
    return 1
  sys.stderr.write(table)
  print(json.dumps(metrics, indent=1, allow_nan=False))
  return 0


if __name__ == '__main__':
  sys.exit(main())
