"""Tests of dataloader/decoding.py."""

import pytest

from dataloader import decoding
from tests.dataloader import examples
from tools.datasets import staged_files


def test_size_and_pixels():
  image = examples.image(12, 20)
  encoded = examples.encode(image)
  assert decoding.size(encoded) == (12, 20)
  assert (decoding.pixels(encoded) == image).all()


@pytest.mark.parametrize('content', [
    b'', b'junk', examples.encode(examples.image(40, 40), 'JPEG')[:-300],
    examples.encode(examples.image(9, 9))[:-12]])
def test_what_tensorflow_cannot_decode(content):
  with pytest.raises(decoding.DecodingError) as e:
    decoding.size(content)
  assert str(e.value) and '\n' not in str(e.value)


def test_workers_of_a_process_that_has_decoded():
  """A session does not survive a fork: each process needs its own."""
  encoded = examples.encode(examples.image(12, 20), 'JPEG')
  sizes = [decoding.size(encoded)]
  sizes += staged_files.map_in_processes(
      lambda _: decoding.size(encoded), list(range(8)), 2)
  assert sizes == [(12, 20)] * 9
