#!/usr/bin/env bash
# Makes the virtual environment of one runtime inside the clone.
#
#   bash tools/setup_env.sh [tf1|tf1-mkl|tf2|gpu|tpu|export|docs]
#
# Prints the folder of the environment on stdout and everything else on
# stderr. Without an argument: tf1 if this machine has a Python 3.7, else tf2.
# gpu is tf2 with the build for NVIDIA GPUs (`make setup DEVICE=gpu`), tf1-mkl
# is tf1 with Intel's build (`make setup RUNTIME=tf1 BUILD=mkl`). The others are
# not runtimes: they hold the TPU compiler (`make tpu-check`), the
# converters of tools.export_onnx and the like, and MkDocs (`make docs`).
# PYTHON=/path/to/python uses that interpreter. An environment that is complete
# and belongs to the present lock file is left as it is.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

UV_VERSION=0.13.9

say() { echo "setup: $*" >&2; }

die() {
  say "$*"
  exit 1
}

# Whether $1 runs and is a Python of version $2 that can make environments.
is_python() {
  "$1" -c "
import sys, ensurepip, venv
sys.exit('%d.%d' % sys.version_info[:2] != '$2')" >/dev/null 2>&1
}

# Lines: places where a Python of version $1 may be.
candidates() {
  local version=$1 root
  type -ap "python$version" python3 python || true
  root=${PYENV_ROOT:-$HOME/.pyenv}
  # shellcheck disable=SC2012 # pyenv's own folders have plain names.
  ls -d "$root/versions/$version".*/bin/python 2>/dev/null | sort -rV || true
  if command -v uv >/dev/null; then
    uv python find "$version" 2>/dev/null || true
  fi
  if command -v conda >/dev/null; then
    conda env list 2>/dev/null | awk '/^[^#]/ {print $NF "/bin/python"}' || true
  fi
}

# Prints the first candidate that is a Python of version $1.
find_python() {
  local path
  while IFS= read -r path; do
    if is_python "$path" "$1"; then
      echo "$path"
      return
    fi
  done < <(candidates "$1")
  return 1
}

# Prints the uv program, which comes into .setup/ if the machine has none.
find_uv() {
  if command -v uv; then
    return
  fi
  local path
  path=$(type -ap python3 | head -n 1)
  [[ -n $path ]] || return 1
  "$path" -m venv .setup/uv >&2 || return 1
  .setup/uv/bin/python -m pip install --quiet "uv==$UV_VERSION" >&2 || return 1
  echo .setup/uv/bin/uv
}

# Prints a Python of version $1 that uv downloads.
download_python() {
  local uv
  uv=$(find_uv) || return 1
  say "no Python $1 here; uv brings one."
  "$uv" python install "$1" >&2 || return 1
  "$uv" python find "$1"
}

choose_runtime() {
  case ${1:-} in
    tf1 | tf1-mkl | tf2 | gpu | tpu | export | docs) echo "$1" ;;
    '')
      if [[ -f .venv-tf1/.complete ]] || find_python 3.7 >/dev/null; then
        echo tf1
      else
        say 'no Python 3.7 here, so TensorFlow 2.15 is used (RUNTIME=tf2).'
        echo tf2
      fi
      ;;
    *-mkl) die "BUILD=mkl needs RUNTIME=tf1." ;;
    *) die "RUNTIME is '$1'; it can be tf1 or tf2." ;;
  esac
}

# Prints the interpreter to build runtime $1, which needs version $2, from.
choose_python() {
  if [[ -n ${PYTHON:-} ]]; then
    is_python "$PYTHON" "$2" || die "PYTHON=$PYTHON is not a Python $2 with" \
      'the modules venv and ensurepip.'
    echo "$PYTHON"
  elif find_python "$2"; then
    return
  elif [[ $1 == tf1* ]]; then
    die "no Python $2 found on PATH, with pyenv, uv or conda. Install one" \
      '(docs/getting_started.md), name it with PYTHON=/path/to/python, or use' \
      'RUNTIME=tf2.'
  else
    download_python "$2" || die "no Python $2 found, and uv could not bring" \
      'one. Install it with its venv module (Debian: python3.11-venv), or' \
      'name it with PYTHON=/path/to/python.'
  fi
}

# Builds environment $1 with the interpreter $2 from the lock files $3*.txt; $4
# are the modules that it is complete with.
build() {
  local venv=$1 interpreter=$2 lock=$3 modules=$4
  [[ $(uname -sm) == 'Linux x86_64' ]] ||
    die "the locks are of Linux on x86-64, this is $(uname -sm)" \
      '(requirements/README.md).'
  say "$venv with $("$interpreter" --version 2>&1), from $lock.txt: up to" \
    '1.6 GB, some minutes.'
  rm -rf "$venv"
  "$interpreter" -m venv "$venv"
  local install=("$venv/bin/python" -m pip --disable-pip-version-check install
    --quiet --no-deps --require-hashes)
  # pip warns about wheel folders of its own configuration that are not there.
  "${install[@]}" -r "$lock-build.txt" >&2
  "${install[@]}" --no-build-isolation -r "$lock.txt" >&2
  "$venv/bin/python" -c "import $modules" 2>/dev/null ||
    die "$venv is incomplete: $("$venv/bin/python" -c \
      "import $modules" 2>&1 | tail -n 1)"
}

main() {
  local runtime version lock venv stamp interpreter
  local modules='cv2, pycocotools.mask, tensorflow'
  runtime=$(choose_runtime "${1:-}")
  case $runtime in
    tf1) version=3.7 lock=requirements/py37-tf115 ;;
    tf1-mkl) version=3.7 lock=requirements/py37-tf115-mkl ;;
    tf2) version=3.11 lock=requirements/py311-tf215 ;;
    gpu) version=3.11 lock=requirements/py311-tf215-gpu ;;
    tpu) version=3.11 lock=tools/tpu/requirements modules='jaxlib, libtpu' ;;
    docs) version=3.11 lock=requirements/py311-docs modules='mkdocs' ;;
    export)
      version=3.11 lock=requirements/py311-export
      modules='jax, onnxruntime, openvino, tf2onnx'
      ;;
  esac
  venv=.venv-$runtime
  mkdir -p .setup
  # Two makes in one clone take turns.
  exec 9>".setup/$runtime.lock"
  if command -v flock >/dev/null; then
    flock 9
  fi
  stamp=$(cat "$lock-build.txt" "$lock.txt" | sha256sum | cut -d ' ' -f 1)
  if [[ $(cat "$venv/.complete" 2>/dev/null) != "$stamp" ]] ||
    ! "$venv/bin/python" -c '' 2>/dev/null; then
    interpreter=$(choose_python "$runtime" "$version")
    build "$venv" "$interpreter" "$lock" "$modules"
    echo "$stamp" >"$venv/.complete"
    say "$venv is ready."
  fi
  echo "$venv"
}

main "$@"
