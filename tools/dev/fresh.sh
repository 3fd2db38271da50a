#!/usr/bin/env bash
# Makes a clean Debian 12 in a temporary folder, clones the checkout into it and runs there what the
# README tells a newcomer: that is how a missing install step is found. `run` comes first, with the
# smaller set of packages. Packages come from where this machine's apt gets them. Needs root.
# fresh.sh ROOT [--keep]    --keep leaves the folder and says how to enter it
set -euo pipefail
# shellcheck source=tools/dev/messages.sh
source "$(dirname "${BASH_SOURCE[0]}")/messages.sh"

root=$1
keep=${2:-}
# Not /tmp, which may be memory: two builds need a few GB.
work=$(mktemp -d /var/tmp/weft-fresh.XXXXXX)
debian=$work/debian

# Every mount is made in a mount namespace of its own and gone with it, so this deletes only files.
clean_up() {
  local status=$?
  if [[ -n $keep && -d $debian ]]; then
    echo "kept: chroot $debian (then rm -rf $work)"
  else
    rm -rf --one-file-system "$work"
  fi
  exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Prints this machine's package sources for Debian 12, if it has some.
apt_sources() {
  local file
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
    ! grep -qsE '^[^#]*\bbookworm\b' "$file" || printf '%s\n' "$file"
  done
}

# Prints this machine's settings of how to reach them: proxies, time checks.
apt_settings() {
  apt-config dump | grep -E '^Acquire::(https?|Check|Retries|Languages)' |
    grep -vE '(Auto-?Detect|^[^ ]+ "")' || true
}

make_debian() {
  local -a sources
  local keys
  heading "make a clean Debian 12 in $debian"
  mapfile -t sources < <(apt_sources)
  apt_settings >"$work/apt.conf"
  chmod 755 "$work"
  mmdebstrap --quiet --mode=root --variant=minbase --aptopt="$work/apt.conf" \
    bookworm "$debian" "${sources[@]}"
  for keys in /etc/apt/keyrings /etc/apt/trusted.gpg.d /usr/share/keyrings; do
    [[ ! -d $keys ]] || { mkdir -p "$debian$keys" && cp -aLn "$keys/." "$debian$keys/"; }
  done
  cp -L /etc/resolv.conf /etc/hosts "$debian/etc/"
}

clone_checkout() {
  heading "clone the checkout"
  [[ -z $(git -C "$root" status --porcelain) ]] ||
    echo "note: what is not committed is not in the clone"
  # The checkout may belong to the user who called sudo.
  GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0='*' \
    git clone --quiet --no-local "$root" "$debian/root/weft"
}

# Runs a command of the clone in namespaces of its own; no mount and no process outlives it.
# shellcheck disable=SC2016 # the inner shell expands them
inside() {
  heading "in the clean Debian: $*"
  unshare --mount --propagation private --pid --fork --kill-child -- bash -c '
    set -euo pipefail
    mount -t proc proc "$1/proc"
    mount --rbind /dev "$1/dev"
    mount --rbind /sys "$1/sys"
    exec chroot "$1" env -i HOME=/root LANG=C.UTF-8 \
      PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
      bash -c "cd /root/weft && exec \"\$@\"" inside "${@:2}"' inside "$debian" "$@" </dev/null
}

make_debian
clone_checkout
inside ./dev run --yes
inside ./dev test
heading "fresh: both commands work in a clean Debian 12"
