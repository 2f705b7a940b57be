#!/usr/bin/env bash
# Generates common/gen from proto/. With --check: fails when what is committed differs from what would be generated.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/node_modules/.bin:$PATH"

if [ "${1-}" = --check ]; then
  fresh=$(mktemp -d)
  trap 'rm -rf "$fresh"' EXIT
  buf generate --output "$fresh"
  diff -r --exclude tsconfig.json "$fresh/common/gen" common/gen
else
  buf generate
fi
