"""Flags that are true or false, in the spellings of older programs."""

import argparse
from typing import Optional

_VALUES = {'true': True, 't': True, '1': True, 'yes': True,
           'false': False, 'f': False, '0': False, 'no': False}


def add(parser: argparse.ArgumentParser, name: str, default: Optional[bool],
        text: str) -> None:
  """Adds --NAME, --NAME=true or false, and --noNAME.

  Args:
    parser: argparse.ArgumentParser.
    name: name of the flag.
    default: bool or None.
    text: its help.
  """
  parser.add_argument('--' + name, nargs='?', const=True, default=default,
                      type=_value, metavar='true|false',
                      help='%s (default: %s)' % (text, default))
  parser.add_argument('--no' + name, dest=name, action='store_const',
                      const=False, help=argparse.SUPPRESS)


def _value(text):
  if text.lower() not in _VALUES:
    raise argparse.ArgumentTypeError('%r is neither true nor false' % text)
  return _VALUES[text.lower()]
