"""Splits: shares, groups, classes, seeds, and files that are there already."""

import collections
import json

import pytest

from tools import split_data
from tools.datasets import stratification

ConversionError = split_data.ConversionError
SHARES = collections.OrderedDict([('train', .8), ('val', .2)])


def _items(count, num_classes=4, group_size=1):
  return [split_data.Item('%04d' % i, {i % num_classes: 1 + i % 3},
                          '%04d' % (i // group_size)) for i in range(count)]


def _names(splits):
  return {name: [i.name for i in items] for name, items in splits.items()}


def test_shares_and_classes():
  # A class of which there are five images only.
  items = _items(200) + [split_data.Item('r%d' % i, {'rare': 1}, 'r%d' % i)
                         for i in range(5)]
  splits = stratification.split(items, SHARES)
  names = _names(splits)
  assert sorted(sum(names.values(), [])) == sorted(i.name for i in items)
  assert abs(len(names['val']) - 41) <= 2
  for key in range(4):
    share = sum(i.classes.get(key, 0) for i in splits['val']) / sum(
        i.classes.get(key, 0) for i in items)
    assert abs(share - .2) < .08
  assert sum(i.classes.get('rare', 0) for i in splits['val']) == 1


def test_groups_stay_together():
  splits = stratification.split(_items(200, group_size=7), SHARES)
  groups = [{i.group for i in items} for items in splits.values()]
  assert not groups[0] & groups[1]
  assert 25 <= len(splits['val']) <= 55


@pytest.mark.parametrize('per_class', [2, 3])
@pytest.mark.parametrize('num_classes', [3, 50])
def test_many_classes_of_few_images(num_classes, per_class):
  items = _items(per_class * num_classes, num_classes)
  items += [split_data.Item('only', {'only': 1}, 'only')]
  splits = stratification.split(items, SHARES)
  assert abs(len(splits['val']) - .2 * len(items)) < 1.1
  # What is judged has been trained on.
  assert {key for i in splits['train'] for key in i.classes} == set(
      range(num_classes)) | {'only'}
  assert stratification.split(items, SHARES) == splits


def test_no_split_is_empty():
  items = [split_data.Item(str(i), {'same': 1, i: 1}, str(i)) for i in range(5)]
  assert len(stratification.split(items, SHARES)['val']) == 1
  assert [len(s) for s in stratification.split(items[:2], SHARES).values()] == [
      1, 1]
  grouped = [i._replace(group=str(int(i.name) // 3)) for i in items]
  assert sorted(map(len, stratification.split(
      grouped, SHARES).values())) == [2, 3]
  with pytest.raises(ConversionError, match='is 1 image, too few for 2 splits'):
    stratification.split(items[:1], SHARES)
  with pytest.raises(ConversionError, match='is 1 group, too few'):
    stratification.split(grouped[:3], SHARES)


def test_a_split_almost_without_objects():
  items = [split_data.Item('%03d' % i, {i: 1} if i < 40 else {}, i)
           for i in range(50)]
  splits = stratification.split(items, SHARES)
  assert len(splits['val']) == 10
  assert 'val has objects in 0 of 10 images only' in split_data.report(splits)


def test_seed():
  first, again, other = [_names(stratification.split(_items(100), SHARES, seed))
                         for seed in (1, 1, 2)]
  assert first == again != other


def test_order_of_the_input_does_not_matter():
  items = _items(100)
  first = _names(stratification.split(items, SHARES))
  second = _names(stratification.split(items[::-1], SHARES))
  assert {k: sorted(v) for k, v in first.items()} == {
      k: sorted(v) for k, v in second.items()}


@pytest.mark.parametrize('text, message', [
    ('train:0.8,val:0.3', 'add up to 1.1'), ('train', "'' is not a number"),
    ('train:1,val:0', 'above 0'), ('a:.5,a:.5', "'a:.5' is not a new name"),
    ('../a:1', 'not a new name')])
def test_shares_that_cannot_be_used(text, message):
  with pytest.raises(ConversionError, match=message):
    split_data.read_shares(text)


def test_groups_by_pattern_and_file(tmp_path):
  assert split_data.group_of(r'^p\d+')('p12_3.jpg') == 'p12'
  assert split_data.group_of(r'/(\w)_')('x/b_3.jpg') == 'b'
  path = tmp_path / 'groups.csv'
  path.write_text('a,1.jpg,g1\nb.jpg, g2\n')
  group = split_data.group_of(path=str(path))
  assert (group('a,1.jpg'), group('b.jpg')) == ('g1', 'g2')
  for find in (group, split_data.group_of('^p')):
    with pytest.raises(ConversionError, match='no group for c.jpg'):
      find('c.jpg')
  with pytest.raises(ConversionError, match='not a regular expression'):
    split_data.group_of('(')


def test_coco_files(tmp_path):
  content = {'info': {'year': 2020}, 'categories': [{'id': 1, 'name': 'a'}],
             'images': [{'id': i, 'file_name': '%d.jpg' % i, 'height': 4,
                         'width': 4} for i in range(20)],
             'annotations': [{'id': k, 'image_id': k % 20, 'category_id': 1,
                              'bbox': [0, 0, 1, 1]} for k in range(60)]}
  path = tmp_path / 'all.json'
  path.write_text(json.dumps(content))
  options = (str(path), str(tmp_path / 'out' / 'x'), SHARES,
             split_data.group_of())
  split_data.split_coco(*options)
  parts = {name: json.loads((tmp_path / 'out' / ('x-%s.json' % name))
                            .read_text()) for name in SHARES}
  assert [len(p['images']) for p in parts.values()] == [16, 4]
  for part in parts.values():
    ids = {i['id'] for i in part['images']}
    assert part['annotations'] == [
        a for a in content['annotations'] if a['image_id'] in ids]
    assert part['info'] == content['info']
  before = (tmp_path / 'out' / 'x-val.json').read_text()
  (tmp_path / 'out' / 'x-train.json').unlink()
  with pytest.raises(ConversionError, match='x-val.json already exists'):
    split_data.split_coco(*options, seed=5)
  assert (tmp_path / 'out' / 'x-val.json').read_text() == before
  assert not (tmp_path / 'out' / 'x-train.json').exists()


def test_voc_lists(tmp_path):
  (tmp_path / 'Annotations').mkdir()
  for i in range(10):
    (tmp_path / 'Annotations' / ('%d.xml' % i)).write_text(
        '<annotation><object><name>%s</name></object></annotation>' % 'ab'[
            i % 2])
  splits = split_data.split_voc(str(tmp_path), SHARES, split_data.group_of())
  lines = [(tmp_path / 'ImageSets' / 'Main' / (name + '.txt')).read_text()
           .split() for name in SHARES]
  assert [len(part) for part in lines] == [8, 2]
  assert sorted(lines[0] + lines[1]) == [str(i) for i in range(10)]
  assert {int(name) % 2 for name in lines[1]} == {0, 1}
  assert 'train: 8 images (80.0 %), 2 classes.' in split_data.report(splits)
  grouped = {name: [item._replace(group='abc'[i // 3])
                    for i, item in enumerate(items)]
             for name, items in splits.items()}
  assert 'train: 8 images (80.0 %), 3 groups, 2 classes.' in (
      split_data.report(grouped))


def test_class_folders(tmp_path):
  for name in ['cat/%s%d.jpg' % ('old/' if i % 2 else '', i)
               for i in range(10)] + [
      'dog/%d.jpg' % i for i in range(5)]:
    path = tmp_path / 'images' / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b'')
  split_data.split_images(str(tmp_path / 'images'), str(tmp_path / 'l'), SHARES,
                          split_data.group_of())
  paths = (tmp_path / 'l-val.txt').read_text().split()
  assert len(paths) == 3
  root = str(tmp_path / 'images') + '/'
  assert sorted(p.replace(root, '').split('/')[0] for p in paths) == [
      'cat', 'cat', 'dog']


def test_a_class_folder_of_folders_is_one_class(tmp_path):
  for name in ('cat/a/1.jpg', 'cat/b/2.jpg', 'dog/3.jpg', 'dog/4.jpg'):
    path = tmp_path / 'images' / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b'')
  splits = split_data.split_images(
      str(tmp_path / 'images'), str(tmp_path / 'l'), SHARES, None)
  assert {key for items in splits.values() for i in items
          for key in i.classes} == {'cat', 'dog'}


def _annotated_copies(tmp_path):
  """Images 0 to 9 in a.. and, of the same content and size, in b..."""
  annotations = tmp_path / 'Annotations'
  images = tmp_path / 'JPEGImages'
  annotations.mkdir()
  images.mkdir()
  for name in (letter + str(i) for letter in 'ab' for i in range(10)):
    (images / (name + '.jpg')).write_bytes(name[1:].encode())
    (annotations / (name + '.xml')).write_text(
        '<annotation><filename>%s.jpg</filename></annotation>' % name)
  (tmp_path / 'all.json').write_text(json.dumps({
      'images': [{'id': i, 'file_name': 'a%d.jpg' % (i % 10) if i < 10
                  # As a program on Windows wrote it.
                  else 'C:\\set\\b%d.jpg' % (i % 10)} for i in range(20)],
      'annotations': [], 'categories': []}))


def _divided(tmp_path, how, seed, with_images=True):
  """{split: names of the images} by annotations of one of the kinds."""
  images = {'images': str(tmp_path / 'JPEGImages')} if with_images else {}
  out = str(tmp_path / ('out%d' % len(list(tmp_path.iterdir()))))
  if how == 'coco':
    splits = split_data.split_coco(str(tmp_path / 'all.json'), out, SHARES,
                                   None, seed, **images)
    return {name: {'ab'[i.name // 10] + str(i.name % 10) for i in items}
            for name, items in splits.items()}
  if how == 'xml':
    return {name: set(names) for name, names in _names(split_data.split_xml(
        str(tmp_path / 'Annotations'), out, SHARES, None, seed,
        **images)).items()}
  return {name: set(names) for name, names in _names(split_data.split_voc(
      str(tmp_path), SHARES, None, seed)).items()}


@pytest.mark.parametrize('how', ['coco', 'xml', 'voc'])
def test_copies_of_an_annotated_image_stay_in_one_split(tmp_path, capsys, how):
  _annotated_copies(tmp_path)
  splits = _divided(tmp_path, how, 0)
  numbers = [{name[1:] for name in names} for names in splits.values()]
  assert [len(n) for n in numbers] == [8, 2] and not numbers[0] & numbers[1]
  assert [len(n) for n in splits.values()] == [16, 4]
  assert '10 images have the same content as another' in capsys.readouterr().out


@pytest.mark.parametrize('how', ['coco', 'xml'])
def test_a_split_without_copies_does_not_depend_on_the_images(tmp_path, how):
  _annotated_copies(tmp_path)
  for path in (tmp_path / 'JPEGImages').iterdir():
    path.write_bytes(path.name.encode())
  assert (_divided(tmp_path, how, 3)
          == _divided(tmp_path, how, 3, with_images=False))


@pytest.mark.parametrize('seed', range(3))
def test_copies_of_an_image_stay_in_one_split(tmp_path, capsys, seed):
  for folder in 'ab':
    for i in range(10):
      path = tmp_path / 'images' / folder / ('%d.jpg' % i)
      path.parent.mkdir(parents=True, exist_ok=True)
      path.write_bytes(b'%d' % i)  # All of one size.
  split_data.split_yolo(str(tmp_path / 'images'), str(tmp_path / 'part'),
                        SHARES, None, seed)
  names = [{line.split('/')[-1] for line in (
      tmp_path / ('part-%s.txt' % name)).read_text().split()}
           for name in SHARES]
  assert len(names[0]) == 8 and len(names[1]) == 2
  assert not names[0] & names[1]
  assert '10 images have the same content as another' in capsys.readouterr().out
  split_data.split_images(str(tmp_path / 'images'), str(tmp_path / 'list'),
                          SHARES, None, seed)
  val = (tmp_path / 'list-val.txt').read_text().split()
  assert len(val) == 4 and len({line.split('/')[-1] for line in val}) == 2


def test_voc_folder_with_what_other_systems_leave(tmp_path):
  folder = tmp_path / 'set [v2]' / 'Annotations'
  folder.mkdir(parents=True)
  for name in ('a.xml', 'b.XML'):
    (folder / name).write_bytes(
        '<?xml version="1.0" encoding="utf-8"?><annotation/>'.encode('utf-16'))
  (folder / '._a.xml').write_bytes(b'\0\5\26\7')
  splits = split_data.split_voc(str(folder.parent), SHARES,
                                split_data.group_of())
  assert _names(splits) in ({'train': ['a'], 'val': ['b']},
                            {'train': ['b'], 'val': ['a']})


def test_nothing_to_divide(tmp_path):
  with pytest.raises(split_data.ConversionError, match='no image to divide'):
    split_data.split_images(str(tmp_path), str(tmp_path / 'x'), SHARES, None)
  assert not list(tmp_path.iterdir())


def test_image_that_is_listed_twice_and_objects_without_one(tmp_path, capsys):
  (tmp_path / 'a.json').write_text(json.dumps({
      'images': [{'id': i % 5, 'file_name': 'x%d' % (i % 5)}
                 for i in range(10)],
      'annotations': [{'image_id': 77, 'category_id': 1}],
      'categories': [{'id': 1, 'name': 'a'}]}))
  splits = split_data.split_coco(str(tmp_path / 'a.json'), str(tmp_path / 'o'),
                                 SHARES, None)
  ids = [{item.name % 5 for item in splits[name]} for name in SHARES]
  assert not ids[0] & ids[1]
  assert '1 annotations belong to images that are not listed (77)' in (
      capsys.readouterr().out)


def _voc(folder, count=10):
  folder.mkdir()
  for i in range(count):
    (folder / ('%d.xml' % i)).write_text(
        '<annotation><object><name>%s</name></object></annotation>'
        % ('cat' if i % 2 else 'dog'))


def test_xml_files(tmp_path):
  """Lists of names that lie elsewhere, half of each class in the small one."""
  _voc(tmp_path / 'xml')
  split_data.split_xml(str(tmp_path / 'xml'), str(tmp_path / 'lists/part'),
                       SHARES, None)
  names = (tmp_path / 'lists/part-val.txt').read_text().split()
  assert sorted(int(n) % 2 for n in names) == [0, 1]
  assert sorted(p.suffix for p in (tmp_path / 'xml').iterdir()) == ['.xml'] * 10


def test_xml_files_of_a_list_and_in_subfolders(tmp_path, capsys):
  _voc(tmp_path / 'xml')
  (tmp_path / 'xml' / 'sub').mkdir()
  for name in ('7', '8', '9'):
    (tmp_path / 'xml' / (name + '.xml')).rename(
        tmp_path / 'xml' / 'sub' / (name + '.xml'))
  splits = split_data.split_xml(str(tmp_path / 'xml'), str(tmp_path / 'all'),
                                SHARES, None)
  assert sorted(sum(_names(splits).values(), [])) == list('0123456') + [
      'sub/7', 'sub/8', 'sub/9']
  among = tmp_path / 'trainval.txt'
  among.write_text('0\n1 1\nimages/2.jpg\n8\nsub/9.jpg\n1\n')
  splits = split_data.split_xml(str(tmp_path / 'xml'), str(tmp_path / 'part'),
                                SHARES, None, among=str(among))
  assert sorted(sum(_names(splits).values(), [])) == ['0', '1', '2', 'sub/8',
                                                      'sub/9']
  assert '1 lines of trainval.txt repeat' in capsys.readouterr().out
  among.write_text('gone\n')
  with pytest.raises(ConversionError, match='trainval have no file in xml'):
    split_data.split_xml(str(tmp_path / 'xml'), str(tmp_path / 'part'), SHARES,
                         None, among=str(among))


@pytest.mark.parametrize('by_file', [False, True])
def test_yolo(tmp_path, by_file):
  for i in range(10):
    for name, text in (('images/%d.jpg', ''), ('labels/%d.txt',
                                               '%d .5 .5 .1 .1\n' % (i % 2))):
      path = tmp_path / (name % i)
      path.parent.mkdir(exist_ok=True)
      path.write_text(text)
  (tmp_path / 'data.yaml').write_text('train: images\nnames: [a, b]\n')
  split_data.split_yolo(
      str(tmp_path / ('data.yaml' if by_file else 'images')),
      str(tmp_path / 'part'), SHARES, None)
  lines = (tmp_path / 'part-val.txt').read_text().split()
  assert {line.rpartition('/')[0] for line in lines} == {
      str(tmp_path / 'images')}
  assert sorted(int(line[-5]) % 2 for line in lines) == [0, 1]
