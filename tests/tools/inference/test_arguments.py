"""Tests of tools/inference/arguments.py."""

import pytest

from tools.inference import arguments

_LEAST = ['--model_dir=m', '--input', 'a', '--output=o']


def _parse(*argv):
  return arguments.parse(list(argv), 'text')


def test_lists_of_inputs_and_classes():
  args = _parse('--model_dir=m', '--input', 'a', 'b', '--input=c', '--classes',
                'x', 'y,z', '--output=o')
  assert args.input == ['a', 'b', 'c'] and args.classes == ['x', 'y,z']
  assert (args.min_score, args.max_boxes) == (.3, 100)
  assert not args.is_min_score_given


def test_the_page_alone_has_the_defaults_of_upstream():
  args = _parse('--saved_model_dir=m', '--image_file_pattern=a*',
                '--label_map_file=l', '--output_html=p.html',
                '--use_normalized_coordinates=False')
  assert (args.min_score, args.max_boxes) == (.05, 10)
  assert args.saved_model == 'm' and args.label_map == 'l'
  assert args.input == ['a*'] and args.image_size is None
  assert _parse(*_LEAST, '--output_html=p.html').max_boxes == 100
  _parse(*_LEAST, '--nouse_normalized_coordinates')


def test_sizes():
  assert _parse(*_LEAST, '--image_size=640').image_size == (640, 640)
  assert _parse(*_LEAST, '--image_size=512,640').image_size == (512, 640)


def test_the_home_folder(monkeypatch):
  monkeypatch.setenv('HOME', '/home/x')
  assert _parse(*_LEAST, '--label_map=~/l.csv').label_map == '/home/x/l.csv'


@pytest.mark.parametrize('argv, words', [
    (['--input=a', '--output=o'], 'Give --model_dir'),
    (['--saved_model=s', '--model_dir=m', '--input=a', '--output=o'],
     'excludes'),
    (['--saved_model=s', '--image_size=64', '--input=a', '--output=o'],
     'an export is fixed'),
    (['--saved_model=s', '--precision=auto', '--input=a', '--output=o'],
     'an export is fixed'),
    (['--model_dir=m', '--output=o'], 'Give --input'),
    (['--model_dir=m', '--input=a'], 'Give --output'),
    (_LEAST + ['--label_map_format=json'], 'json is not known'),
    (_LEAST + ['--min_score=2'], 'from 0 to 1'),
    (_LEAST + ['--min_score=nan'], 'from 0 to 1'),
    (_LEAST + ['--max_boxes=0'], 'whole number of at least 1'),
    (_LEAST + ['--image_size=1,2,3'], 'HEIGHT,WIDTH'),
    (_LEAST + ['--image_size=x'], 'whole number of at least 1'),
    (_LEAST + ['--min_scor=.5'], 'unrecognized')])
def test_wrong_flags_are_told(argv, words, capsys):
  with pytest.raises(SystemExit) as error:
    _parse(*argv)
  assert error.value.code == 2 and words in capsys.readouterr().err
