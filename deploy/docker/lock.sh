#!/bin/sh
# Writes the lock files of the images anew from pyproject.toml; needs uv (pip install uv).
#
#   deploy/docker/lock.sh                       keeps the versions that are locked and still fit
#   deploy/docker/lock.sh --upgrade             takes the newest of everything
#   deploy/docker/lock.sh --upgrade-package ray takes the newest Ray
#
# The hashes are those of all files of a version, so the locks hold for amd64 and arm64 alike.
set -eu
cd "$(dirname "$0")/../.."

lock() {
    output=$1
    shift
    uv pip compile "$@" --output-file "deploy/docker/$output" --custom-compile-command deploy/docker/lock.sh \
        --python-version 3.11 --python-platform linux --generate-hashes --no-emit-index-url --no-emit-find-links --quiet
}

lock requirements.txt "$@" --extra service --extra otel pyproject.toml

# What builds the wheel: the build requirements of pyproject.toml, which no option of uv names.
python3 -c '
import tomllib
with open("pyproject.toml", "rb") as file:
    print(*tomllib.load(file)["build-system"]["requires"], sep="\n")
' | lock requirements-build.txt "$@" -
