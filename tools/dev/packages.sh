# shellcheck shell=bash
# Sourced by ./dev: which Debian 12 packages each command needs, which are missing, and how they
# are installed.

# How a package shows itself where dpkg cannot be asked: a command, or a header.
declare -A package_probe=(
  [g++]=g++ [cmake]=cmake [ninja-build]=ninja [pkg-config]=pkg-config [socat]=socat [git]=git
  [clang-16]=clang++-16 [clang-format-16]=clang-format-16 [clang-tidy-16]=clang-tidy-16
  [shellcheck]=shellcheck [mmdebstrap]=mmdebstrap [ccache]=ccache
  [libelf-dev]='<gelf.h>' [libcli11-dev]='<CLI/CLI.hpp>' [libfmt-dev]='<fmt/format.h>'
  [nlohmann-json3-dev]='<nlohmann/json.hpp>' [libgtest-dev]='<gtest/gtest.h>'
  [libgmock-dev]='<gmock/gmock.h>' [libbenchmark-dev]='<benchmark/benchmark.h>'
  [libboost-context1.81-dev]='<boost/context/fiber.hpp>' [libboost1.81-dev]='<boost/asio.hpp>'
  [libboost-fiber1.81-dev]='<boost/fiber/fiber.hpp>' [libst-dev]='<st.h>' [golang-go]=go
  [chromium]=chromium [gdb]=gdb [jq]=jq [valgrind]=valgrind [libssl-dev]='<openssl/ssl.h>'
)

# Prints the packages of one set; a set is named after the command or the preset that needs it.
packages_of() {
  # Programs and benches; CMake asks for Google Benchmark even if only the comparison is built.
  local build="g++ cmake ninja-build libelf-dev libcli11-dev libfmt-dev nlohmann-json3-dev libbenchmark-dev"
  build+=" libboost1.81-dev libboost-fiber1.81-dev"
  # weft's own context switch is for x86-64 alone; elsewhere each build takes that of Boost.
  [[ $(uname -m) == x86_64 ]] || build+=" libboost-context1.81-dev"
  local test="$build pkg-config libgtest-dev libgmock-dev socat chromium gdb jq libssl-dev valgrind"
  local boost="libboost-context1.81-dev"
  local peers="golang-go libst-dev python3-gevent python3-uvloop"
  local clang="clang-16 libclang-rt-16-dev"
  local lint="$test $boost clang-format-16 clang-tidy-16 shellcheck git"
  case $1 in
    run) echo "$build" ;;
    bench) echo "$build jq" ;;
    peers) echo "$peers" ;;
    test | debug | release) echo "$test" ;;
    asan | tsan | fcontext) echo "$test $boost" ;;
    clang) echo "$test $clang" ;;
    lint) echo "$lint" ;;
    format) echo "clang-format-16 git" ;;
    fresh) echo "mmdebstrap git" ;;
    all) echo "$lint $clang $peers jq mmdebstrap ccache" ;;
  esac
}

on_debian_12() {
  # shellcheck source=/dev/null
  (source /etc/os-release 2>/dev/null && [[ ${ID:-} == debian && ${VERSION_ID:-} == 12 ]]) &&
    [[ -n $(type -P dpkg-query) ]]
}

probe_finds() {
  local probe=${package_probe[$1]:-}
  case $probe in
    '') return 0 ;;
    '<'*) g++ -std=c++20 -E -x c++ - <<<"#include $probe" >/dev/null 2>&1 ;;
    *) [[ -n $(type -P "$probe") ]] ;;
  esac
}

# Prints the packages of the sets that are not there, in one line without a line break.
missing_packages() {
  local set name installed=
  local -A seen=()
  if on_debian_12; then
    installed=$(dpkg-query --show --showformat='${db:Status-Status} ${Package}\n' 2>/dev/null |
      sed -n 's/^installed //p')
  fi
  for set; do
    for name in $(packages_of "$set"); do
      [[ -z ${seen[$name]:-} ]] || continue
      seen[$name]=1
      if [[ -n $installed ]]; then
        grep -qxF -- "$name" <<<"$installed" || printf '%s ' "$name"
      else
        probe_finds "$name" || printf '%s ' "$name"
      fi
    done
  done
}

# Says whether installing was agreed to: by an option, by CI, by being root, or by an answer.
may_install() {
  [[ -z $1 && ${CI:-} != true && $EUID != 0 ]] || return 0
  local answer
  read -rp "Install them now with sudo? [y/N] " answer </dev/tty
  [[ $answer == [yY]* ]]
}

# Installs the packages, as root or through sudo.
install_packages() {
  local -a sudo=()
  if ((EUID != 0)); then
    sudo=(sudo)
    [[ -t 0 ]] || sudo=(sudo --non-interactive)
  fi
  # A stale or foreign list is no reason to stop: the installation itself says what it lacks.
  "${sudo[@]}" apt-get update -q || true
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -q --yes --no-install-recommends "$@" </dev/null
}

# Makes sure that the packages of the sets are there, or ends the script with one line.
# require_packages YES SET...
require_packages() {
  local yes=$1 missing
  local -a names
  shift
  missing=$(missing_packages "$@")
  [[ -n $missing ]] || return 0
  read -ra names <<<"$missing"
  on_debian_12 ||
    fail "this is not Debian 12; please install what these of its packages hold: ${names[*]}"
  if ((EUID != 0)); then
    [[ -n $(type -P sudo) ]] ||
      fail "packages are missing; as root: apt-get install --no-install-recommends ${names[*]}"
    [[ -n $yes || ${CI:-} == true || -t 0 ]] ||
      fail "packages are missing (--yes installs them with sudo): ${names[*]}"
  fi
  echo "Missing packages: ${names[*]}"
  may_install "$yes" || fail "not installed: ${names[*]}"
  install_packages "${names[@]}" || fail "apt-get could not install: ${names[*]}"
}
