# What ./check, ./demo and scripts/* print: sourced, not run. Colour only on a terminal (and not with NO_COLOR).

if [[ -t 1 && -z ${NO_COLOR-} ]]; then
  bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' green=$'\e[32m' cyan=$'\e[36m' plain=$'\e[0m'
else
  bold='' dim='' red='' green='' cyan='' plain=''
fi

# title TEXT: the heading of one stage.
title() { printf '\n%s──%s %s%s%s\n' "$bold$cyan" "$plain" "$bold" "$1" "$plain"; }

# say TEXT: one line below a heading.
say() { printf '   %s\n' "$1"; }

# die TEXT: ends with a clear reason.
die() {
  printf '%s%s%s\n' "$red" "$1" "$plain" >&2
  exit 1
}
