"""Tests of tools.common.bool_flags."""

import argparse

import pytest

from tools.common import bool_flags


def _value(*arguments, **options):
  parser = argparse.ArgumentParser()
  bool_flags.add(parser, 'deep', options.get('default'), 'whether it is')
  parser.add_argument('rest', nargs='*')
  return parser.parse_args(arguments).deep


@pytest.mark.parametrize('arguments,expected', [
    ([], None), (['--deep'], True), (['--nodeep'], False),
    (['--deep=true'], True), (['--deep=False'], False), (['--deep=1'], True),
    (['--deep', 'false'], False), (['--deep', '--nodeep'], False)])
def test_spellings(arguments, expected):
  assert _value(*arguments) is expected


def test_default():
  assert _value(default=True) is True


def test_other_values_are_refused():
  with pytest.raises(SystemExit):
    _value('--deep=perhaps')
