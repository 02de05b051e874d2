# Stands in for ssh where rsync is only asked what it would run on the other side: HOST WORD...
#
# Writes these words, a line each, to the file that SNAPBACK_SAID names.
shift
printf '%s\n' "$@" >"$SNAPBACK_SAID"
