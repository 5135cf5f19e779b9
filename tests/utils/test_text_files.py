"""Tests of utils/text_files.py."""

import codecs

import pytest

from utils import text_files

_TEXT = '{"name": "Käfer"}'


@pytest.mark.parametrize('content', [
    _TEXT.encode('utf-8'), codecs.BOM_UTF8 + _TEXT.encode('utf-8'),
    codecs.BOM_UTF16_LE + _TEXT.encode('utf-16-le'),
    codecs.BOM_UTF16_BE + _TEXT.encode('utf-16-be'),
    codecs.BOM_UTF32_LE + _TEXT.encode('utf-32-le')])
def test_marks_of_any_editor_are_no_part_of_the_text(tmp_path, content):
  path = tmp_path / 'a.json'
  path.write_bytes(content)
  assert text_files.read(str(path)) == _TEXT
  assert text_files.read_json(str(path)) == {'name': 'Käfer'}


def test_lines_keep_their_number(tmp_path):
  path = tmp_path / 'list.txt'
  path.write_bytes('\ufeffa b\r\n\r\n c \n\ufeffd\re\x0bf'.encode('utf-8'))
  assert text_files.read_lines(str(path)) == ['a b', '', 'c', 'd', 'e\x0bf']


@pytest.mark.parametrize('content, message', [
    (b'{"a": "\xe4"}', 'a.json is not text in UTF-8.* at byte 7. Save it as'),
    (b'\xff\xfea', 'is not text in UTF-16'),
    (b'{"a": ', 'a.json is not valid JSON: .*line 1'),
    (b'', 'is not valid JSON'),
    (b'[' * 100000, 'too deep'),
])
def test_what_cannot_be_read_is_named(tmp_path, content, message):
  path = tmp_path / 'a.json'
  path.write_bytes(content)
  with pytest.raises(ValueError, match=message):
    text_files.read_json(str(path))


def test_the_caller_says_how_files_are_opened(tmp_path):
  (tmp_path / 'a.json').write_text('[1]')
  assert text_files.read_json(
      'bucket://a.json', lambda path, mode: open(
          str(tmp_path / path.rpartition('/')[2]), mode)) == [1]


def test_the_mark_goes_before_the_declaration_of_xml(tmp_path):
  path = tmp_path / 'a.xml'
  text = '<?xml version="1.0" encoding="utf-8"?><a>Käfer</a>'
  for encoding in ('utf-8', 'utf-8-sig', 'utf-16', 'utf-32'):
    path.write_bytes(text.encode(encoding))
    assert text_files.read_xml(str(path)).text == 'Käfer'
  path.write_bytes(text.replace('utf-8', 'latin-1').encode('latin-1'))
  assert text_files.read_xml(str(path)).text == 'Käfer'
  for content in (b'', b'<a>', text.replace('utf-8', 'foo').encode('utf-8')):
    path.write_bytes(content)
    with pytest.raises(ValueError, match='a.xml is not XML'):
      text_files.read_xml(str(path))
