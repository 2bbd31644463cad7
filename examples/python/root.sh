#!/bin/sh
# Makes a root file system with this machine's Python 3 and its library (Debian, Ubuntu), for functions with the label runtime=python:
#   root.sh DIRECTORY [FILE...]        the files go to its top
set -eu
root=$1
shift
python=$(readlink -f "${PYTHON:-/usr/bin/python3}")
lib=$("$python" -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')
mkdir -p "$root/usr/bin" "$root$lib"
cp "$python" "$root/usr/bin/python3"
(cd "$lib" && tar cf - --exclude=./test --exclude=./idlelib --exclude=./lib2to3 --exclude=./ensurepip --exclude=./pydoc_data --exclude='./config-*' \
  --exclude=__pycache__ --exclude=./sitecustomize.py --exclude=./dist-packages .) | (cd "$root$lib" && tar xf -)
ldd "$python" "$lib"/lib-dynload/*.so | awk '/=> \// { print $3 } /^\t\// { print $1 }' | sort -u | while read -r file; do
  cp -L --parents "$file" "$root"
done
for file in "$@"; do
  cp "$file" "$root/"
done
