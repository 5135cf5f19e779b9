"""Makes the data of the demo: drawn scenes, the same ones for the same seed.

  python -m tools.make_demo_data --output=demo/data

writes images and COCO annotations,
  demo/data/images/train/000001.jpg ...    demo/data/instances_train.json
  demo/data/images/val/010001.jpg ...      demo/data/instances_val.json
and the records that the COCO converter makes from them,
  demo/data/train-00000-of-00008.tfrecord ... demo/data/train-label_map.csv
  demo/data/val-00000-of-00008.tfrecord ...   demo/data/val-label_map.csv
See tools/datasets/demo_scenes.py for what the scenes show.

With --kind=classification it writes images of one object, in a folder for
each class,
  demo/images/train/disc/000001.jpg ...
  demo/images/validation/disc/010001.jpg ...
and with --kind=segmentation images and label maps,
  demo/scenes/images/train/000001.jpg ...
  demo/scenes/labels/train/000001.png ...    demo/scenes/label_map.csv
which the converters of such data turn into records.
"""

import argparse
import functools
import json
import os
from typing import Any, Dict, Optional

import cv2
import numpy as np

from tools.common import numbers
from tools.datasets import coco_record_writer
from tools.datasets import demo_scenes
from tools.datasets import staged_files
from utils import files
from utils import label_map as label_maps
from utils import masks as mask_utils

SPLITS = ('train', 'val')  # each draws from seeds of its own
_JPEG_QUALITY = 92
_IDS_PER_SPLIT = 10000  # so that image ids tell the splits apart


def make_split(folder: str, split: str, num_scenes: int, size: int, seed: int,
               num_shards: int,
               num_processes: Optional[int] = None) -> Dict[str, Any]:
  """Draws one set and converts it to records.

  Args:
    folder: the folder of all data.
    split: 'train' or 'val'.
    num_scenes: int.
    size: height and width of a scene, pixels.
    seed: int.
    num_shards: files of records.
    num_processes: int; None: one per core.

  Returns:
    dict, content of the index file of the records.
  """
  image_folder = os.path.join(folder, 'images', split)
  os.makedirs(image_folder, exist_ok=True)
  draw = functools.partial(_draw, folder=image_folder,
                           seed=[seed, SPLITS.index(split)], size=size)
  image_ids = _image_ids(split, num_scenes)
  drawn = list(staged_files.map_in_processes(draw, image_ids, num_processes))
  dataset = _coco_dataset(image_ids, drawn, size)
  files.write_atomically(os.path.join(folder, 'instances_%s.json' % split),
                         json.dumps(dataset))
  return coco_record_writer.write_dataset(
      dataset, os.path.join(folder, split),
      functools.partial(_load, image_folder),
      coco_record_writer.Options(num_shards=num_shards, overwrite=True,
                                 num_processes=num_processes))


def _file_name(image_id):
  return '%06d.jpg' % image_id


def _image_ids(split, count):
  first = _IDS_PER_SPLIT * SPLITS.index(split) + 1
  return list(range(first, first + count))


def _save(folder, image_id, image):
  cv2.imwrite(os.path.join(folder, _file_name(image_id)), image[:, :, ::-1],
              [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])


def _draw(image_id, folder, seed, size):
  """Draws a scene and saves it.

  Returns:
    [(class id, is_crowd, RLE)], one for each object.
  """
  image, objects = demo_scenes.draw_scene(seed + [image_id], size)
  _save(folder, image_id, image)
  return [(o.class_id, int(o.is_crowd), mask_utils.encode(o.mask))
          for o in objects]


def _coco_dataset(image_ids, drawn, size):
  """COCO dictionary of a set; boxes and areas are those of visible parts."""
  annotations = []
  for image_id, objects in zip(image_ids, drawn):
    for class_id, is_crowd, rle in objects:
      annotations.append({
          'id': len(annotations) + 1, 'image_id': image_id,
          'category_id': class_id, 'iscrowd': is_crowd, 'segmentation': rle,
          'bbox': mask_utils.bounding_box(rle), 'area': mask_utils.area(rle)})
  return {
      'images': [{'id': i, 'file_name': _file_name(i), 'height': size,
                  'width': size} for i in image_ids],
      'annotations': annotations,
      'categories': [{'id': i, 'name': name}
                     for i, name in sorted(demo_scenes.LABEL_MAP.items())]}


def _load(folder, image):
  with open(os.path.join(folder, image['file_name']), 'rb') as f:
    return f.read()


def make_images(folder: str, split: str, num_images: int, size: int, seed: int,
                num_processes: Optional[int] = None) -> None:
  """Draws one set for classification, in a folder for each class.

  Args:
    folder: the folder of both sets.
    split: 'train' or 'val', which is called validation.
    num_images: int; all classes have the same number, or one more.
    size: height and width of an image, pixels.
    seed: int.
    num_processes: int; None: one per core.
  """
  name = 'validation' if split == 'val' else split
  for class_name in demo_scenes.CLASS_NAMES:
    os.makedirs(os.path.join(folder, name, class_name), exist_ok=True)
  draw = functools.partial(
      _draw_image, folder=os.path.join(folder, name),
      seed=[seed, SPLITS.index(split)], size=size)
  for _ in staged_files.map_in_processes(
      draw, _image_ids(split, num_images), num_processes):
    pass


def _draw_image(image_id, folder, seed, size):
  """Draws an image into the folder of its class."""
  class_id = image_id % len(demo_scenes.CLASS_NAMES) + 1
  image = demo_scenes.draw_image(seed + [image_id], class_id, size)
  _save(os.path.join(folder, demo_scenes.LABEL_MAP[class_id]), image_id, image)


def make_label_maps(folder: str, split: str, num_scenes: int, size: int,
                    seed: int, num_processes: Optional[int] = None) -> None:
  """Draws one set for segmentation: images, and classes of their pixels.

  Args:
    folder: the folder of both sets.
    split: 'train' or 'val'.
    num_scenes: int.
    size: height and width of a scene, pixels.
    seed: int.
    num_processes: int; None: one per core.
  """
  for kind in ('images', 'labels'):
    os.makedirs(os.path.join(folder, kind, split), exist_ok=True)
  draw = functools.partial(_draw_label_map, folder=folder, split=split,
                           seed=[seed, SPLITS.index(split)], size=size)
  for _ in staged_files.map_in_processes(
      draw, _image_ids(split, num_scenes), num_processes):
    pass
  names = dict(demo_scenes.LABEL_MAP)
  names[0] = 'background'
  label_maps.write_label_map(os.path.join(folder, 'label_map.csv'), names)


def _draw_label_map(image_id, folder, split, seed, size):
  """Draws a scene and the label map of what can be seen of its objects."""
  image, objects = demo_scenes.draw_scene(seed + [image_id], size)
  classes = np.zeros([size, size], np.uint8)
  for scene_object in objects:
    classes[scene_object.mask] = scene_object.class_id
  _save(os.path.join(folder, 'images', split), image_id, image)
  cv2.imwrite(os.path.join(folder, 'labels', split, '%06d.png' % image_id),
              classes)


def main() -> None:
  parser = argparse.ArgumentParser(
      description='Draws the scenes of the demo and makes records of them.')
  parser.add_argument('--kind', default='detection',
                      help='kind of model that the data are for',
                      choices=('detection', 'classification', 'segmentation'))
  parser.add_argument('--output', default='demo/data', help='folder')
  parser.add_argument('--num_train', type=numbers.whole(), default=4000,
                      help='training scenes')
  parser.add_argument('--num_val', type=numbers.whole(), default=200,
                      help='validation scenes')
  parser.add_argument('--image_size', default=192,
                      type=numbers.whole(demo_scenes.MIN_SCENE),
                      help='height and width of a scene, pixels')
  parser.add_argument('--num_shards', type=numbers.whole(), default=8,
                      help='files of records of each set')
  parser.add_argument('--seed', type=int, default=1,
                      help='other seeds give other scenes')
  args = parser.parse_args()
  for split, num_scenes in zip(SPLITS, (args.num_train, args.num_val)):
    common = (args.output, split, num_scenes, args.image_size, args.seed)
    if args.kind == 'classification':
      make_images(*common)
    elif args.kind == 'segmentation':
      make_label_maps(*common)
    else:
      make_split(*common, args.num_shards)


if __name__ == '__main__':
  main()
