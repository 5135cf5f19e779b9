"""Times the parts of an evaluation, and plain pycocotools for comparison.

  python -m tools.benchmarks.evaluation --images=1000 --categories=80

Made-up detections, 100 of each image, are read and scored by every part in a
process of its own, which tells CPU and wall seconds and the most memory that it
held, the data included. pycocotools, and faster-coco-eval where it is
installed, score the same boxes; they are left out where images times
categories are above --plain_limit, since pycocotools goes through all of them.
--masks times masks instead: pasting and encoding those of a model, and their
metrics.
"""

import argparse
import contextlib
import copy
import io
import json
import multiprocessing
import resource
import time

from evaluation import analysis
from evaluation import annotations as annotations_lib
from evaluation import coco_metrics
from evaluation import coco_results
from evaluation import factory
from evaluation import lvis_metrics
from tools.benchmarks import evaluation_sets
from tools.common import numbers
from utils import files
from utils import masks


def _parts(content, results):
  """{name: function} of this code; all but the first take what it reads."""
  annotations = annotations_lib.load(content)
  detections, _ = coco_results.from_results(results, annotations)
  federation = lvis_metrics.load(content, annotations)
  parts = {
      'reading': lambda: coco_results.from_results(
          results, annotations_lib.load(content)),
      'COCO boxes': lambda: coco_metrics.evaluate(annotations, detections,
                                                  'bbox'),
      'LVIS boxes': lambda: lvis_metrics.evaluate(annotations, federation,
                                                  detections, 'bbox'),
      'analysis': lambda: analysis.analyze(annotations, detections)}
  for name in ('calibration', 'proposals', 'tide', 'voc'):
    parts[name] = _extra(name, annotations, detections)
  return parts


def _mask_parts(content, results):
  """{name: function} of this code on masks of a model."""
  content, results = evaluation_sets.with_masks(content, results)
  annotations = annotations_lib.load(content, True)
  detections, _ = coco_results.from_results(results, annotations, True)
  pasted = [(evaluation_sets.model_masks(len(boxes)), boxes) for boxes in (
      detections.boxes[detections.images == image]
      for image in range(len(annotations.image_ids)))]
  height, width = annotations.image_sizes[0]
  return {
      'pasting masks': lambda: [
          masks.paste_and_encode(values, boxes, height, width)
          for values, boxes in pasted],
      'COCO masks': lambda: coco_metrics.evaluate(annotations, detections,
                                                  'segm')}


def _extra(name, annotations, detections):
  function = factory.EXTRA_METRICS[name]
  return lambda: function(annotations, detections, 'bbox')


def _plain_parts(content, results):
  """{name: function} of other programs."""
  parts = {}
  from pycocotools import coco  # pylint: disable=import-outside-toplevel
  from pycocotools import cocoeval  # pylint: disable=import-outside-toplevel
  parts['pycocotools'] = _stock(coco.COCO, cocoeval.COCOeval, content, results)
  try:
    import faster_coco_eval as fast  # pylint: disable=import-outside-toplevel
    parts['faster-coco-eval'] = _stock(fast.COCO, fast.COCOeval_faster, content,
                                       results)
  except ImportError:
    pass
  return parts


def _stock(coco_class, eval_class, content, results):
  """A function that scores boxes by classes of pycocotools' interface."""
  def run():
    with contextlib.redirect_stdout(io.StringIO()):
      gt = coco_class()
      gt.dataset = content
      gt.createIndex()
      engine = eval_class(gt, gt.loadRes(copy.deepcopy(results)), 'bbox')
      engine.evaluate()
      engine.accumulate()
      engine.summarize()
  return run


def _measured(function, queue):
  cpu, wall = time.process_time(), time.perf_counter()
  function()
  queue.put({'cpu': time.process_time() - cpu,
             'wall': time.perf_counter() - wall,
             'peak_mib': resource.getrusage(
                 resource.RUSAGE_SELF).ru_maxrss / 1024.})


def measure(functions):
  """Runs each function in a process of its own.

  Args:
    functions: {name: function without arguments}.

  Returns:
    {name: {'cpu', 'wall': seconds, 'peak_mib': float}}.

  Raises:
    RuntimeError: if one of them fails.
  """
  # The data are there already, and not sent.
  context = multiprocessing.get_context('fork')
  found = {}
  for name, function in functions.items():
    queue = context.SimpleQueue()
    process = context.Process(target=_measured, args=(function, queue))
    process.start()
    process.join()
    if process.exitcode:
      raise RuntimeError('The part %s failed, see above.' % name)
    found[name] = queue.get()
  return found


def parse_arguments(argv=None):
  """Command line to a namespace."""
  parser = argparse.ArgumentParser(
      prog='python -m tools.benchmarks.evaluation', description=__doc__,
      formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('--images', type=numbers.whole(), default=1000)
  parser.add_argument('--categories', type=numbers.whole(), default=80)
  parser.add_argument('--detections', type=numbers.whole(), default=100,
                      help='of each image')
  parser.add_argument('--plain_limit', type=numbers.whole(0), default=200000,
                      help='images times categories up to which other programs '
                      'run')
  parser.add_argument('--masks', action='store_true', help='times masks')
  parser.add_argument('--json', metavar='FILE', help='writes the figures')
  return parser.parse_args(argv)


def main(argv=None):
  """Entry point."""
  arguments = parse_arguments(argv)
  content, results = evaluation_sets.make(
      arguments.images, arguments.categories, arguments.detections)
  parts = (_mask_parts if arguments.masks else _parts)(content, results)
  if not arguments.masks and (
      arguments.images * arguments.categories <= arguments.plain_limit):
    parts.update(_plain_parts(content, results))
  print('%d images, %d categories, %d detections, %d objects' % (
      arguments.images, arguments.categories, len(results),
      len(content['annotations'])))
  found = measure(parts)
  print('%-20s %8s %8s %10s' % ('part', 'CPU s', 'wall s', 'peak MiB'))
  for name, figures in found.items():
    print('%-20s %8.2f %8.2f %10.0f' % (name, figures['cpu'], figures['wall'],
                                        figures['peak_mib']))
  if arguments.json:
    files.write_atomically(arguments.json, json.dumps(found, indent=1) + '\n')


if __name__ == '__main__':
  main()
