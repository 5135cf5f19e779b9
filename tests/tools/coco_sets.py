"""A small COCO set with every form of id, image and mask."""

import json

import numpy as np
from PIL import Image

SIZE = (40, 50)  # height, width of every image
IMAGE_IDS = (7, 'scan/b', 12)


def rle(height, width, y0, x0, y1, x1):
  """Uncompressed run-length code of a rectangle."""
  mask = np.zeros([height, width], np.uint8)
  mask[y0:y1, x0:x1] = 1
  counts, value = [0], 0
  for pixel in mask.ravel('F').tolist():
    if pixel != value:
      counts.append(0)
      value = pixel
    counts[-1] += 1
  return {'size': [height, width], 'counts': counts}


def polygon(y0, x0, y1, x1):
  """A rectangle as [x, y, x, y, ...]."""
  return [float(v) for v in (x0, y0, x1, y0, x1, y1, x0, y1)]


def rectangle(annotation_id, image_id, category_id, corners, **more):
  """An annotation whose mask is its box; corners: (y0, x0, y1, x1)."""
  y0, x0, y1, x1 = corners
  return dict({
      'id': annotation_id, 'image_id': image_id, 'category_id': category_id,
      'bbox': [float(v) for v in (x0, y0, x1 - x0, y1 - y0)], 'iscrowd': 0,
      'area': float((y1 - y0) * (x1 - x0)),
      'segmentation': [polygon(*corners)]}, **more)


def dataset():
  """Three images: two objects and a crowd, one object, none.

  The ids of images are numbers and text, those of categories have a gap.
  """
  return {
      'images': [{'id': i, 'file_name': name, 'height': SIZE[0],
                  'width': SIZE[1]} for i, name in zip(
                      IMAGE_IDS, ('a.jpg', 'b.png', 'c.jpg'))],
      'annotations': [
          rectangle(1, 7, 3, (5, 10, 20, 40)),
          rectangle(2, 7, 1, (0, 0, 40, 8), iscrowd=1,
                    segmentation=rle(40, 50, 0, 0, 40, 8)),
          rectangle(3, 'scan/b', 1, (30, 20, 38, 32)),
          rectangle(4, 7, 1, (22, 12, 32, 24)),
      ],
      'categories': [{'id': 1, 'name': 'disc'}, {'id': 3, 'name': 'Box'}],
  }


def pixels(seed):
  """uint8 [height, width, 3]."""
  return np.random.RandomState(seed).randint(
      0, 256, SIZE + (3,)).astype(np.uint8)


def write(folder, content=None):
  """Writes the images and annotations.

  Args:
    folder: pathlib.Path, made if need be.
    content: dataset to write; None: that of `dataset`.

  Returns:
    path of the annotations, path of the folder of images, both str.
  """
  images = folder / 'images'
  images.mkdir(parents=True)
  Image.fromarray(pixels(0)).save(str(images / 'a.jpg'))
  alpha = np.full(SIZE + (1,), 255, np.uint8)
  Image.fromarray(np.concatenate([pixels(1), alpha], -1)).save(
      str(images / 'b.png'))
  Image.fromarray(pixels(2)).save(str(images / 'c.jpg'))
  path = folder / 'instances.json'
  path.write_text(json.dumps(content or dataset()))
  return str(path), str(images)
