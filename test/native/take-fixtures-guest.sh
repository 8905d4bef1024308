#!/bin/busybox sh
# The first program of the virtual machine of take-fixtures.sh: makes the kernel count, then writes its files to the third disk as a tar.
/bin/busybox --install -s /bin
export PATH=/bin
mkdir -p /proc /sys /dev /tmp /mail /spool /out
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs tmpfs /tmp
for module in /modules/*; do
  case $module in *nf_conntrack.ko) insmod "$module" enable_hooks=1 ;; *) insmod "$module" ;; esac
done
ip link set lo up
mount -t ext4 -o errors=continue /dev/vda /mail
mount -t xfs /dev/vdb /spool
mkswap /dev/vdd >/dev/null
swapon /dev/vdd
echo 'the work begins' >/dev/kmsg

# The control group of a service that meets each of its limits.
echo '+cpu +memory +io +pids' >/sys/fs/cgroup/cgroup.subtree_control
group=/sys/fs/cgroup/system.slice/dovecot.service
mkdir -p "$group"
echo '+cpu +memory +io +pids' >/sys/fs/cgroup/system.slice/cgroup.subtree_control
echo 20 >"$group/pids.max"
echo '30000 100000' >"$group/cpu.max"
echo 8M >"$group/memory.high"
in_group() { sh -c "echo \$\$ >$group/cgroup.procs; $1"; }
in_group 'for i in 1 2 3 4 5 6 7 8; do dd if=/dev/zero of=/mail/m$i bs=64k count=64 conv=fsync; done' 2>/dev/null
echo max >"$group/memory.high"
echo 32M >"$group/memory.max"
echo 0 >"$group/memory.swap.max"
in_group 'tail /dev/zero'
in_group 'i=0; while [ $i -lt 30 ]; do sleep 20 & i=$((i + 1)); done' 2>/dev/null
killall sleep
in_group 'md5sum /dev/zero & md5sum /dev/zero & sleep 3; kill %1 %2; exec sleep 1000' &
echo 24M >"$group/memory.high"

# Writers that sync, on both file systems; more than fits into memory.
for i in 1 2 3 4 5 6 7 8; do
  dd if=/dev/urandom of=/mail/f$i bs=4k count=200 conv=fsync 2>/dev/null &
  dd if=/dev/urandom of=/spool/f$i bs=4k count=200 conv=fsync 2>/dev/null &
  usleep 200000
done
dd if=/dev/zero of=/spool/large bs=1M count=200 2>/dev/null
dd if=/dev/zero of=/tmp/large bs=1M count=110 2>/dev/null
for i in 1 2 3 4 5 6; do cat /spool/large >/dev/null & done
cat /tmp/large >/dev/null
cat /spool/large /tmp/large >/dev/null
rm /tmp/large /mail/f*
sync
fstrim /mail

# A listener whose queue overflows, and a refused connection.
echo 1 >/proc/sys/net/core/somaxconn
nc -ll -p 25 -e true &
sleep 1
kill -STOP $!
for i in 1 2 3 4 5 6; do sleep 8 | nc 127.0.0.1 25 >/dev/null 2>&1 & done
nc 127.0.0.1 26 </dev/null 2>/dev/null
sleep 5
# More connections than are tracked.
echo 4 >/proc/sys/net/netfilter/nf_conntrack_max
for i in 1 2 3 4 5 6; do nc -w 1 127.0.0.1 5$i </dev/null >/dev/null 2>&1; done

# What the kernel complains of.
echo 'taken on purpose' >/sys/fs/ext4/vda/trigger_fs_error
echo 2 >/proc/sys/kernel/hung_task_timeout_secs
fsfreeze --freeze /spool
dd if=/dev/zero of=/spool/frozen bs=4k count=1 2>/dev/null &
sleep 7
fsfreeze --unfreeze /spool
dd if=/dev/vde of=/dev/null bs=4k count=1 2>/dev/null

while read -r file; do
  [ -e "$file" ] || continue
  mkdir -p "/out${file%/*}"
  # A file that is there and refuses is not copied: the agent finds none either.
  cat "$file" >"/out$file" 2>/dev/null || rm "/out$file"
done </files
mkdir /out/dev
timeout 2 cat /dev/kmsg | sed '1,/the work begins/d' >/out/dev/kmsg
uname -srv >/out/version
tar -C /out -cf /dev/vdc .
sync
poweroff -f
