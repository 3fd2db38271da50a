#!/usr/bin/env bash
# Shows that ./dev refuses what it does not understand with exit code 2 and one line that says what
# is accepted, before it does anything; and that each command asks for the packages of its machine.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
dev=$here/../../dev
bad=0

# refuses WORDS ARGUMENT...: the line that explains has the words.
refuses() {
  local words=$1 said code=0
  shift
  said=$("$dev" "$@" 2>&1) || code=$?
  if [[ $code != 2 || $said != "dev: "*"$words"* || $said == *$'\n'* ]]; then
    echo "dev $*: ended with $code and said: $said; expected 2 and one line with: $words"
    bad=1
  fi
}

# needs PACKAGE MACHINE SET: on such a machine the set has the package; `not` before, it has not.
needs() {
  local wanted=yes found=yes
  [[ $1 != not ]] || { wanted=no && shift; }
  # shellcheck source=tools/dev/packages.sh
  (
    # shellcheck disable=SC2317 # called by packages_of
    uname() { echo "$machine"; }
    machine=$2
    source "$here/packages.sh"
    [[ " $(packages_of "$3") " == *" $1 "* ]]
  ) || found=no
  if [[ $found != "$wanted" ]]; then
    echo "packages of $3 on $2: $1 is among them: $found"
    bad=1
  fi
}

for arguments in '' help --help 'test --help'; do
  # shellcheck disable=SC2086 # several words
  [[ $("$dev" $arguments) == 'usage: ./dev COMMAND'* ]] || { echo "dev $arguments: no usage" && bad=1; }
done
refuses 'accepted: run, test' frobnicate
refuses "unknown option '--'; accepted: --all, --yes" lint --
refuses "unknown option '--only'; accepted: --only=, --yes" test --only
refuses "unknown option '--all=1'; accepted: --all" lint --all=1
refuses "test: 'fibre' is no folder of tests; accepted: support fiber" test tsan --only=fibre
refuses "test: '' is no folder of tests; accepted: support fiber" test --only=
refuses "unknown option '--smoke yes'; accepted: --smoke" bench '--smoke yes'
refuses "unknown option '--fast'; accepted: --smoke" bench --fast
refuses "unknown option '--all'; accepted: --peers, --yes" run --all
refuses "unknown option '-x'; accepted: --only=, --yes" test -x
refuses "unknown preset 'debug release'; accepted: debug release" test 'debug release'
refuses "unknown preset 'rel'; accepted: debug release" test rel
refuses "one preset at a time, and 'tsan' is one; the second argument is a regex" test asan tsan
refuses "'(' is no regular expression that CMake takes (Unmatched" test release '('
refuses "'*a' is no regular expression that CMake takes (?+* follows nothing" test asan '*a'
for none in x 0 -1 01 '1 2' 99999999999; do
  WEFT_JOBS=$none refuses "WEFT_JOBS: '$none' is not accepted, expected a whole number from 1" test
done
refuses "stress: 'soon' is no number of minutes" stress soon
refuses "stress: '' is no number of minutes" stress
refuses "unknown preset 'rel'; accepted: debug release" stress 1 rel
refuses "unexpected argument 'more'" test release Echo more
refuses "unexpected argument 'extra'" help extra
refuses "unexpected argument 'extra'" --help extra
for set in run bench test debug release clang; do
  needs not libboost-context1.81-dev x86_64 "$set"
  needs libboost-context1.81-dev aarch64 "$set"
done
needs libboost-context1.81-dev x86_64 fcontext
needs jq x86_64 bench
needs jq x86_64 test
exit "$bad"
