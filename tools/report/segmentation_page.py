"""What the report says about a segmentation model."""

from typing import Any, Mapping

import cv2
import numpy as np

from configs import base
from evaluation import segmentation_results
from tools.report import evaluated_records
from tools.report import html_page
from utils import drawing

_CLASS_METRIC = 'eval/iou_class_%d'


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
  regions = {}
  for result in results:
    regions.setdefault(result['image_id'], []).append(result)
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
  image_ids = list(regions)
  rows = evaluated_records.spread(range(len(image_ids)), num_images)
  figures = []
  for row, image, features in evaluated_records.images(config, rows):
    predicted = segmentation_results.to_label_map(regions[image_ids[row]],
                                                  image.shape[:2])
    true = cv2.imdecode(np.frombuffer(features[
        'image/segmentation/class/encoded'].bytes_list.value[0], np.uint8),
                        cv2.IMREAD_GRAYSCALE)
    ignored = true == config.segmentation_parser.ignore_label
    figures.append(html_page.figure(evaluated_records.file_name(features), [
        (image, 'the image'),
        (drawing.draw_label_map(image, np.where(ignored, 0, true)),
         'known classes'),
        (drawing.draw_label_map(image, predicted), 'what the model said')]))
  images = [
      html_page.heading('Images it was not trained on'),
      html_page.colors([(name(i), drawing.class_color(i))
                        for i in classes if i]),
      html_page.images(figures)]
  return html_page.Content(
      'Mean IoU %s' % html_page.figure_text(metrics['miou']),
      len(image_ids), tables, images)
