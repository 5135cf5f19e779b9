"""What the report says about a segmentation model."""

from typing import Any, Mapping

import cv2
import numpy as np

from configs import base
from evaluation import analysis as analysis_lib
from evaluation import segmentation_results
from tools.report import evaluated_records
from tools.report import html_page
from utils import drawing

_CLASS_METRIC = 'eval/iou_class_%d'
_MOST_WORST = 6  # images of the most wrong pixels


def content(config: base.Config, metrics: Mapping[str, Any], results: Any,
            num_images: int) -> html_page.Content:
  """The parts that differ between kinds of models.

  Args:
    config: an experiment.
    metrics: {name: float} of its evaluation.
    results: those of the same evaluation; see evaluation.segmentation_results.
    num_images: number of images to show.

  Returns:
    html_page.Content.
  """
  names = evaluated_records.class_names(config)
  def name(class_id):
    return names.get(class_id, str(class_id))
  by_image = {}
  for result in results:
    by_image.setdefault(result['image_id'], []).append(result)
  classes = [i for i in range(config.architecture.num_classes)
             if _CLASS_METRIC % i in metrics]
  tables = [
      html_page.heading('Overlap by class'),
      html_page.paragraph(
          'Intersection over union: among the pixels that have a class or were '
          'predicted to have it, the share for which both is true. "–": the '
          'class does not occur.'),
      html_page.table(['class', 'IoU'], [
          [name(i), metrics[_CLASS_METRIC % i]] for i in classes])]
  regions = list(by_image.values())  # In the order of the records.
  images = _images(config, regions, num_images, html_page.colors(
      [(name(i), drawing.class_color(i)) for i in classes if i]))
  return html_page.Content(
      'Mean IoU %s' % html_page.figure_text(metrics['miou']),
      len(regions), tables, images)


def _images(config, regions, num_images, legend):
  """[Block]: the worst images, and others."""
  errors = _errors(config, regions)
  worst = analysis_lib.worst_images(np.nan_to_num(errors),
                                    min(num_images, _MOST_WORST))
  spread = evaluated_records.spread(range(len(regions)), num_images)
  figures = _figures(config, regions, errors, set(worst.tolist() + spread))
  blocks = []
  if len(worst):
    blocks = [
        html_page.heading('The worst images'),
        html_page.paragraph(
            'Those with the largest share of wrong pixels, among the pixels '
            'that have a class; the worst first.'),
        legend, html_page.images([figures[row] for row in worst])]
  return blocks + [
      html_page.heading('Images it was not trained on'),
      html_page.paragraph('Taken at equal distances from all of them.'),
      legend, html_page.images([figures[row] for row in spread])]


def _errors(config, regions):
  """float64 [I]: of each image the share of its pixels that are wrong.

  NaN for an image of which no pixel has a class.

  Args:
    config: an experiment.
    regions: [[result] of an image], in the order of the records.
  """
  errors = np.full([len(regions)], np.nan)
  for row, features in evaluated_records.features_of(config, len(regions)):
    true, is_known = _known_classes(config, features)
    predicted = segmentation_results.to_label_map(regions[row], true.shape)
    if is_known.any():
      errors[row] = np.mean(predicted[is_known] != true[is_known])
  return errors


def _figures(config, regions, errors, rows):
  """{row: html_page.Figure}: image, known classes and predicted ones."""
  figures = {}
  for row, image, features in evaluated_records.images(config, rows):
    true, is_known = _known_classes(config, features)
    predicted = segmentation_results.to_label_map(regions[row],
                                                  image.shape[:2])
    verdict = ('%.1f %% of the pixels wrong' % (100. * errors[row])
               if is_known.any() else 'no pixel has a class')
    caption = '%s: %s' % (evaluated_records.file_name(features), verdict)
    figures[row] = html_page.figure(caption, [
        (image, 'the image'),
        (drawing.draw_label_map(image, np.where(is_known, true, 0)),
         'known classes'),
        (drawing.draw_label_map(image, predicted), 'what the model said')])
  return figures


def _known_classes(config, features):
  """Class ids uint8 [h, w] of a record, and bool [h, w], where there is one."""
  true = cv2.imdecode(np.frombuffer(features[
      'image/segmentation/class/encoded'].bytes_list.value[0], np.uint8),
                      cv2.IMREAD_GRAYSCALE)
  return true, true != config.segmentation_parser.ignore_label
