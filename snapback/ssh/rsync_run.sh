# Runs rsync, or another program, for as long as whoever asked for it is there: PROGRAM ARGUMENT...
#
# stdin: at its end the program is ended too, with all that it has started.
# stdout: what it says, each state of its progress on a line of its own; the last line is
#   STATUS N          it has ended with the exit status N
exec 3<&0 </dev/null
{
    setsid "$@" 3<&- &
    program=$!
    {
        cat <&3
        kill -- "-$program" || kill "$program"
    } >/dev/null 2>&1 &
    watch=$!
    exec 3<&-
    wait "$program"
    status=$?
    kill "$watch" 2>/dev/null
    printf '\nSTATUS %s\n' "$status"
} | stdbuf -oL tr '\r' '\n'
