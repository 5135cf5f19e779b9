"""Which kind of data a folder or file holds, and where its parts are."""

import collections
import os
import re
import typing
from typing import Optional

import yaml

from dataloader import file_patterns
from tools.datasets import annotation_checks
from tools.datasets import image_folders
from tools.datasets import image_names
from tools.datasets import label_images
from tools.datasets import source_set
from tools.datasets import voc_images
from tools.own_data import foreign
from utils import text_files

RecognitionError = annotation_checks.ConversionError


class NoTrainingSetError(RecognitionError):
  """A data.yaml that names classes and no images to train on."""


class NotYamlError(RecognitionError):
  """A file with the ending of YAML that is not YAML."""


COCO, VOC, YOLO, CLASSES, LABEL_MAPS = (
    'COCO', 'VOC', 'YOLO', 'class folders', 'label maps')
TRAIN, VAL, TEST, ALL = 'train', 'val', 'test', 'all'
# Folders and files of splits, as programs and people call them.
_SPLITS = ((TRAIN, r'(^|[\W_\d])(train|training)(ing)?\d*($|[\W_])'),
           (VAL, r'(^|[\W_\d])(val|valid|validation|dev)\d*($|[\W_])'),
           (TEST, r'(^|[\W_\d])(test|testing)\d*($|[\W_])'))
_XML_FOLDERS = ('Annotations', 'annotations', 'xmls', 'labels')
_TRAIN_VAL = 'trainval'  # the list of VOC of the images of both
_IMAGE_FOLDERS = ('images', 'image', 'imgs', 'img', 'JPEGImages', 'photos')
_LABEL_FOLDERS = ('labels', 'label', 'masks', 'mask', 'annotations',
                  'SegmentationClass', 'gt')
_SAME = '='  # instead of the name of a folder of labels: where the images are
_CLASS_FILES = ('classes.txt', 'obj.names', 'labels/classes.txt',
                '_darknet.labels', 'labels.txt', 'names.txt')
# What is a part of a set, not a class of images.
_PARTS = re.compile(
    r'(%s|xmls?|jsons?|(train|training|val|valid|validation|dev|test|testing)'
    r'[\W_]*(set|data|images|imgs)?)[\W_\d]*$' % '|'.join(
        _IMAGE_FOLDERS + _LABEL_FOLDERS), re.IGNORECASE)
_LOOKED_AT = 20  # images that are looked for, to find their folder
# Which kinds a model learns from.
_OF_MODEL = {'retinanet': (COCO, YOLO, VOC), 'mask_rcnn': (COCO, YOLO, VOC),
             'classification': (CLASSES,), 'segmentation': (LABEL_MAPS,)}


class Found(typing.NamedTuple):
  """What was recognised.

  Attributes:
    kind: one of the kinds above.
    splits: {TRAIN, VAL, TEST or ALL: parts}; parts are {name: path}: COCO:
      annotations, images; VOC: data_dir and split, or annotations and images,
      and list, or among, a list of those to divide; YOLO: data, split, or
      images; class folders: folder; label maps: images, labels.
    notes: [sentence] about what was chosen.
    classes: YOLO: the path of the list of classes, or None.
  """
  kind: str
  splits: dict
  notes: list
  classes: typing.Any = None

  @property
  def has_splits(self) -> bool:
    return TRAIN in self.splits and VAL in self.splits


def recognise(data: str, images: Optional[str] = None,
              model: Optional[str] = None) -> Found:
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
    raise RecognitionError('--data: there is no file or folder %s.' % data)
  kinds = _OF_MODEL.get(model, (COCO, YOLO, VOC, LABEL_MAPS, CLASSES))
  if os.path.isfile(data):
    found = _of_file(data, images)
    if found.kind not in kinds:
      raise RecognitionError('--model=%s does not learn from %s.' % (
          model, found.kind))
    return found
  folder = data
  while True:
    found = _of_folder(folder, images, model, kinds)
    if found:
      return found
    # An archive often has one folder around everything.
    inside = _folders(folder)
    if len(inside) != 1:
      break
    folder = os.path.join(folder, inside[0])
  if COCO in kinds:
    _stop_for(foreign.sentence(data, own=True))
  raise RecognitionError(
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
    if kind == VOC:
      _stop_for(foreign.sentence(folder, ['.xml']))
    found = _FINDERS[kind](folder, images)
    if found:
      if kind == CLASSES and model is None:
        _refuse_annotated(folder, found)
      return found._replace(notes=found.notes + _unused(folder, found))
  return None


def _stop_for(sentence):
  """Raises RecognitionError with a sentence, if there is one."""
  if sentence:
    raise RecognitionError(sentence)


def _unused(folder, found):
  """[note] about images for evaluation that are not used."""
  if found.has_splits or TRAIN not in found.splits:
    return []
  places = [folder] + [os.path.join(folder, name) for name in _IMAGE_FOLDERS]
  unused = [os.path.join(place, name) for place in places
            if os.path.isdir(place) for name in _folders(place)
            if split_of(name) == VAL]
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
  for name in _folders_of_images(folder):
    place = os.path.join(folder, name)
    stems = {image_folders.stem(n) for n in _images_in(place)}
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
  for kind in (VOC, YOLO):
    try:
      if kind in kinds and _FINDERS[kind](parent, images):
        return 'But %s holds %s: give that folder.' % (parent, kind)
    except (RecognitionError, ValueError, OSError):
      pass  # A hint is not worth an error.
  return None


def _hint_about_folders(folder, kinds):
  """A sentence about folders of images that do not make classes, or None."""
  if CLASSES not in kinds:
    return None
  names = _folders_of_images(folder)
  parts = [name for name in names if _PARTS.match(name)]
  if parts:
    return ('No annotations of the images in %s were found, and folders of '
            'such names are not classes.' % ' and '.join(parts))
  if len(names) == 1:
    return ('There is one class folder, %s: classification needs images of two '
            'classes or more.' % names[0])
  return None


def split_of(name: str) -> Optional[str]:
  """TRAIN, VAL or TEST, as the name of a file or folder says; or None."""
  return next((split for split, pattern in _SPLITS
               if re.search(pattern, name, re.IGNORECASE)), None)


def _of_file(path, images):
  if path.lower().endswith(('.yaml', '.yml')):
    return _yolo_of_file(path)
  if not path.lower().endswith('.json'):
    raise RecognitionError(
        '%s is neither a COCO file (.json) nor a data.yaml of YOLO; give the '
        'folder of the data set.' % path)
  content = _coco_content(path)
  if content is None:
    raise RecognitionError(
        '%s is not a COCO file: it has no lists images and annotations.' % path)
  return Found(COCO, {ALL: {
      'annotations': path,
      'images': images or _images_of(content, path)}}, [])


def _folders(folder):
  """Sorted names of the folders in a folder, hidden ones left out."""
  with os.scandir(folder) as entries:
    return sorted(entry.name for entry in entries
                  if not entry.name.startswith(('.', '__')) and entry.is_dir())


def _images_in(folder):
  """Names of the images that lie in a folder itself; [] without one."""
  if not os.path.isdir(folder):
    return []
  return image_folders.listed(folder)[0]


# COCO.


def _coco_content(path):
  """The dictionary of a COCO file; None for other JSON."""
  try:
    content = text_files.read_json(path)
  except ValueError:
    return None
  is_coco = isinstance(content, dict) and all(
      isinstance(content.get(key), list) for key in ('images', 'annotations'))
  return content if is_coco else None


def _coco(folder, images):
  """Found, or None."""
  places = [folder] + [os.path.join(folder, name) for name in _folders(folder)
                       if split_of(name) or name.lower() in (
                           'annotations', 'labels')]
  contents = collections.OrderedDict()
  for place in places:
    for name in file_patterns.names_in(place, '.json'):
      path = os.path.join(place, name)
      content = _coco_content(path)
      if content and any('bbox' in a or 'segmentation' in a
                         for a in content['annotations']
                         if isinstance(a, dict)):
        contents[path] = content
  if not contents:
    return None
  by_split = collections.OrderedDict()
  for path in contents:
    # The name of the whole set does not count.
    inside = os.path.dirname(os.path.relpath(path, folder))
    split = split_of(os.path.basename(path)) or split_of(inside) or ALL
    by_split.setdefault(split, []).append(path)
  if TRAIN in by_split:
    by_split.pop(ALL, None)
  notes, splits = [], {}
  for split, paths in by_split.items():
    path = _one_file(paths, contents, notes)
    splits[split] = {'annotations': path,
                     'images': images or _images_of(contents[path], path,
                                                    folder)}
  return Found(COCO, splits, notes)


def _one_file(paths, contents, notes):
  """The file that is meant, of several of a split."""
  instances = [p for p in paths if os.path.basename(p).startswith('instances')]
  chosen = sorted(instances or paths, key=lambda p: (len(p), p))
  if len(chosen) > 1:
    names = [set(_file_names(contents[p])) for p in chosen]
    if any(n != names[0] for n in names):
      raise RecognitionError(
          'There are several COCO files: %s. Name one (--data=FILE '
          '--images=FOLDER), or call them train and val.' % ', '.join(chosen))
    notes.append('%s are about the same images; %s is used. --data=FILE takes '
                 'another one.' % (' and '.join(chosen), chosen[0]))
  return chosen[0]


def _file_names(content):
  """[name] of the images of a COCO file that have one."""
  return [image['file_name'] for image in content['images']
          if isinstance(image, dict)
          and isinstance(image.get('file_name'), str) and image['file_name']]


def _images_of(content, path, folder=None):
  """The folder in which the images of a COCO file are."""
  names = _file_names(content)[:_LOOKED_AT]
  here = os.path.dirname(path)
  roots = list(collections.OrderedDict.fromkeys(
      [here, folder or here, os.path.dirname(os.path.abspath(here))]))
  stem = os.path.splitext(os.path.basename(path))[0]
  places = [os.path.normpath(os.path.join(root, part)) for root in roots
            for part in ('',) + _IMAGE_FOLDERS]
  places += [os.path.join(place, name) for place in list(places)
             if os.path.isdir(place) for name in _folders(place)
             if split_of(name) and split_of(name) == split_of(stem)]
  def count(place):
    meant, _ = image_names.meant(place, names)  # as the converter does
    return sum(image_names.is_file(place, meant.get(name, name))
               for name in names)
  best = max(places, key=count)  # the first of equal ones
  if not names or 2 * count(best) < len(names):
    raise RecognitionError(
        'The images of %s, such as %s, are not in %s. Where are they '
        '(--images=FOLDER)?' % (path, names[0] if names else '(none)',
                                ', nor '.join(roots)))
  return best


# Pascal VOC.


def _voc(folder, images):
  """Found, or None."""
  splits = _voc_folders_of_splits(folder, images)
  if splits:
    return Found(VOC, splits, [])
  annotations = os.path.join(folder, 'Annotations')
  if os.path.isdir(annotations) and voc_images.has_annotations(annotations):
    return _voc_as_published(folder, annotations, images)
  places = {ALL: folder}
  places.update({split_of(name): os.path.join(folder, name)
                 for name in _folders(folder) if split_of(name)})
  splits = {}
  for split, place in places.items():
    for inside in ('', 'annotations', 'xmls', 'labels'):
      annotations = os.path.normpath(os.path.join(place, inside))
      if split not in splits and file_patterns.names_in(annotations, '.xml'):
        splits[split] = {'annotations': annotations,
                         'images': images or _xml_images(place, annotations)}
  if not splits:
    return None
  if TRAIN in splits:
    splits.pop(ALL, None)
  elif len(splits) > 1 and splits.get(ALL, {}).get(
      'annotations') == os.path.normpath(folder):
    raise RecognitionError(
        '%s has annotations (.xml) itself and in %s: move those to train on '
        'into %s.' % (folder, ' and '.join(
            sorted(p['annotations'] for s, p in splits.items() if s != ALL)),
                      os.path.join(folder, TRAIN)))
  return Found(VOC, splits, [])


def _voc_as_published(folder, annotations, images):
  """Found in a folder with Annotations, and perhaps JPEGImages and lists."""
  jpegs = os.path.join(folder, 'JPEGImages')
  is_usual = images is None and os.path.isdir(jpegs)
  lists = _voc_lists(folder)
  parts = {'annotations': annotations, 'images': jpegs if is_usual
           else images or _xml_images(folder)}
  if TRAIN in lists and VAL in lists:
    return Found(VOC, {
        split: {'data_dir': folder, 'split': split} if is_usual
               else dict(parts, list=path)
        for split, path in lists.items() if split != _TRAIN_VAL}, [])
  # What is in none of these, such as the images of a test, is left alone.
  among = lists.get(_TRAIN_VAL) or lists.get(TRAIN)
  if lists and not among:
    raise RecognitionError(
        '%s has no train.txt and no trainval.txt, which would say what is '
        'trained on, only %s.txt.' % (
            os.path.join(folder, 'ImageSets', 'Main'),
            '.txt and '.join(lists)))
  notes = []
  if among:
    parts['among'] = among
    notes.append('The images in %s are divided; others are left alone.'
                 % among)
  return Found(VOC, {ALL: parts}, notes)


def _voc_folders_of_splits(folder, images):
  """{split: parts} of folders such as annotations/train; {} without such.

  Raises:
    RecognitionError: if none of them is of the images to train on.
  """
  for kind in _XML_FOLDERS:
    place = os.path.join(folder, kind)
    names = {split_of(name): name
             for name in (_folders(place) if os.path.isdir(place) else ())
             if split_of(name)
             and voc_images.has_annotations(os.path.join(place, name))}
    if names and TRAIN not in names:
      raise RecognitionError(
          '%s has annotations of %s and no folder %s: put those to train on '
          'into one.' % (place, ' and '.join(sorted(names.values())), TRAIN))
    if names:
      homes = [images] if images else [
          os.path.join(folder, name) for name in _IMAGE_FOLDERS]
      return {split: {'annotations': os.path.join(place, name),
                      'images': _home_of_split(homes, name)}
              for split, name in names.items()}
  return {}


def _home_of_split(homes, name):
  """The folder of the images of a split within the folders of all."""
  inside = [os.path.join(home, name) for home in homes]
  found = [path for path in inside + homes if os.path.isdir(path)]
  if not found:
    raise RecognitionError('Where are the images of %s (--images=FOLDER)? '
                           'There is no %s.' % (name, inside[0]))
  return found[0]


def _voc_lists(folder):
  """{split: path of its list} of a VOC set."""
  paths = collections.OrderedDict(
      (split, os.path.join(folder, 'ImageSets', 'Main', split + '.txt'))
      for split in (TRAIN, VAL, TEST, _TRAIN_VAL))
  return collections.OrderedDict(
      (split, path) for split, path in paths.items() if os.path.exists(path))


def _xml_images(folder, annotations=None):
  """The folder of the images that belong to .xml files."""
  places = [folder] + [os.path.join(folder, n) for n in _IMAGE_FOLDERS]
  for place in ([annotations] if annotations else []) + places:
    if _images_in(place):
      return place
  raise RecognitionError('%s has annotations (.xml) and no images. Where are '
                         'they (--images=FOLDER)?' % folder)


# YOLO.


def _yolo_of_file(path):
  try:
    content = yaml.safe_load(text_files.read(path))
  except yaml.YAMLError as e:
    raise NotYamlError('%s is not YAML: %s' % (path, e))
  if not isinstance(content, dict) or 'names' not in content:
    raise RecognitionError('%s is not a data.yaml of YOLO: it has no list '
                           '`names`.' % path)
  splits, notes = {}, []
  for key in content:
    split = split_of(str(key))
    if split and content[key]:
      splits[split] = {'data': path, 'split': str(key)}
  if TRAIN not in splits:
    raise NoTrainingSetError(
        '%s has no key `train` with the folder of the images to train on.'
        % path)
  if VAL in splits and content[splits[VAL]['split']] == content[
      splits[TRAIN]['split']]:
    del splits[VAL]
    notes.append('%s: train and val are the same images.' % path)
  if VAL not in splits:
    splits[ALL] = splits.pop(TRAIN)
  return Found(YOLO, splits, notes)


def _yolo(folder, images):
  """Found, or None."""
  del images
  classes = None
  for name in file_patterns.names_in(folder, ('.yaml', '.yml')):
    path = os.path.join(folder, name)
    try:
      return _yolo_of_file(path)
    except NoTrainingSetError:
      classes = path  # of the folders images and labels next to it
    except NotYamlError:
      if any(line.startswith('names') for line in text_files.read_lines(path)):
        raise  # It is meant to be one, and says which images are which.
    except RecognitionError:
      continue
  pairs = _yolo_pairs(folder)
  if not pairs:
    return None
  classes = classes or _class_file(folder, pairs)
  if not classes:
    raise RecognitionError(
        '%s holds labels of YOLO, but no list of the classes: write their '
        'names into %s, one on each line, that of class 0 first.' % (
            folder, os.path.join(folder, _CLASS_FILES[0])))
  return Found(YOLO, {split: {'images': pair['images']}
                      for split, pair in pairs.items()}, [], classes)


def _yolo_pairs(folder):
  """{split: {'images', 'labels'}}.

  Raises:
    RecognitionError: if there are only label files without a line.
  """
  without_lines = []
  def is_pair(images, labels, split):
    files = _yolo_files(images, labels)
    if split == ALL and any(_PARTS.match(part) for name in files
                            for part in name.split('/')[:-1]):
      return False  # It is about the sets in it, not one of its own.
    lines = _first_lines(labels, files)
    if files and not lines:
      without_lines.append(labels)
    return any(map(_is_yolo, lines[:1]))
  pairs = _pairs(folder, is_pair, ('labels', _SAME))
  if not pairs and without_lines:
    raise RecognitionError(
        '%s: the label files of all images (.txt) are empty, so there is no '
        'object to learn.' % without_lines[0])
  if TRAIN in pairs and VAL not in pairs:
    # All images of it may be without an object, and without a label file.
    others = _pairs(folder, lambda images, labels, split: bool(
        source_set.walk_images(images)[0]), (_SAME,))
    if VAL in others:
      pairs[VAL] = others[VAL]
  return pairs


def _yolo_files(images, labels):
  """[path within `labels`] of text files that have the names of images."""
  paths = sorted(os.path.relpath(os.path.join(place, name), labels)
                 for place, _, names in os.walk(labels) for name in names
                 if name.lower().endswith('.txt'))
  if not paths:
    return []  # Without listing a million images.
  stems = {os.path.splitext(n)[0] for n in source_set.walk_images(images)[0]}
  return [path for path in paths if os.path.splitext(path)[0] in stems]


def _first_lines(labels, names):
  """[the first line of a file], of those with lines, as far as looked at."""
  firsts = []
  for name in names:
    if os.path.getsize(os.path.join(labels, name)):
      lines = text_files.read_lines(os.path.join(labels, name))
      firsts.extend(list(filter(None, lines))[:1])
    if len(firsts) == _LOOKED_AT:
      break
  return firsts


def _is_yolo(line):
  """Whether a line is a class and four numbers or more."""
  try:
    numbers = [float(text) for text in line.split()]
  except ValueError:
    return False
  return len(numbers) > 4 and numbers[0] >= 0 and numbers[0].is_integer()


def _class_file(folder, pairs):
  """The list of the classes; None without one.

  Raises:
    RecognitionError: if two lists differ.
  """
  places = [folder] + sorted({
      place for pair in pairs.values() for kind in ('labels', 'images')
      for place, _, _ in os.walk(pair[kind])})
  paths = [os.path.join(place, name) for place in places
           for name in _CLASS_FILES]
  paths = [path for path in paths if os.path.exists(path)]
  # The folder of the set goes before those of its splits.
  own = [path for path in paths if os.path.dirname(path) == folder]
  if own:
    return own[0]
  contents = [text_files.read(path).split() for path in paths]
  for path, content in zip(paths, contents):
    if content != contents[0]:
      raise RecognitionError(
          '%s and %s name different classes. Write the list that is right into '
          '%s.' % (paths[0], path, os.path.join(folder, _CLASS_FILES[0])))
  return paths[0] if paths else None


# Label maps.


def _label_maps(folder, images):
  """Found, or None.

  Raises:
    RecognitionError: if label maps are found that cannot be used.
  """
  del images
  pairs = _pairs(folder, _has_label_map, _LABEL_FOLDERS + (_SAME,))
  if not pairs:
    _pairs(folder, _refuse_lossy, _LABEL_FOLDERS)
    return None
  if ALL in pairs and pairs[ALL]['images'] == pairs[ALL]['labels']:
    raise RecognitionError(
        '%s holds images and their label maps in one folder. To divide them '
        'into train and val, the label maps have to be in a folder of their '
        'own: move them into %s.' % (
            pairs[ALL]['images'], os.path.join(pairs[ALL]['images'], 'masks')))
  return Found(LABEL_MAPS, pairs, [])


def _has_label_map(images, labels, split=ALL):
  """Whether some images in a folder have a label map in another."""
  del split
  paired = image_folders.PairedFolders(images, labels, label_images.EXTENSIONS)
  try:
    return any(paired.label(name) for name in paired.stems())
  except image_folders.AmbiguityError:
    return True  # The converter names the two files.


def _refuse_lossy(images, labels, split):
  """Raises RecognitionError for label maps that are JPEG files."""
  del split
  paired = image_folders.PairedFolders(images, labels, ('.jpg', '.jpeg'))
  path = next(filter(None, map(paired.label, paired.stems())), None)
  if path:
    raise RecognitionError(
        'The label maps are JPEG files, such as %s. JPEG changes values, and '
        'with them the classes: save them as PNG from their source.' % path)
  return False


def _pairs(folder, is_pair, label_folders):
  """{split: {'images', 'labels'}} of folders images/SPLIT or SPLIT/images.

  Args:
    folder: path.
    is_pair: (folder of images, folder of labels, split) -> whether they are.
    label_folders: names of folders of labels; _SAME: that of the images.
  """
  pairs = {}
  for image_name in _IMAGE_FOLDERS + ('',):
    forms = {split: _split_folders(folder, image_name, split)
             for split in (ALL, TRAIN, VAL, TEST)}
    for label_name in label_folders:
      name = image_name if label_name == _SAME else label_name
      for split, insides in forms.items():
        for inside in insides:
          images = os.path.normpath(os.path.join(folder, inside % image_name))
          labels = os.path.normpath(os.path.join(folder, inside % name))
          if split not in pairs and os.path.isdir(images) and os.path.isdir(
              labels) and is_pair(images, labels, split):
            pairs[split] = {'images': images, 'labels': labels}
  if TRAIN in pairs:
    pairs.pop(ALL, None)
  return pairs


def _split_folders(folder, image_name, split):
  """Forms of the path of a split, with a place for the kind of file."""
  if split == ALL:
    return ['%s']
  names = [n.replace('%', '%%') for n in _folders(folder)
           if split_of(n) == split]
  within = os.path.join(folder, image_name)
  inside = [n.replace('%', '%%') for n in _folders(within)
            if split_of(n) == split] if os.path.isdir(within) else []
  return [n + '/%s' for n in names] + ['%s/' + n for n in inside]


# Class folders.


def _classes(folder, images):
  """Found, or None."""
  del images
  splits = {split_of(name): {'folder': os.path.join(folder, name)}
            for name in _folders(folder) if split_of(name)
            and _class_names(os.path.join(folder, name))}
  if TRAIN in splits:
    names = _class_names(splits[TRAIN]['folder'])
    if len(names) < 2:
      raise RecognitionError(
          '%s has one class folder, %s: classification needs images of two '
          'classes or more.' % (splits[TRAIN]['folder'], names[0]))
    return Found(CLASSES, splits, [])
  if len(_class_names(folder)) > 1:
    return Found(CLASSES, {ALL: {'folder': folder}}, [])
  return None


def _class_names(folder):
  """Names of the folders of images that are classes.

  Raises:
    RecognitionError: if there are others, so that it is not clear.
  """
  names = _folders_of_images(folder)
  parts = [name for name in names if _PARTS.match(name)]
  classes = [name for name in names if name not in parts]
  # A train is a thing, too; among other classes, and without a val.
  if not parts or parts == ['train'] and len(classes) > 1:
    return names
  if len(classes) > 1:
    raise RecognitionError(
        '%s has folders of images that may be classes, such as %s and %s, and '
        '%s, which does not name a class. Move one kind away, or rename it.' % (
            folder, classes[0], classes[1], ' and '.join(parts)))
  return []


def _folders_of_images(folder):
  """Names of the folders that have images."""
  if not os.path.isdir(folder):
    return []
  return [name for name in _folders(folder)
          if _images_in(os.path.join(folder, name))]


_FINDERS = {COCO: _coco, VOC: _voc, YOLO: _yolo, LABEL_MAPS: _label_maps,
            CLASSES: _classes}
