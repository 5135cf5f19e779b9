"""The version of this code; CHANGELOG.md says what changed when."""

VERSION = '0.9.0'
