#!/usr/bin/env bash
# All the tests, from a fresh clone: installs what is missing, checks types, lint, format and generated code, then runs
# every test against real services. The last line is `N passed, N failed`; the exit status is non-zero on any failure.
# With arguments: only those test files (`scripts/test.sh test/vault`), and no checks.
set -uo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/node_modules/.bin:$PATH"

passed=0 failed=0
check() { # check NAME COMMAND...: one more test
  local name=$1 && shift
  if "$@"; then echo "ok: $name"; passed=$((passed + 1)); else echo "FAILED: $name"; failed=$((failed + 1)); fi
}

./scripts/install-deps.sh --for-tests || { echo "0 passed, 1 failed"; exit 1; }

if [ $# -eq 0 ]; then
  check 'the types hold and imports keep their direction' tsc -b
  check 'the linter finds nothing' oxlint --type-aware
  check 'the format is the formatter'"'"'s' oxfmt --check
  check 'the proto passes its linter' buf lint
  check 'the generated code is fresh' ./scripts/generate.sh --check
fi

report=$(mktemp)
trap 'rm -f "$report"' EXIT
vitest run --reporter=default --reporter=json --outputFile.json="$report" "$@"
status=$?
counts=$(node -e '
  const report = JSON.parse(require("node:fs").readFileSync(process.argv[1], "utf8"));
  // A file that could not be loaded has no tests of its own, and a skipped test proves nothing: both are failures.
  const broken = report.testResults.filter((file) => file.status === "failed" && file.assertionResults.every((test) => test.status !== "failed")).length;
  console.log(report.numPassedTests, report.numFailedTests + report.numPendingTests + (report.numTodoTests ?? 0) + broken);
' "$report") || counts='0 1'
passed=$((passed + ${counts% *})) failed=$((failed + ${counts#* }))
# vitest also fails for what is not a test: an unhandled rejection, a leak.
if [ $status -ne 0 ] && [ "$failed" -eq 0 ]; then failed=1; fi

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
