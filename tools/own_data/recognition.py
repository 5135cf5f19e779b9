"""Which kind of data a folder or file holds, and where its parts are."""

import collections
import os
import shlex
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
_LOOKED_INTO = 60  # folders in which data are looked for
_NAMED = 3  # folders in a message


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
    RecognitionError: saying what was looked for, if nothing is recognised;
      with the folders that may be meant, if there are several.
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
  found = _of_folder(data, images, model, kinds) or _within(
      data, data, images, model, kinds)
  if found:
    return found
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


def _within(folder, data, images, model, kinds):
  """Found of the only folder around everything, or in others, or None.

  An archive often has one folder around everything, next to which notes and
  other folders come to lie.

  Raises:
    RecognitionError: if several folders may be meant, or what is in the only
      one cannot be used.
  """
  inside = [os.path.join(folder, name) for name in layouts.folders(folder)]
  if len(inside) == 1:
    found = _of_folder(inside[0], images, model, kinds)
    return _noted(found, inside[0], data) if found else _within(
        inside[0], data, images, model, kinds)
  candidates, reasons = collections.OrderedDict(), []
  for place in inside[:_LOOKED_INTO]:
    if _is_part(os.path.basename(place)):
      continue  # What others are evaluated by is not trained on instead.
    try:
      while place and place not in candidates:
        found = _of_folder(place, images, model, kinds)
        if found:
          candidates[place] = found
        else:
          place = layouts.only_folder(place)
    except layouts.RecognitionError as e:
      reasons.append(e)
  if not candidates:
    if len(reasons) == 1:
      raise reasons[0]
    return None
  place, found = next(iter(candidates.items()))
  others = layouts.folders_of_images(folder)
  # It may be one of the classes, with folders in it.
  if len(candidates) > 1 or found.kind == layouts.CLASSES and others:
    _stop_for(_several(candidates, others, data))
  found = _noted(found, place, data)
  return found._replace(notes=found.notes + [
      'Another folder was passed over: %s' % e for e in reasons])


def _noted(found, place, data):
  """Found with a sentence about the folder that is used."""
  return found._replace(notes=[
      '%s is used, the only folder in %s that holds %s.' % (
          place, data, found.kind)] + found.notes)


def _is_part(name):
  """Whether a folder is called as a part of a set, or as one to judge by."""
  return layouts.PARTS.match(name) or layouts.split_of(name) in (
      layouts.VAL, layouts.TEST)


def _several(candidates, others, data):
  """Sentences that leave the choice among folders to the user.

  Args:
    candidates: {path: Found}.
    others: [name] of folders of images without a set.
    data: path, the folder that was given.
  """
  lines = ['%s: it is not clear which folder in it is meant%s. Give one:' % (
      data, ', as there are also images in %s' % ' and '.join(others[:_NAMED])
      if others else '')]
  lines += ['  python -m tools.train_on --data=%s ...  # %s' % (
      shlex.quote(place), found.kind) for place, found in candidates.items()]
  if {found.kind for found in candidates.values()} == {layouts.CLASSES}:
    lines.append('Or, if these folders are themselves the classes, move the '
                 'images of each directly into it.')
  return '\n'.join(lines)


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
    place = layouts.home_of_images(os.path.join(folder, name))
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
