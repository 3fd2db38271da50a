# shellcheck shell=bash
# Sourced by ./dev and its scripts: how they speak to people, and which files are the project's.

heading() { printf '\n== %s\n' "$*"; }

# Ends the script: something could not be done.
fail() {
  printf 'dev: %s\n' "$*" >&2
  exit 1
}

# Ends the script: it was called in a way it does not understand.
usage_error() {
  printf 'dev: %s\n' "$*" >&2
  exit 2
}

# Prints, NUL separated and relative to $root, the files git knows or would add that match the
# patterns.
project_files() {
  git -C "${root:?}" ls-files -z --cached --others --exclude-standard --deduplicate -- "$@" |
    while IFS= read -r -d '' file; do
      [[ ! -f $root/$file ]] || printf '%s\0' "$file"
    done
}

source_files() { project_files '*.cpp' '*.hpp' '*.c' '*.h'; }
