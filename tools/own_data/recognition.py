"""Which kind of data a folder or file holds, and where its parts are."""

import os
from typing import Optional

from dataloader import file_patterns
from tools.datasets import image_folders
from tools.own_data import coco_layouts
from tools.own_data import foreign
from tools.own_data import image_layouts
from tools.own_data import layouts
from tools.own_data import voc_layouts
from tools.own_data import yolo_layouts

# Which kinds a model learns from.
_OF_OBJECTS = (layouts.COCO, layouts.YOLO, layouts.VOC)
_OF_MODEL = {'retinanet': _OF_OBJECTS, 'mask_rcnn': _OF_OBJECTS,
             'classification': (layouts.CLASSES,),
             'segmentation': (layouts.LABEL_MAPS,)}


def recognise(data: str, images: Optional[str] = None,
              model: Optional[str] = None) -> layouts.Found:
  """Recognises the format of a data set.

  Args:
    data: a file or a folder.
    images: the folder of the images of a COCO file, or None.
    model: the model that is to learn it, or None.

  Returns:
    Found.

  Raises:
    RecognitionError: saying what was looked for, if nothing is recognised.
  """
  if not os.path.exists(data):
    raise layouts.RecognitionError(
        '--data: there is no file or folder %s.' % data)
  kinds = _OF_MODEL.get(model, _OF_OBJECTS + (layouts.LABEL_MAPS,
                                              layouts.CLASSES))
  if os.path.isfile(data):
    found = _of_file(data, images)
    if found.kind not in kinds:
      raise layouts.RecognitionError('--model=%s does not learn from %s.' % (
          model, found.kind))
    return found
  folder = data
  while True:
    found = _of_folder(folder, images, model, kinds)
    if found:
      return found
    # An archive often has one folder around everything.
    inside = layouts.folders(folder)
    if len(inside) != 1:
      break
    folder = os.path.join(folder, inside[0])
  if layouts.COCO in kinds:
    _stop_for(foreign.sentence(data, own=True))
  raise layouts.RecognitionError(
      '%s: nothing was recognised%s.%s Looked for: a COCO file (.json with '
      'images and annotations); data.yaml, or folders images and labels '
      '(YOLO); Annotations and JPEGImages, or .xml files (VOC); images and '
      'label maps of the same names in two folders, such as images and masks; '
      'a folder of images for each class. For labelme, CVAT and tables, '
      'convert with tools.create_labelme_tfrecord, create_cvat_tfrecord or '
      'create_csv_tfrecord; then continue with tools.new_config.' % (
          data, ' that --model=%s learns from' % model if model else '',
          ''.join(' ' + hint for hint in (
              _hint_about_parent(data, images, kinds),
              _hint_about_folders(data, kinds)) if hint)))


def _of_folder(folder, images, model, kinds):
  """Found of the first of the kinds that a folder holds, or None."""
  for kind in kinds:
    if kind == layouts.VOC:
      _stop_for(foreign.sentence(folder, ['.xml']))
    found = _FINDERS[kind](folder, images)
    if found:
      if kind == layouts.CLASSES and model is None:
        _refuse_annotated(folder, found)
      return found._replace(notes=found.notes + _unused(folder, found))
  return None


def _of_file(path, images):
  if path.lower().endswith(('.yaml', '.yml')):
    return yolo_layouts.of_file(path)
  if not path.lower().endswith('.json'):
    raise layouts.RecognitionError(
        '%s is neither a COCO file (.json) nor a data.yaml of YOLO; give the '
        'folder of the data set.' % path)
  content = coco_layouts.content_of(path)
  if content is None:
    raise layouts.RecognitionError(
        '%s is not a COCO file: it has no lists images and annotations.' % path)
  return layouts.Found(layouts.COCO, {layouts.ALL: {
      'annotations': path,
      'images': images or coco_layouts.images_of(content, path)}}, [])


def _stop_for(sentence):
  """Raises RecognitionError with a sentence, if there is one."""
  if sentence:
    raise layouts.RecognitionError(sentence)


def _unused(folder, found):
  """[note] about images for evaluation that are not used."""
  if found.has_splits or layouts.TRAIN not in found.splits:
    return []
  places = [folder] + [os.path.join(folder, name)
                       for name in layouts.IMAGE_FOLDERS]
  unused = [os.path.join(place, name) for place in places
            if os.path.isdir(place) for name in layouts.folders(place)
            if layouts.split_of(name) == layouts.VAL]
  return ['%s is not used, as it has no annotations of %s; train is divided '
          'instead.' % (unused[0], found.kind)] if unused else []


def _refuse_annotated(folder, found):
  """Stops before annotated images are taken for class folders.

  Raises:
    RecognitionError: naming a file, and the command that converts it.
  """
  sentence = foreign.sentence(folder, own=True) or next(filter(None, (
      _annotated(parts['folder']) for parts in found.splits.values())), None)
  _stop_for(sentence and sentence + (
      ' If the folders are classes of images: --model=classification.'))


def _annotated(folder):
  """A sentence about files that go with images in folders, or None."""
  for name in layouts.folders_of_images(folder):
    place = os.path.join(folder, name)
    stems = {image_folders.stem(n) for n in layouts.images_in(place)}
    for other in file_patterns.names_in(place, ('.txt', '.json', '.xml')):
      if image_folders.stem(other) in stems:
        return ('%s has the name of an image next to it, as annotations have, '
                'and what it holds was not recognised.' % (
                    os.path.join(place, other)))
  return None


def _hint_about_parent(data, images, kinds):
  """A sentence where the folder around the one that was given is meant."""
  parent = os.path.dirname(os.path.abspath(data))
  # Only these are recognised without reading large files.
  for kind in (layouts.VOC, layouts.YOLO):
    try:
      if kind in kinds and _FINDERS[kind](parent, images):
        return 'But %s holds %s: give that folder.' % (parent, kind)
    except (layouts.RecognitionError, ValueError, OSError):
      pass  # A hint is not worth an error.
  return None


def _hint_about_folders(folder, kinds):
  """A sentence about folders of images that do not make classes, or None."""
  if layouts.CLASSES not in kinds:
    return None
  names = layouts.folders_of_images(folder)
  parts = [name for name in names if layouts.PARTS.match(name)]
  if parts:
    return ('No annotations of the images in %s were found, and folders of '
            'such names are not classes.' % ' and '.join(parts))
  if len(names) == 1:
    return ('There is one class folder, %s: classification needs images of two '
            'classes or more.' % names[0])
  return None


# (folder, images) -> layouts.Found or None.
_FINDERS = {layouts.COCO: coco_layouts.find, layouts.VOC: voc_layouts.find,
            layouts.YOLO: yolo_layouts.find,
            layouts.LABEL_MAPS: image_layouts.find_label_maps,
            layouts.CLASSES: image_layouts.find_classes}
