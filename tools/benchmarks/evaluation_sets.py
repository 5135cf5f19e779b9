"""Made-up detections and objects of data sets of any size, for benchmarks."""

import numpy as np

from utils import masks

_MASK_SIZE = 28  # of Mask R-CNN
_NUM_SHAPES = 100  # different masks
_HEIGHT, _WIDTH = 480, 640


def make(num_images, num_categories, detections_per_image=100,
         objects_per_image=7, seed=0):
  """COCO annotations and results, boxes only.

  A third of the detections is near an object, mostly of its class; the better
  they are, the higher is their score. Some objects are crowds. Images have the
  lists of LVIS.

  Args:
    num_images: int.
    num_categories: int; their ids begin at 1.
    detections_per_image: int.
    objects_per_image: int, in the mean.
    seed: int.

  Returns:
    (annotations as a dict, results as a list).
  """
  random = np.random.RandomState(seed)
  annotations = {
      'images': [], 'annotations': [], 'categories': [
          {'id': i + 1, 'name': 'class %d' % (i + 1), 'frequency': 'rcf'[i % 3]}
          for i in range(num_categories)]}
  results = []
  # Few classes have most of the objects.
  shares = 1. / np.arange(1, num_categories + 1)
  shares /= shares.sum()
  for image_id in range(1, num_images + 1):
    num_objects = random.poisson(objects_per_image)
    boxes = _boxes(random, num_objects)
    classes = random.choice(num_categories, num_objects, p=shares) + 1
    crowds = random.uniform(size=num_objects) < .01
    absent = random.choice(num_categories, 5) + 1
    annotations['images'].append({
        'id': image_id, 'height': _HEIGHT, 'width': _WIDTH,
        'file_name': '%012d.jpg' % image_id,
        'neg_category_ids': np.setdiff1d(absent, classes).tolist(),
        'not_exhaustive_category_ids': []})
    annotations['annotations'].extend(
        {'id': len(annotations['annotations']) + i + 1, 'image_id': image_id,
         'category_id': c, 'bbox': box, 'area': box[2] * box[3],
         'iscrowd': int(crowd)} for i, (c, box, crowd) in enumerate(
             zip(classes.tolist(), boxes.tolist(), crowds.tolist())))
    results.extend(_detections(random, image_id, boxes, classes,
                               detections_per_image, shares))
  return annotations, results


def _boxes(random, count):
  """float [count, 4], (x, y, width, height) within the image."""
  sides = np.exp(random.uniform(np.log(12), np.log(300), [count, 2]))
  corners = random.uniform(size=[count, 2]) * (
      np.array([_WIDTH, _HEIGHT]) - sides)
  return np.concatenate([corners, sides], axis=1)


def _detections(random, image_id, boxes, classes, count, shares):
  """[result] of one image."""
  num_near = count // 3 if len(boxes) else 0
  objects = random.randint(max(len(boxes), 1), size=num_near)
  errors = np.abs(random.normal(size=[num_near, 1])) * .15
  near = boxes[objects] if num_near else np.zeros([0, 4])
  near = near + errors * random.normal(size=near.shape) * near[:, [2, 3, 2, 3]]
  near[:, 2:] = np.maximum(near[:, 2:], 2.)
  found = np.concatenate([near, _boxes(random, count - num_near)])
  labels = random.choice(len(shares), count, p=shares) + 1
  is_own = random.uniform(size=num_near) < .8
  labels[:num_near][is_own] = classes[objects[is_own]]
  scores = np.concatenate([np.exp(-4 * errors[:, 0]),
                           random.uniform(size=count - num_near) ** 3])
  return [{'image_id': image_id, 'category_id': c, 'bbox': box, 'score': score}
          for c, box, score in zip(labels.tolist(), found.tolist(),
                                   scores.round(4).tolist())]


def model_masks(count):
  """Masks as a model predicts them: float32 [count, S, S], smooth blobs."""
  random = np.random.RandomState(0)
  y, x = np.mgrid[:_MASK_SIZE, :_MASK_SIZE] / (_MASK_SIZE - 1.)
  shapes = []
  for _ in range(min(count, _NUM_SHAPES)):
    (y0, x0), (height, width) = (random.uniform(.4, .6, 2),
                                 random.uniform(.25, .5, 2))
    distance = ((y - y0) / height) ** 2 + ((x - x0) / width) ** 2
    distance += .3 * np.sin(random.uniform(2, 7) * (x + y))
    shapes.append(1. / (1. + np.exp(np.clip(6. * (distance - 1), -50, 50))))
  repeats = -(-count // _NUM_SHAPES)
  return np.array(shapes * repeats, np.float32)[:count].reshape(
      [-1, _MASK_SIZE, _MASK_SIZE])


def with_masks(content, results):
  """The same annotations and results with a mask in every box."""
  content = dict(content, annotations=[
      dict(annotation, segmentation=rle) for annotation, rle in zip(
          content['annotations'], _rles(content['annotations']))])
  return content, [dict(result, segmentation=rle)
                   for result, rle in zip(results, _rles(results))]


def _rles(objects):
  boxes = np.array([found['bbox'] for found in objects])
  return masks.paste_and_encode(model_masks(len(boxes)), boxes, _HEIGHT, _WIDTH)
