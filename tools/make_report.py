"""Writes a report of a trained and evaluated model: one HTML page.

  python -m tools.make_report --model_dir=demo/retinanet

The page needs no other file. It shows the metrics, also by class, the curves
of the losses, images of the evaluation set with what is known beside what the
model found, and the configuration. Everything is found through
model_dir/params.yaml: images and objects come from the evaluation records.
"""

import argparse
import os

import numpy as np
import tensorflow.compat.v1 as tf

from configs import base
from configs import factory
from evaluation import coco_metrics
from executor import groundtruth as groundtruth_lib
from executor import hooks
from executor import log as log_lib
from modeling import kept_names
from modeling import storage
from tools.common import numbers
from tools.report import classification_page
from tools.report import evaluated_records
from tools.report import html_page
from tools.report import segmentation_page
from utils import drawing
from utils import masks as mask_utils
from utils import text_files

_METRICS = (('AP', 'AP'), ('AP50', 'AP50'), ('AP75', 'AP75'),
            ('APs', 'AP small'), ('APm', 'AP medium'), ('APl', 'AP large'),
            ('ARmax100', 'AR'))
_KINDS = (('', 'box'), ('mask_', 'mask'),
          ('novel_mask_', 'mask of novel classes'),
          ('seen_mask_', 'mask of the other classes'))
_FEW = 5  # detections that are drawn where no score is high enough
_CLASS_METRIC = 'Precision mAP ByCategory%s/%s'
# type of the experiment, where it is not a detector: (config, metrics, results,
# number of images) -> html_page.Content.
_CONTENT = {'classification': classification_page.content,
            'segmentation': segmentation_page.content}


def build_page(model_dir: str, suffix: str = '', num_images: int = 12,
               min_score: float = 0.3) -> str:
  """Builds the page.

  Args:
    model_dir: the folder of a training run that was evaluated.
    suffix: `eval.suffix` of that evaluation.
    num_images: how many of the evaluated images are shown.
    min_score: detections below it are not drawn.

  Returns:
    HTML text.

  Raises:
    ValueError: if a file is missing; says what makes it.
  """
  config, _ = factory.load_config(
      params_file=_existing(os.path.join(model_dir, 'params.yaml'), 'train'))
  config = base.override(
      config, kept_names.changes(config.eval.label_map, model_dir)[0])
  eval_dir = os.path.join(model_dir, 'eval' + suffix)
  metrics = _load_json(os.path.join(eval_dir, 'metrics.json'))
  if config.type in _CONTENT:
    content = _CONTENT[config.type](
        config, metrics, _load_json(os.path.join(eval_dir, 'predictions.json')),
        num_images)
  else:
    content = _detection_content(
        config, metrics, _load_json(os.path.join(eval_dir, 'detections.json')),
        num_images, min_score)
  log = _read_log(os.path.join(model_dir, 'train_metrics.jsonl'))
  params = text_files.read(os.path.join(model_dir, 'params.yaml'))
  return html_page.page('%s: what it learnt' % config.type, [
      _headline(config, content, metrics['step'], log),
      *content.tables,
      html_page.heading('Losses of the training'), _loss_curves(log),
      html_page.heading('Images it was not trained on'),
      *content.images,
      html_page.heading('Configuration'),
      html_page.preformatted('params.yaml', params)])


def _detection_content(config, metrics, detections, num_images, min_score):
  """html_page.Content of a detector."""
  has_masks = any('segmentation' in d for d in detections)
  groundtruth, names = groundtruth_lib.of_records(config, has_masks)
  figures = ' and '.join('%s AP %s' % (
      kind, html_page.figure_text(metrics[prefix + 'AP']))
                         for prefix, kind in _KINDS if prefix + 'AP' in metrics)
  return html_page.Content(
      figures.capitalize().replace(' ap ', ' AP '), len(groundtruth['images']),
      [html_page.heading('Average precision'), _metric_table(metrics),
       html_page.heading('By class'),
       _class_table(metrics, names, groundtruth['annotations'])],
      [_drawn_images(config, groundtruth, detections, names, num_images,
                     min_score)])


def _existing(path, mode):
  if not tf.gfile.Exists(path):
    raise ValueError('There is no %s; main.py --mode=%s writes it.'
                     % (path, mode))
  return path


def _load_json(path):
  return text_files.read_json(_existing(path, 'eval'))


def _read_log(path):
  """[{step, time, losses ...}] of the training; a later run of a step wins."""
  by_step = {entry['step']: entry for entry in storage.read_json_lines(path)}
  return [by_step[step] for step in sorted(by_step)]


def _headline(config, content, step, log):
  """One sentence with the result."""
  text = '%s on %d images after %d steps of %d images' % (
      content.figures, content.num_images, step, config.train.train_batch_size)
  if len(log) > 1:
    text += ', trained in %s' % hooks.format_duration(
        log[-1]['time'] - log[0]['time'])
  return html_page.paragraph(
      '%s with TensorFlow %s.' % (text, tf.VERSION), 'headline')


def _metric_table(metrics):
  """A row for boxes, one for masks, and two where classes are told apart."""
  columns = _METRICS + tuple(
      (name, name) for name in coco_metrics.limit_names(metrics))
  rows = [[kind] + [metrics.get(prefix + key) for key, _ in columns]
          for prefix, kind in _KINDS if prefix + 'AP' in metrics]
  return html_page.table([''] + [title for _, title in columns], rows) + (
      html_page.paragraph(
          'AP is the precision averaged over recall, classes and the overlaps '
          '0.50 to 0.95 that count as found; AP50 and AP75 take one overlap. '
          'Small is below 32 x 32 pixels, large from 96 x 96 on; "-": there is '
          'no such object. AR is the share of objects that 100 detections per '
          'image find. All count the 100 best detections per image and class; '
          'those with max in their name count as many as the name says.'))


def _class_table(metrics, names, annotations):
  """A row for every class."""
  counts = {}
  for annotation in annotations:
    if not annotation['iscrowd']:
      category = annotation['category_id']
      counts[category] = counts.get(category, 0) + 1
  columns = [(prefix + _CLASS_METRIC, title, kind) for prefix, kind in _KINDS
             for title in ('', '@50IoU')
             if any(prefix + _CLASS_METRIC % (title, i) in metrics
                    for i in names)]
  titles = ['class', 'objects'] + [
      '%s AP%s' % (kind, '50' if title else '') for _, title, kind in columns]
  return html_page.table(titles, [
      [names[i], counts.get(i, 0)]
      + [metrics.get(key % (title, i)) for key, title, _ in columns]
      for i in sorted(names)])


def _loss_curves(log):
  names = sorted({key for entry in log for key in entry
                  if key.endswith('loss')})
  return html_page.curve({name: [(entry['step'], entry.get(name))
                                 for entry in log] for name in names})


def _drawn_images(config, groundtruth, detections, names, num_images,
                  min_score):
  """Pairs of images, taken at equal distances from the set."""
  images = groundtruth['images']
  by_image = _group(groundtruth['annotations'])
  found = _group(detections)
  parts = []
  for row, pixels, _ in evaluated_records.images(
      config, evaluated_records.spread(range(len(images)), num_images)):
    image = images[row]
    # A detection has the text id of its record, or the number it stands for.
    own = found.get(image['source_id'], found.get(str(image['id']), []))
    drawn, caption = _shown_detections(own, min_score)
    parts.append(html_page.image_pair(
        _draw(pixels, by_image.get(str(image['id']), []), names),
        _draw(pixels, drawn, names),
        ('%s: %d known objects' % (image['file_name'] or image['source_id'],
                                   len(by_image.get(str(image['id']), []))),
         caption)))
  return '\n'.join(parts)


def _shown_detections(own, min_score):
  """What of the detections of an image is drawn, and the caption.

  A model that has learnt little would leave the image empty, which looks as if
  nothing worked: its best detections are drawn then.
  """
  drawn = [d for d in own if d['score'] >= min_score]
  if drawn or not own:
    return drawn, ('detections with a score of at least %g' % min_score if own
                   else 'no detection at all')
  drawn = sorted(own, key=lambda d: -d['score'])[:_FEW]
  return drawn, 'no score reaches %g; the best %d, of %.2g and less' % (
      min_score, len(drawn), drawn[0]['score'])


def _group(objects):
  """{image id as text: [object]}."""
  groups = {}
  for entry in objects:
    groups.setdefault(str(entry['image_id']), []).append(entry)
  return groups


def _draw(pixels, objects, names):
  """Draws annotations or detections of a COCO file."""
  boxes = np.array([o['bbox'] for o in objects], np.float64).reshape([-1, 4])
  boxes = np.concatenate([boxes[:, 1::-1], boxes[:, 1::-1] + boxes[:, :1:-1]],
                         axis=1)
  has_masks = objects and all('segmentation' in o for o in objects)
  return drawing.draw_detections(
      pixels, boxes, [o['category_id'] for o in objects],
      [o['score'] for o in objects] if objects and 'score' in objects[0]
      else None, names,
      [mask_utils.decode(o['segmentation']) for o in objects] if has_masks
      else None, min_size=512, max_boxes=len(objects),
      # With masks of one class, its colour would melt neighbours together.
      color_objects=bool(has_masks) and len(names) == 1)


def main() -> None:
  parser = argparse.ArgumentParser(
      description='Writes a report of a trained and evaluated model.')
  parser.add_argument('--model_dir', required=True,
                      help='folder of the training run')
  parser.add_argument('--output',
                      help='the page; default: report.html in model_dir')
  parser.add_argument('--suffix', default='',
                      help='eval.suffix of the evaluation')
  parser.add_argument('--num_images', '--num_pictures', type=numbers.whole(0),
                      default=12,
                      help='images shown')
  parser.add_argument('--min_score', type=numbers.share, default=0.3,
                      help='detections below it are not drawn')
  args = parser.parse_args()
  log_lib.set_up()
  output = args.output or os.path.join(args.model_dir, 'report.html')
  try:
    page = build_page(args.model_dir, args.suffix, args.num_images,
                      args.min_score)
    with storage.output_path(output) as temporary:
      with open(temporary, 'w', encoding='utf-8') as f:
        f.write(page)
  except ValueError as e:
    raise SystemExit('Error: %s' % e)
  print('The report is %s.' % (output if storage.is_remote(output)
                               else os.path.abspath(output)))


if __name__ == '__main__':
  main()
