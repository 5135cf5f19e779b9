"""Tests of tools/inference/videos.py."""

import numpy as np
import pytest

from tools.inference import videos


def _frames(count, size=(48, 64)):
  return [np.full(size + (3,), (20 * i, 100, 250 - 20 * i), np.uint8)
          for i in range(count)]


@pytest.mark.parametrize('ending', ['.mp4', '.webm'])
@pytest.mark.parametrize('size', [(48, 64), (49, 65)])
def test_written_and_read_again(tmp_path, ending, size):
  path = str(tmp_path / ('a' + ending))
  writer = videos.Writer(path, 12., size)
  for frame in _frames(6, size):
    writer.write(frame)
  writer.close()
  reader = videos.Reader(path)
  assert reader.rate == 12. and reader.num_frames == 6
  found = list(reader)
  assert [number for number, _ in found] == list(range(6))
  for (_, frame), expected in zip(found, _frames(6, size)):
    assert frame.shape[0] in (size[0], size[0] + 1)
    np.testing.assert_allclose(frame[10, 10], expected[10, 10], atol=12)
  assert [number for number, _ in videos.Reader(path, 4)] == [0, 4]
  assert videos.Reader(path, 4).rate == 3.


def test_a_video_that_ends_early(tmp_path, monkeypatch):
  path = str(tmp_path / 'a.mp4')
  writer = videos.Writer(path, 12., (48, 64))
  for frame in _frames(6):
    writer.write(frame)
  writer.close()
  reader = videos.Reader(path)
  monkeypatch.setattr(reader, '_promised', 100)
  frames = iter(reader)
  assert len([next(frames) for _ in range(6)]) == 6
  with pytest.raises(videos.VideoError, match='ends after 6 of 100 frames'):
    next(frames)


def test_what_is_not_a_video(tmp_path):
  path = tmp_path / 'a.mp4'
  for content in (b'', b'no video', b'\0' * 9999):
    path.write_bytes(content)
    with pytest.raises(videos.VideoError, match='a.mp4 cannot be read'):
      videos.Reader(str(path))


def test_where_no_video_can_be_written(tmp_path):
  with pytest.raises(videos.VideoError, match='cannot be written'):
    videos.Writer(str(tmp_path / 'none' / 'a.mp4'), 12., (48, 64))
