"""Pasting is the inverse of cropping: perfect masks score what can be scored.

The crop is the parser's and the model's own; see mask_oracle.py.
"""

import functools
import gzip
import json

import numpy as np
import pytest

from tests import runtimes
from tests.evaluation import mask_oracle
from utils import mask_grids
from utils import masks

# Whole numbers and NumPy: no runtime has a part in it, so a case is for one.

# (side of the parser's crop, side of the targets; None: the crop, as of
# ShapeMask).
_SIZES = [(112, 28), (112, 56), (112, 112), (56, 28), (28, 28), (28, None),
          (56, None), (112, None)]


def _coco(step):
  """Every so many image of the set of tests/data, as a COCO dict."""
  with gzip.open('tests/data/coco_eval_json/instances_val2014_100.json.gz',
                 'rt', encoding='utf-8') as f:
    content = json.load(f)
  images = content['images'][::step]
  ids = {image['id'] for image in images}
  return dict(content, images=images, annotations=[
      a for a in content['annotations'] if a['image_id'] in ids])


@functools.lru_cache(None)
def _cells():
  """Two images of ellipses of the sizes of nuclei, which touch the border.

  One is full: with more objects than are scored.
  """
  random = np.random.RandomState(5)
  content = {'categories': [{'id': 1, 'name': 'cell'}], 'images': [],
             'annotations': []}
  for number, (size, spacing) in enumerate([((150, 210), 14), ((90, 100), 30)]):
    content['images'].append(
        {'id': number, 'height': size[0], 'width': size[1]})
    y, x = np.mgrid[:size[0], :size[1]]
    for center in np.mgrid[0:size[0]:spacing, 0:size[1]:spacing].reshape(
        [2, -1]).T:
      radii = random.uniform(.8, spacing * .45, 2)
      angle = random.uniform(0, np.pi)
      dy, dx = y - center[0] - random.uniform(), x - center[1] - 1
      along = dy * np.cos(angle) + dx * np.sin(angle)
      across = dx * np.cos(angle) - dy * np.sin(angle)
      rle = masks.encode((along / radii[0]) ** 2 + (across / radii[1]) ** 2 < 1)
      if masks.area(rle):
        content['annotations'].append(
            {'id': len(content['annotations']) + 1, 'image_id': number,
             'category_id': 1, 'iscrowd': 0, 'area': masks.area(rle),
             'bbox': masks.bounding_box(rle), 'segmentation': rle})
  return content


# What is left when 28 points are all that is known of a side: upstream's crop
# looks at one place for each of them, and not at what is between.
_POINTS = .96


def _limit(grid, sizes):
  is_coarse = (sizes[1] or sizes[0]) == 28
  return _POINTS if grid == 'corners' and is_coarse else .99


@pytest.mark.parametrize('sizes, grid', runtimes.product(
    [(112, 28), (112, 56), (64, None)], sorted(mask_oracle.GRIDS)))
def test_perfect_masks_of_some_coco_images(grid, sizes):
  annotations = _coco(step=5)
  cropper = mask_oracle.Cropper(grid, *sizes)
  metrics = mask_oracle.evaluate(annotations, cropper)
  assert metrics['AP'] == pytest.approx(1.)
  assert metrics['mask_AP'] > _limit(grid, sizes)
  assert metrics['mask_AP50'] == metrics['mask_AP75'] == pytest.approx(1.)
  legacy = mask_oracle.evaluate(annotations, cropper, mask_grids.LEGACY)
  assert legacy['mask_AP'] < metrics['mask_AP'] - .03


@pytest.mark.slow
@pytest.mark.parametrize('grid', sorted(mask_oracle.GRIDS))
@pytest.mark.parametrize('sizes', _SIZES)
def test_perfect_masks_of_coco(grid, sizes):
  metrics = mask_oracle.evaluate(_coco(step=1),
                                 mask_oracle.Cropper(grid, *sizes))
  assert metrics['mask_AP'] > _limit(grid, sizes)
  assert metrics['mask_APs'] > .985


@pytest.mark.parametrize('sizes, grid', runtimes.product(
    _SIZES, sorted(mask_oracle.GRIDS)))
def test_perfect_masks_of_many_small_objects(grid, sizes):
  """Compared with the boxes, of which 100 of an image are scored, too."""
  metrics = mask_oracle.evaluate(_cells(), mask_oracle.Cropper(grid, *sizes))
  assert .5 < metrics['AP'] < .95
  assert metrics['mask_AP'] > .99 * metrics['AP']


@pytest.mark.parametrize('grid', runtimes.alternate(sorted(mask_oracle.GRIDS)))
def test_any_box_gives_back_what_it_holds(grid):
  """Boxes with corners between pixels, beyond the image, and far too large."""
  random = np.random.RandomState(3)
  pixels = (random.uniform(size=[40, 30, 41]) < .5).astype(np.uint8)
  pixels = pixels.repeat(2, axis=1).repeat(2, axis=2)
  boxes = random.uniform(-15, 80, [40, 4])
  boxes[:, 2:] = boxes[:, :2] + random.uniform(2, 50, [40, 2])
  cropper = mask_oracle.Cropper(grid, 112, 112)
  y0, x0, y1, x1 = boxes.T
  pasted = masks.paste_masks(
      cropper(pixels, boxes), np.stack([x0, y0, x1 - x0, y1 - y0], axis=1),
      60, 82, cropper.grid)
  y, x = np.mgrid[:60, :82] + .5
  # The first and the last pixels lie on the border of the image for upstream's
  # crop, and the next sample of a box that reaches beyond is 0.
  in_image = (y > 1) & (y < 59) & (x > 1) & (x < 81)
  for box, expected, got in zip(boxes, pixels, pasted):
    # Half a pixel at the border of a box is where conventions differ.
    inside = ((y > box[0] + .6) & (y < box[2] - .6)
              & (x > box[1] + .6) & (x < box[3] - .6) & in_image)
    beyond = ((y < box[0] - .6) | (y > box[2] + .6)
              | (x < box[1] - .6) | (x > box[3] + .6))
    assert not got[beyond].any()
    wrong = (got != expected)[inside].mean() if inside.any() else 0.
    assert wrong < .06
