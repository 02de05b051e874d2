# Does something for as long as whoever asked for it is there, then undoes it: DO UNDO ARGUMENT...
#
# DO and UNDO are scripts, which get the arguments. If DO fails, that is all.
# stdin: at its end it is undone; that comes also when the connection or the other machine dies.
# stdout: DONE, when it is done.
trap '' HUP INT TERM PIPE
do=$1 undo=$2
shift 2
sh -c "$do" snapback-do "$@" </dev/null >&2 || exit
echo DONE
cat >/dev/null
exec sh -c "$undo" snapback-undo "$@" </dev/null >&2
