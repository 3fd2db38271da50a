#!/usr/bin/env bash
# The checks that need no run of the code: format, shellcheck, layering, headers, clang-tidy.
# clang-tidy takes the files that changed since $WEFT_LINT_BASE, or since the branch left main, or in
# the last commit; with --all it takes all. Goes through all checks and fails if one did.
# lint.sh BUILD_DIR [--all]
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
jobs=${WEFT_JOBS:-$(nproc)}
# shellcheck source=tools/dev/messages.sh
source "$here/messages.sh"

build=$1
all=${2:-}
failed=()

check() {
  heading "$1"
  "${@:2}" || failed+=("$1")
}

format() { source_files | xargs -0 -r clang-format-16 --dry-run -Werror; }

shell_scripts() {
  local file line
  while IFS= read -r -d '' file; do
    IFS= read -r line <"$file" 2>/dev/null || continue
    [[ $file != *.sh && ! $line =~ ^'#!'.*sh$ ]] || printf '%s\0' "$file"
  done < <(project_files)
}

scripts() { shell_scripts | xargs -0 -r shellcheck -x; }

# Prints the commit to compare with; nothing when everything is new.
base_commit() {
  local main base
  if [[ -n ${WEFT_LINT_BASE:-} ]]; then
    git merge-base HEAD "$WEFT_LINT_BASE"
    return
  fi
  for main in origin/main main origin/master master; do
    base=$(git merge-base HEAD "$main" 2>/dev/null) || continue
    [[ $base == "$(git rev-parse HEAD)" ]] || { echo "$base" && return; }
  done
  git rev-parse --quiet --verify HEAD~1 || true
}

changed_sources() {
  local base
  base=$(base_commit)
  if [[ -n $all || -z $base ]]; then
    source_files
    return
  fi
  {
    git diff -z --name-only --diff-filter=d "$base" -- '*.cpp' '*.hpp' '*.c' '*.h'
    git ls-files -z --others --exclude-standard -- '*.cpp' '*.hpp' '*.c' '*.h'
  } | sort -zu
}

# Headers have no command of their own: clang-tidy takes that of the nearest source file. A source that
# this build leaves out has no right command.
tidy_one() {
  local output
  if [[ $2 != *.hpp ]] && ! grep -qF "/$2\"" "$1/compile_commands.json"; then
    echo "$2: not checked, for it is no part of the build in $1"
    return
  fi
  output=$(clang-tidy-16 --quiet -p "$1" --extra-arg=-Wno-pragma-once-outside-header \
    --extra-arg=-Wno-unknown-warning-option "$2" 2>&1) || {
    printf '%s\n' "$output"
    return 1
  }
}

tidy() {
  export -f tidy_one
  # shellcheck disable=SC2016 # the inner shell expands them
  changed_sources | xargs -0 -r -n 1 -P "$jobs" bash -c 'tidy_one "$@"' tidy "$build"
}

cd "$root"
git rev-parse --git-dir >/dev/null 2>&1 || fail "lint needs a git checkout: it checks git's files"
check format format
check shellcheck scripts
check layering "$here/layering.sh" "$root"
check "headers compile alone" "$here/headers_alone.sh" "$root"
check clang-tidy tidy
((${#failed[@]} == 0)) || fail "lint found something in: $(printf '%s; ' "${failed[@]}")see above"
printf '\nlint: clean\n'
