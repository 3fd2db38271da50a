#!/usr/bin/env bash
# Checks, include by include, the one direction of the libraries, patch -> dns -> net -> fiber: none
# includes a library above it, and nobody looks into a library's src/ but its own tests, the fixtures in
# test/support/, the models in test/model/ and the micro benches.
# layering.sh ROOT    prints FILE:LINE: what is wrong; exit 1 if there was something
set -euo pipefail

cd "$1"
bad=0

# A library may include itself and what stands before it here.
declare -A height=([fiber]=0 [net]=1 [dns]=2 [patch]=3)
# Folders that stand outside: they may include everything that is public.
users=(example bench test tools)

complain() {
  printf '%s:%s: %s\n' "$file" "$line" "$1"
  bad=1
}

# The library that <weft/PATH> belongs to; umbrella headers count, so do the tools.
library_of() {
  local name=${1#weft/}
  [[ $name != co.hpp ]] || name=fiber  # whose coroutines it shows
  name=${name%%/*}
  printf '%s' "${name%.hpp}"
}

# An include of a public header: <weft/NAME/...> or <weft/NAME.hpp>.
check_public() {
  local folder=${file%%/*} target=$1
  if [[ $target == tools ]]; then
    [[ -z ${height[$folder]:-} ]] || complain "a library includes the command-line tools"
  elif [[ $target == guest ]]; then
    [[ -z ${height[$folder]:-} || $file == fiber/guest/* ]] || complain "$folder includes fiber/guest"
  elif [[ -z ${height[$target]:-} ]]; then
    complain "there is no library '$target'"
  elif [[ -n ${height[$folder]:-} ]] && ((height[$target] > height[$folder])); then
    complain "$folder includes $target, which is above it"
  fi
}

# An include in quotes: it must stay in its folder, and out of foreign src/ folders.
check_quoted() {
  local folder=${file%%/*} owner=${file%%/*} path
  [[ $folder != test ]] || owner=$(cut -d/ -f2 <<<"$file")
  path=$(realpath -m --relative-to=. "$(dirname "$file")/$1")
  if [[ -e $path ]]; then
    [[ $path == "$folder"/* || $path == "$owner"/src/* || $owner/$path == example/example/support/* ]] ||
      complain "\"$1\" leaves $folder/"
    [[ $file != */include/* || $path == */include/* ]] ||
      complain "\"$1\" is private, and this header is installed"
    return
  fi
  [[ $file != bench/micro/* && $file != test/support/* && $file != tools/ps/* &&
    $file != test/model/* && $file != test/hazard/* ]] || return 0
  for path in */src/"$1" */*/src/"$1"; do
    [[ -e $path && $path != "$owner"/* ]] || continue
    [[ -e $owner/src/$1 || -e $folder/$1 ]] || complain "\"$1\" is private to ${path%%/src/*}"
    return
  done
  [[ $file != */include/* ]] || complain "\"$1\": installed headers include <weft/...>"
}

folders=()
for folder in "${!height[@]}" "${users[@]}"; do
  [[ ! -d $folder ]] || folders+=("$folder")
done
((${#folders[@]} > 0)) || { echo "layering: $1 holds none of the project's folders" >&2 && exit 1; }

pattern='^[[:space:]]*#[[:space:]]*include[[:space:]]*([<"])([^>"]+)[>"]'
count=0
while IFS=: read -r file line text; do
  [[ $text =~ $pattern ]] || continue
  count=$((count + 1))
  include=${BASH_REMATCH[2]}
  if [[ $include == weft/* ]]; then
    check_public "$(library_of "$include")"
  elif [[ ${BASH_REMATCH[1]} == '"' ]]; then
    check_quoted "$include"
  elif [[ $include == */src/* ]]; then
    complain "<$include> is private"
  fi
done < <(grep -rnE "$pattern" "${folders[@]}" --include='*.[ch]' --include='*.[ch]pp' --include='*.ipp')
((bad == 1)) || echo "layering: $count includes, all along patch -> dns -> net -> fiber"
exit "$bad"
