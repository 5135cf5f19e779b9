"""Records what the packages lvis and tidecv say of 100 random data sets.

Neither runs with the NumPy of today, so this is done in an environment of its
own, once:

  python3.7 -m venv /tmp/env
  /tmp/env/bin/pip install 'numpy<1.22' pycocotools==2.0.7 lvis==0.5.3 tidecv
  /tmp/env/bin/python -m tests.evaluation.record_metrics
"""

import collections
import copy
import gzip
import json
import os

from tests.evaluation import random_sets

NUM_SETS = 100
PATH = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                    'data', 'recorded_metrics', '%s.json.gz')
TIDE_NAMES = collections.OrderedDict([
    ('Cls', 'class'), ('Loc', 'localisation'), ('Both', 'both'),
    ('Dupe', 'duplicate'), ('Bkg', 'background'), ('Miss', 'missed')])


def lvis_metrics(seed, iou_type):
  """{metric: float} of the package lvis."""
  import lvis  # pylint: disable=import-outside-toplevel
  annotations, results = random_sets.lvis_set(seed)
  gt = lvis.LVIS.__new__(lvis.LVIS)
  gt.dataset = copy.deepcopy(annotations)
  gt.logger = lvis.lvis.logging.getLogger('lvis')
  gt._create_index()
  entries = [dict(r) for r in results]
  for entry in entries:
    if iou_type == 'segm':
      entry['segmentation'] = gt.ann_to_rle(entry)
      del entry['bbox']
    else:
      del entry['segmentation']
  engine = lvis.LVISEval(gt, lvis.LVISResults(gt, entries), iou_type)
  engine.run()
  return {name: float(value) for name, value in engine.get_results().items()}


def tide_figures(seed, mode):
  """{'ap', 'costs', 'counts', 'special': figures} of tidecv, in 0..100."""
  import tidecv  # pylint: disable=import-outside-toplevel
  from tidecv import functions  # pylint: disable=import-outside-toplevel
  annotations, results = random_sets.coco_set(seed, num_images=6)
  annotations['annotations'].sort(key=lambda a: a['image_id'])
  gt, dt = tidecv.Data('gt'), tidecv.Data('dt')
  for image in sorted(annotations['images'], key=lambda i: i['id']):
    gt.add_image(image['id'], str(image['id']))
  def mask(entry):
    return functions.toRLE(entry['segmentation'], 400, 300)
  for entry in annotations['annotations']:
    add = gt.add_ignore_region if entry['iscrowd'] else gt.add_ground_truth
    add(entry['image_id'], entry['category_id'], entry['bbox'], mask(entry))
  for entry in results:
    dt.add_detection(entry['image_id'], entry['category_id'], entry['score'],
                     entry['bbox'], mask(entry))
  run = tidecv.TIDE().evaluate(gt, dt, mode=mode)
  costs, counts = run.fix_main_errors(), run.count_errors()
  special = run.fix_special_errors()
  return {
      'ap': run.ap,
      'costs': {TIDE_NAMES[k.short_name]: v for k, v in costs.items()},
      'counts': {TIDE_NAMES[k.short_name]: v for k, v in counts.items()},
      'special': {k.short_name: v for k, v in special.items()}}


def main():
  """Writes both files."""
  os.makedirs(os.path.dirname(PATH), exist_ok=True)
  for name, function, kinds in (
      ('lvis', lvis_metrics, ('bbox', 'segm')),
      ('tide', tide_figures, ('bbox', 'mask'))):
    content = [function(seed, kinds[seed % 4 == 3]) for seed in range(NUM_SETS)]
    with open(PATH % name, 'wb') as f:
      # Without the time, the same figures are the same file.
      with gzip.GzipFile('', 'wb', 9, f, mtime=0) as g:
        g.write(json.dumps(content, sort_keys=True).encode())


if __name__ == '__main__':
  main()
