"""MkDocs hooks: pages of the site that are not files of docs/.

README becomes the first page; every module of the rooms gets a page of
reference from its docstrings; a file of the code that a page links to gets a
page with its text. Links between them are rewritten, so that MkDocs, which is
strict, finds every broken one.
"""

from typing import Any, Callable, Dict, List, Optional, Set
import os
import re

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
ROOMS = ('configs', 'utils', 'ops', 'architecture', 'dataloader', 'evaluation',
         'modeling', 'executor', 'serving')
_TOP_PAGES = {'README.md': 'index.md', 'CONTRIBUTING.md': 'CONTRIBUTING.md',
              'CHANGELOG.md': 'CHANGELOG.md'}
_LINK = re.compile(r'(!?\[[^\]]*\]\()([^)#\s]+)([^)]*\))')
_FENCE = re.compile(r'^```.*?^```$', re.MULTILINE | re.DOTALL)
_LANGUAGES = {'.py': 'python', '.yaml': 'yaml', '.sh': 'bash'}


def modules(root: str = ROOT) -> Dict[str, List[str]]:
  """Paths of the modules that get a page, by room, sorted.

  Args:
    root: folder of the code.

  Returns:
    {room: [path relative to the root]}.
  """
  found = {}
  for room in ROOMS:
    paths = []
    for folder, subfolders, names in os.walk(os.path.join(root, room)):
      subfolders.sort()
      paths += [os.path.relpath(os.path.join(folder, name), root)
                for name in sorted(names)
                if name.endswith('.py') and name != '__init__.py']
    found[room] = paths
  return found


def page_of(path: str,
            exists: Callable[[str], bool] = os.path.exists) -> Optional[str]:
  """The page of the site that shows a file of the code.

  Args:
    path: relative to the root, with forward slashes.
    exists: whether there is a file or folder of an absolute path.

  Returns:
    Path of the page, relative to the site; None where there is no such file,
    which MkDocs then reports as a broken link.
  """
  if path in _TOP_PAGES:
    return _TOP_PAGES[path]
  if path.startswith('docs/'):
    return path[len('docs/'):]
  return 'source/%s.md' % path if exists(os.path.join(ROOT, path)) else None


def rewrite_links(text: str, source: str, page: str,
                  linked: Optional[Set[str]] = None) -> str:
  """Turns links between files of the code into links between pages.

  Args:
    text: Markdown.
    source: path of the document it is from, relative to the root.
    page: the page that it becomes.
    linked: set, which files outside of docs/ that it links to are added to.

  Returns:
    Markdown; links into the network and within the page are left alone, and so
    is what lies within code blocks.
  """
  def rewrite(match):
    start, target, end = match.groups()
    if '://' in target or target.startswith('mailto:'):
      return match.group(0)
    path = os.path.normpath(os.path.join(os.path.dirname(source), target))
    found = page_of(path)
    if found is None:
      return match.group(0)
    if found.startswith('source/') and linked is not None:
      linked.add(path)
    return start + os.path.relpath(found, os.path.dirname(page) or '.') + end

  parts, place = [], 0
  for fence in _FENCE.finditer(text):
    parts += [_LINK.sub(rewrite, text[place:fence.start()]), fence.group(0)]
    place = fence.end()
  return ''.join(parts + [_LINK.sub(rewrite, text[place:])])


def on_config(config: Any) -> Any:
  """Appends the reference to the navigation."""
  reference = [{room: [{_module_name(path): _reference_page(path)}
                       for path in paths]}
               for room, paths in modules().items()]
  config.nav = list(config.nav) + [{'Reference': reference}]
  return config


def on_files(files: Any, config: Any) -> Any:
  """Adds the pages that are not files of docs/."""
  linked = set()
  for source, page in _TOP_PAGES.items():
    with open(os.path.join(ROOT, source), encoding='utf-8') as f:
      text = rewrite_links(f.read(), source, page, linked)
    _add(files, config, page, text)
  for name in sorted(os.listdir(os.path.join(ROOT, 'docs'))):
    if name.endswith('.md'):
      with open(os.path.join(ROOT, 'docs', name), encoding='utf-8') as f:
        rewrite_links(f.read(), 'docs/' + name, name, linked)
  for path in sorted(linked):
    _add(files, config, page_of(path), _source_text(path), is_in_nav=False)
  for paths in modules().values():
    for path in paths:
      _add(files, config, _reference_page(path),
           '::: %s\n' % _module_name(path))
  return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
  """Rewrites the links of pages that are files of docs/."""
  del config, files
  if page.file.generated_by:
    return markdown
  return rewrite_links(markdown, 'docs/' + page.file.src_uri,
                       page.file.src_uri)


def _module_name(path):
  return path[:-len('.py')].replace('/', '.')


def _reference_page(path):
  return 'reference/%s.md' % path[:-len('.py')]


def _source_text(path):
  """A page that shows a file, or lists a folder."""
  full = os.path.join(ROOT, path)
  if os.path.isdir(full):
    names = ['* `%s`' % name for name in sorted(os.listdir(full))]
    return '# %s\n\n%s\n' % (path, '\n'.join(names))
  with open(full, encoding='utf-8') as f:
    text = f.read()
  if path.endswith('.md'):
    return text
  language = _LANGUAGES.get(os.path.splitext(path)[1], 'text')
  return '# %s\n\n````%s\n%s````\n' % (path, language, text)


def _add(files, config, page, text, is_in_nav=True):
  from mkdocs.structure import files as mkdocs_files  # Only in its environment.

  inclusion = mkdocs_files.InclusionLevel
  files.append(mkdocs_files.File.generated(
      config, page, content=text,
      inclusion=inclusion.INCLUDED if is_in_nav else inclusion.NOT_IN_NAV))
