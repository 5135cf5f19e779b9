"""Commands; see README.md."""

from executor import log
from utils import missing_packages

missing_packages.explain()
log.quiet_tensorflow()
