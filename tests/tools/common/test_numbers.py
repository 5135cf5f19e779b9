"""Limits of numbers on the command line, and that every tool has them."""

import argparse
import os
import re
import subprocess

import pytest

from tools.common import numbers

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__)))))


@pytest.mark.parametrize('kind, text, value', [
    (numbers.whole(), '1', 1), (numbers.whole(0), '0', 0),
    (numbers.whole(2, or_none=True), '0', 0),
    (numbers.positive, '.5', .5), (numbers.share, '0', 0),
    (numbers.share, '1', 1)])
def test_good_numbers(kind, text, value):
  assert kind(text) == value


@pytest.mark.parametrize('kind, text, message', [
    (numbers.whole(), '0', "'0' is not a whole number of at least 1"),
    (numbers.whole(0), '-1', "'-1' is not a whole number of at least 0"),
    (numbers.whole(), '1.5', 'whole number'),
    (numbers.whole(2, or_none=True), '1', 'of at least 2, nor 0'),
    (numbers.positive, '0', "'0' is not a number above 0"),
    (numbers.positive, 'inf', 'above 0'),
    (numbers.positive, 'nan', 'above 0'),
    (numbers.positive, 'much', "'much' is not"),
    (numbers.share, '1.01', "'1.01' is not a number from 0 to 1"),
    (numbers.share, 'nan', 'from 0 to 1')])
def test_bad_numbers(kind, text, message):
  with pytest.raises(argparse.ArgumentTypeError, match=re.escape(message)):
    kind(text)


def test_no_flag_takes_any_number():
  """But seeds, ids, ports, and a batch of -1, which exports check."""
  files = subprocess.check_output(
      ['find', 'tools', '-name', '*.py'], cwd=_ROOT,
      universal_newlines=True).split()
  free = []
  for path in files:
    with open(os.path.join(_ROOT, path), encoding='utf-8') as f:
      free += ['%s %s' % (path, name) for name in re.findall(
          r"'--(\w+)'[^()]*?type=(?:int|float)\b(?!, choices)", f.read())]
  allowed = re.compile(r' (\w*seed|port|ignore_label|classes|batch_size)$')
  assert [flag for flag in sorted(free) if not allowed.search(flag)] == []
