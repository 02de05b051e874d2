# Holds file systems frozen while whoever asked for it keeps talking: LIMIT LEASE MOUNT_POINT...
#
# stdin: a "." at least every LEASE seconds while frozen; "T" asks for the thaw.
# stdout, a line each, on its way through the watchdog to whoever asked:
#   HOLDER PID        first of all
#   FREEZING COUNT    so many of the mount points are about to be frozen, or all
#   REFUSED K WHY     the Kth could not be; those that were are thawed, none is left frozen
#   FROZEN            all of them are
#   STUCK K WHY       the Kth could not be thawed, or was found thawed ("Invalid argument")
#   THAWED REASON     all others are thawed: "asked", or because of "lease", "limit", "signal"
# All are frozen side by side, but / after the others; it is thawed before them. Whoever could still freeze keeps fd 6
# open: only when all such processes are gone the watchdog sees the end of the pipe.
limit=$1 lease=$2
shift 2
exec 3<&0 6>&1
reason='' frozen='' refusal=''
trap 'reason=${reason:-signal}' HUP INT TERM
trap '' PIPE
set -f

uptime_s() {
    read -r uptime _ </proc/uptime
    uptime=${uptime%%.*}
}

freeze_one() {
    if why=$(fsfreeze -f -- "$2" 2>&1); then
        echo "OK $1"
    else
        echo "NO $1 ${why##*: }"
    fi
}

freeze_all_but_root() {
    trap '' HUP INT TERM
    k=0
    for mount_point do
        k=$((k + 1))
        [ "$mount_point" = / ] || freeze_one "$k" "$mount_point" &
    done
    wait
    echo DONE
}

# Takes note of what these two said. Without its last word some may be frozen later: that is for the watchdog.
note() {
    case $1 in
    *DONE) ;;
    *) exit 1 ;;
    esac
    IFS='
'
    for line in $1; do
        case $line in
        OK*) frozen="${line#OK } $frozen" ;;
        NO*) refusal=${refusal:-${line#NO }} ;;
        esac
    done
    unset IFS
}

thaw_one() {
    why=$(fsfreeze -u -- "$2" 2>&1) || echo "STUCK $1 ${why##*: }"
}

thaw() {
    trap '' HUP INT TERM
    for k in $frozen; do
        eval "mount_point=\${$k}"
        if [ "$mount_point" = / ]; then
            thaw_one "$k" /
        else
            thaw_one "$k" "$mount_point" &
        fi
    done
    wait
}

echo "HOLDER $$"
k=0
for mount_point do
    k=$((k + 1))
    mountpoint -q -- "$mount_point" || {
        echo "REFUSED $k not a mount point"
        exit 1
    }
done
uptime_s
end=$((uptime + limit)) left=$limit
echo "FREEZING $#"
note "$(freeze_all_but_root "$@")"
k=0
for mount_point do
    k=$((k + 1))
    if [ "$mount_point" = / ] && [ -z "$refusal$reason" ]; then
        note "$(freeze_one "$k" / && echo DONE)"
    fi
done
if [ -n "$refusal" ]; then
    thaw "$@"
    echo "REFUSED $refusal"
    exit 1
fi
[ -n "$reason" ] || echo FROZEN
while [ -z "$reason" ]; do
    [ "$lease" -lt "$left" ] || lease=$left
    said=$(timeout "$lease" dd bs=1 count=1 <&3 2>/dev/null 6>&-)
    uptime_s
    left=$((end - uptime))
    case $said in
    T) reason=asked ;;
    .) [ "$left" -gt 0 ] || reason=limit ;;
    *) [ "$left" -gt 0 ] && reason=${reason:-lease} || reason=limit ;;
    esac
done
thaw "$@"
echo "THAWED $reason"
