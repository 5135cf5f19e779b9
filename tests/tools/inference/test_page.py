"""Tests of tools/inference/page.py."""

import json
import pathlib
import re

import numpy as np
import pytest

from tests import browser
from tools.inference import answers
from tools.inference import page

_EVIL = '<img src=x onerror="document.title=\'evil\'"></script>{{ 7 * 7 }}"\'\n'


def _card(name, *found):
  """A Card of (class id, score) pairs."""
  names = {1: 'owl', 2: 'fox', 3: _EVIL}
  return page.Card(
      name, page.jpeg(np.full([30, 40, 3], 120, np.uint8)), 40, 30, (300, 400),
      [answers.Item(i, names[i], score) for i, score in found], 'drawn/a b.jpg',
      '')


_CARDS = [_card('b', (1, .9), (2, .6), (1, .5)), _card('c'),
          _card('a', (2, .7)), _card(_EVIL, (3, .95))]


def _page(cards=None, **kwargs):
  return page.render('Title ' + _EVIL, ['A sentence.' + _EVIL],
                     _CARDS if cards is None else cards,
                     [_EVIL], **kwargs)


def test_everything_is_escaped():
  text = _page()
  assert '<img src=x' not in text and text.count('</script>') == 1
  assert text.count('<script>') == 1 and '49' not in re.sub('base64,[^"]*', '',
                                                           text)
  assert 'href="drawn/a%20b.jpg"' in text


def test_thumbnails_are_shrunk_only():
  image = np.zeros([300, 900, 3], np.uint8)
  assert page.thumbnail(image, 90).shape == (30, 90, 3)
  assert page.thumbnail(image, 2000) is image
  thin = page.thumbnail(np.zeros([1, 9000, 3], np.uint8), 90)
  assert thin.shape == (1, 90, 3)


@pytest.mark.parametrize('args, expected', [
    ((1, .5, 'score'), '0.50'), ((3, .987, 'score'), '3, best 0.99'),
    ((1, .4321, 'share'), '43.2 %')])
def test_figures_of_a_class(args, expected):
  assert page.chip_text(*args) == expected


def test_a_page_of_nothing():
  assert 'Not read: 1' in _page([])
  assert '7 more images' in _page(num_left_out=7)
  assert 'Not read' not in page.render('', [], [], [])


@pytest.fixture(name='shown')
def _shown(tmp_path):
  path = tmp_path / 'page.html'
  path.write_text(_page(), encoding='utf-8')
  with browser.open_page(pathlib.Path(path).as_uri()) as shown:
    yield shown


_VISIBLE = ('Array.from(document.querySelectorAll(".card:not([hidden])"), '
            'c => c.dataset.name)')


def _set(shown, **values):
  """Moves the controls as a person does; returns the images that are left."""
  for name, value in values.items():
    shown.evaluate(
        '(() => { const e = document.getElementById(%s); e.value = %s; '
        'e.dispatchEvent(new Event("input", {bubbles: true})); })()'
        % (json.dumps(name), json.dumps(value)))
  return shown.evaluate(_VISIBLE)


@pytest.mark.slow
@pytest.mark.skipif(not browser.PROGRAM, reason=browser.MISSING)
def test_in_a_browser(shown):
  """Sorted and filtered; nothing evil runs, nothing is fetched."""
  evil = _EVIL.replace('\r', '')
  assert shown.evaluate(_VISIBLE) == ['b', 'c', 'a', evil]
  assert shown.evaluate('document.getElementById("count").textContent') == (
      '4 of 4 images, 5 found')
  assert _set(shown, order='name')[:3] == [evil, 'a', 'b']
  assert _set(shown, order='best')[:2] == [evil, 'b']
  assert _set(shown, order='count')[0] == 'b'
  assert _set(shown, order='worst')[0] == 'c'
  assert _set(shown, order='given', **{'class': '2'}) == ['b', 'a']
  assert _set(shown, score='0.65') == ['a']
  assert _set(shown, **{'class': '', 'score': '0.55'}) == ['b', 'a', evil]
  chips = ('Array.from(document.querySelectorAll(".card"))[0]'
           '.querySelectorAll("li:not([hidden])")')
  assert shown.evaluate('Array.from(%s, c => c.textContent)' % chips) == [
      'owl 0.90', 'fox 0.60']
  assert _set(shown, score='0') == ['b', 'c', 'a', evil]
  assert shown.evaluate('document.title').startswith('Title <img')
  assert shown.evaluate('Array.from(document.images, i => i.naturalWidth)'
                        ) == [40] * 4
  assert [url for url in shown.requests if not url.startswith(
      ('file:///', 'data:'))] == []
  assert shown.messages == []


@pytest.mark.slow
@pytest.mark.skipif(not browser.PROGRAM, reason=browser.MISSING)
def test_the_policy_holds(shown):
  """Even code that had got into the page could neither run nor fetch."""
  shown.evaluate(
      '(() => { const s = document.createElement("div"); '
      's.innerHTML = "<img src=x onerror=\\"document.title=1\\">"; '
      'document.body.appendChild(s); '
      'const t = document.createElement("script"); '
      't.textContent = "document.title = 2"; document.body.appendChild(t); '
      'new Image().src = "http://127.0.0.1:9/x.png"; })()')
  shown.wait_for('new Promise(r => setTimeout(() => r(true), 300))')
  assert shown.evaluate('document.title').startswith('Title')
  assert len([m for m in shown.messages if 'Content Security Policy' in m]) > 2
