# Lets a key in to run one command, for an hour at most: COMMAND KEY MARK, the command quoted as authorized_keys(5) has it.
#
# Run as the user whom it is to let in. The time is the host's own, as sshd reads it.
umask 077
cd || exit 1
mkdir -p .ssh || exit 1
file=.ssh/authorized_keys
exec 9<.ssh
flock 9 || exit 1
until=$(env -u TZ date -d '+1 hour' +%Y%m%d%H%M%S) || exit 1
if [ -s "$file" ] && [ -n "$(tail -c 1 "$file")" ]; then
    echo >>"$file"
fi
printf 'restrict,expiry-time="%s",command=%s %s %s\n' "$until" "$1" "$2" "$3" >>"$file"
