#!/bin/sh
# Installs vidsr from the repository SRC into the virtual environment DIR: without PyTorch, which only training needs.
# usage: install.sh SRC DIR
set -eu
python3 -m venv "$2"
"$2/bin/pip" install --no-cache-dir -q -c "$1/tools/constraints.txt" "$1"
"$2/bin/pip" uninstall -q -y pip setuptools
