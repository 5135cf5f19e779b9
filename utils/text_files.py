"""Text that people hand in: JSON, XML, lists, label maps, from any editor.

Windows programs put a byte order mark in front of a text, or write UTF-16.
Whoever reads a file of a person reads it here, so that neither becomes part of
the first name.
"""

import codecs
import json
import re
from typing import Any, List
from xml.etree import ElementTree

from utils import files
from utils import types

# The longer mark first: that of UTF-32 begins with that of UTF-16.
_MARKS = ((codecs.BOM_UTF32_LE, 'utf-32'), (codecs.BOM_UTF32_BE, 'utf-32'),
          (codecs.BOM_UTF8, 'utf-8-sig'), (codecs.BOM_UTF16_LE, 'utf-16'),
          (codecs.BOM_UTF16_BE, 'utf-16'))
# What is left inside of a list that was joined from several files.
_MARK = '\ufeff'


def decode(content: bytes, name: str) -> str:
  """Text of the bytes of a file, without its byte order mark.

  Args:
    content: bytes, UTF-8, or UTF-16 or UTF-32 with a byte order mark.
    name: the name of the file, for the error.

  Returns:
    str.

  Raises:
    ValueError: if it is no such text.
  """
  encoding = next((encoding for mark, encoding in _MARKS
                   if content.startswith(mark)), 'utf-8')
  try:
    return content.decode(encoding)
  except UnicodeDecodeError as e:
    raise ValueError('%s is not text in %s: %s at byte %d. Save it as UTF-8.'
                     % (name, encoding.upper(), e.reason, e.start))


def read(path: str, open_file: types.OpenFile = files.open_anywhere) -> str:
  """Text of a file.

  Args:
    path: the path of the file.
    open_file: (path, 'rb') -> binary file; by default also of a bucket.

  Returns:
    str.

  Raises:
    OSError: as `open_file` raises it.
    ValueError: if the file is not text.
  """
  with open_file(path, 'rb') as f:
    return decode(f.read(), path)


def read_lines(path: str,
               open_file: types.OpenFile = files.open_anywhere) -> List[str]:
  """[str], the lines of a file without blanks around them; see `read`.

  Empty lines are kept, so that the place in the list is the line's number.
  """
  return [line.strip().strip(_MARK).strip()
          for line in re.split('\r\n|\r|\n', read(path, open_file))]


def read_json(path: str,
              open_file: types.OpenFile = files.open_anywhere) -> Any:
  """The value of a JSON file; see `read`.

  Raises:
    ValueError: naming the file, and the place that is wrong.
  """
  text = read(path, open_file)
  try:
    return json.loads(text)
  except ValueError as e:
    raise ValueError('%s is not valid JSON: %s' % (path, e))
  except RecursionError:
    raise ValueError('%s is not usable JSON: its lists or objects are nested '
                     'too deeply.' % path)


def read_xml(path: str,
             open_file: types.OpenFile = open) -> ElementTree.Element:
  """Root element of an XML file; see `read`.

  A file that an editor has saved as UTF-16 still declares what it was before,
  so a byte order mark goes before the declaration.

  Raises:
    ValueError: naming the file, and the place that is wrong.
  """
  with open_file(path, 'rb') as f:
    content = f.read()
  if content.startswith(tuple(mark for mark, _ in _MARKS)):
    content = decode(content, path)
  try:
    return ElementTree.fromstring(content)
  except (ElementTree.ParseError, LookupError, ValueError) as e:
    # The latter two: of an encoding that Python does not know or cannot read.
    raise ValueError('%s is not XML: %s' % (path, e))
