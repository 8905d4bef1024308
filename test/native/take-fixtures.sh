#!/bin/sh
# Takes a tree of test/native/fixtures anew from a real kernel: boots Debian's in a virtual machine without KVM, makes some work and
# some trouble there (take-fixtures-guest.sh), and copies out the files that native/source_sets.cc names, and the kernel's log.
# usage: take-fixtures.sh 6.12 linux-image-6.12.*.deb    wants qemu-system-x86, busybox-static, kmod, cpio, xfsprogs, e2fsprogs
set -eu
here=$(cd "$(dirname "$0")" && pwd)
tree=$here/fixtures/linux-$1
deb=$2
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
export PATH="$PATH:/usr/sbin:/sbin"

dpkg-deb -x "$deb" "$work/kernel"
[ -e "$work/kernel/lib" ] || mv "$work/kernel/usr/lib" "$work/kernel/lib"
version=$(basename "$work"/kernel/lib/modules/*)
depmod -b "$work/kernel" "$version"

guest=$work/guest
mkdir -p "$guest/bin" "$guest/modules"
cp /usr/bin/busybox "$guest/bin"
cp "$here/take-fixtures-guest.sh" "$guest/init"
modprobe -d "$work/kernel" -S "$version" --show-depends -a virtio_pci virtio_blk xfs nf_conntrack | sed -n 's/^insmod //p' | awk '!seen[$1]++ {print $1}' |
  while read -r module; do
    name=$(printf '%02d' "$(ls "$guest/modules" | wc -l)")-$(basename "${module%.xz}")
    case $module in *.xz) xz -dc "$module" ;; *) cat "$module" ;; esac >"$guest/modules/$name"
  done
# What the agent reads: vda is an ext4, vdb an XFS.
grep -o '"/\(proc\|sys\)/[^"]*"' "$here/../../native/source_sets.cc" | tr -d '"' |
  sed -e 's,/xfs/{},/xfs/vdb,' -e 's,/cgroup/{},/cgroup/system.slice/dovecot.service,' -e 's,{},vda,' | sort -u >"$guest/files"
(cd "$guest" && find . | cpio -o -H newc --quiet | gzip -1) >"$work/initramfs"

truncate -s 64M "$work/vda"
truncate -s 320M "$work/vdb"
truncate -s 16M "$work/vdc"
truncate -s 64M "$work/vdd"
mkfs.ext4 -q "$work/vda"
mkfs.xfs -q "$work/vdb"
set -- # the disks in their order; the last fails every read
for disk in a b c d; do
  set -- "$@" -blockdev "driver=file,discard=unmap,node-name=$disk,filename=$work/vd$disk" -device "virtio-blk-pci,drive=$disk"
done
failing='driver=blkdebug,node-name=e,image.driver=null-co,image.size=1048576,inject-error.0.event=none,inject-error.0.iotype=read'
qemu-system-x86_64 -accel tcg -smp 2 -m 256 -nographic -no-reboot -nic none "$@" -blockdev "$failing" -device virtio-blk-pci,drive=e \
  -kernel "$work/kernel/boot/vmlinuz-$version" -initrd "$work/initramfs" -append 'console=ttyS0 quiet psi=1 no_timer_check panic=-1' </dev/null

tar -tf "$work/vdc" ./version >/dev/null
rm -rf "$tree/proc" "$tree/sys" "$tree/dev"
tar -xf "$work/vdc" -C "$tree"
cat >"$tree/ORIGIN" <<END
$(cat "$tree/version")
Taken from this kernel (Debian's $(basename "$deb")) on $(date +%F) in a virtual machine of two processors,
256 MB and five virtio disks, by test/native/take-fixtures.sh: the files that native/source_sets.cc names, and of /dev/kmsg what
was said after the work began. The kernel wrote all of it; nothing was changed, shortened or added. The work and the trouble that
it counts are those of take-fixtures-guest.sh. What is not here, this kernel has not.
END
rm "$tree/version"
