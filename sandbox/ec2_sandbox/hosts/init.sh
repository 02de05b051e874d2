# PID 1 of a plain instance: sshd, and what the user data wants; ends by SIGUSR2, or boots again
# by SIGTERM (then its exit code is 64). What is mounted is unmounted by the kernel, with the
# namespace.
how=
trap 'how=off' USR1 USR2 INT
trap 'how=reboot' TERM HUP
mkdir -p /run/sshd
if [ -e /run/cloud/syslog ]; then
    busybox syslogd -n -O /var/log/syslog &
fi
(while :; do
    /usr/sbin/sshd -D
    sleep 0.2
done) &
while [ ! -s /run/sshd.pid ]; do
    sleep 0.01
done
touch /run/cloud/ready
sh /run/cloud/final &
while [ -z "$how" ]; do
    sleep 1000000 &
    wait $!
done

kill -TERM -1 2>/dev/null
rounds=0
while set -- /proc/[0-9]* && [ $# -gt 1 ] && [ $rounds -lt 20 ]; do
    sleep 0.05
    rounds=$((rounds + 1))
done
kill -KILL -1 2>/dev/null
sync
[ "$how" = reboot ] && exit 64
exit 0
