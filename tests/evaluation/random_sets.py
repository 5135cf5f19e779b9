"""Small made-up data sets with everything that evaluations trip over.

Objects and detections crowd around few places, so that they compete; scores
and sizes repeat; some images are empty, some classes absent. The numbers come
from np.random.RandomState, whose streams are the same in all versions of
NumPy: figures of other programs, recorded once, belong to them.
"""

import numpy as np

CATEGORIES = (3, 1, 9, 4)
_SIDES = (8., 30., 33., 97., 110.)
_HEIGHT, _WIDTH = 300, 400


def coco_set(seed, num_images=3, max_objects=7, max_detections=24,
             crowd_share=.2, without_areas=True):
  """COCO annotations and results.

  Args:
    seed: int.
    num_images: int.
    max_objects: int, of an image, at most.
    max_detections: int, of an image, at most.
    crowd_share: share of objects that are crowds.
    without_areas: whether some objects have no area.

  Returns:
    (annotations as a dict, results as a list), boxes and polygons.
  """
  random = np.random.RandomState(seed)
  annotations = {
      'images': [{'id': int(i), 'height': _HEIGHT, 'width': _WIDTH}
                 for i in random.permutation(40)[:num_images] + 1],
      'annotations': [], 'categories': [
          {'id': c, 'name': 'c%d' % c} for c in CATEGORIES]}
  results = []
  for image in annotations['images']:
    centers = random.uniform(20, 280, [3, 2])
    first = len(annotations['annotations'])
    for _ in range(random.randint(0, max_objects + 1)):
      entry = {'id': len(annotations['annotations']) + 1,
               'image_id': image['id'], 'iscrowd': int(
                   random.uniform() < crowd_share),
               'category_id': int(random.choice(CATEGORIES[:3]))}
      _place(entry, centers, random)
      if without_areas and random.uniform() < .2:
        del entry['area']
      annotations['annotations'].append(entry)
    for _ in range(random.randint(0, max_detections + 1)):
      results.append({'image_id': image['id'],
                      'category_id': int(random.choice(CATEGORIES)),
                      'score': float(np.round(random.uniform(), 1))})
      of_image = annotations['annotations'][first:]
      if of_image and random.uniform() < .6:
        _place_near(results[-1], of_image, random)
      else:
        _place(results[-1], centers, random)
        del results[-1]['area']
  return annotations, results


def lvis_set(seed):
  """LVIS annotations and results: categories that images do not tell of."""
  random = np.random.RandomState(seed + 10000)
  annotations, results = coco_set(seed, num_images=6, crowd_share=0,
                                  without_areas=False)
  for annotation in annotations['annotations']:
    del annotation['iscrowd']
  for image in annotations['images']:
    present = {a['category_id'] for a in annotations['annotations']
               if a['image_id'] == image['id']}
    absent = [c for c in CATEGORIES if c not in present]
    image['neg_category_ids'] = [c for c in absent if random.uniform() < .6]
    image['not_exhaustive_category_ids'] = [
        c for c in CATEGORIES if random.uniform() < .25]
  for category, frequency in zip(annotations['categories'],
                                 random.permutation(['r', 'c', 'f', 'f'])):
    category['frequency'] = str(frequency)
  if not results:  # which the package of LVIS does not take
    results.append({'image_id': annotations['images'][0]['id'],
                    'category_id': 1, 'score': .5, 'bbox': [1., 1., 9., 9.],
                    'segmentation': [_corners([1., 1., 9., 9.])]})
  return annotations, results


def _place(entry, centers, random):
  """Gives an entry a box of a few common sizes and places."""
  y, x = centers[random.randint(len(centers))]
  height, width = random.choice(_SIDES, 2)
  x = max(0., x - width / 2 + random.randint(3))
  y = max(0., y - height / 2)
  entry['bbox'] = [float(v) for v in (x, y, width, height)]
  entry['area'] = float(width * height)
  entry['segmentation'] = [_corners(entry['bbox'])]


def _place_near(entry, objects, random):
  """Gives an entry the box of an object, moved a little; mostly its class."""
  found = objects[random.randint(len(objects))]
  x, y, width, height = found['bbox']
  entry['bbox'] = [x + random.randint(4), y, width,
                   height * float(random.choice([1., 1., .8, .5]))]
  entry['segmentation'] = [_corners(entry['bbox'])]
  if random.uniform() < .8:
    entry['category_id'] = found['category_id']


def _corners(box):
  """Polygon around a box (x, y, width, height)."""
  x, y, w, h = box
  return [x, y, x + w, y, x + w, y + h, x, y + h]
