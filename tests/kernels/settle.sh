#!/bin/sh
# The second program of a guest, in the root that it keeps: sets up what a machine has by the time one logs in, and runs
# the command.
# NI_KERNEL is the kernel's directory where the guest has no modprobe of its own; NI_PROGRAMS one of further programs.
off() { sync; echo o > /proc/sysrq-trigger; sleep 30; exit 1; }

mount -t proc proc /proc && mount -t sysfs sys /sys && mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts -o ptmxmode=0666
mount -t tmpfs -o size=50% shared /dev/shm
mount -t tmpfs run /run
mount -t cgroup2 none /sys/fs/cgroup
mount -t debugfs none /sys/kernel/debug 2>/dev/null
mount -t bpf bpf /sys/fs/bpf 2>/dev/null
for link in fd:fd stdin:fd/0 stdout:fd/1 stderr:fd/2; do ln -sf /proc/self/${link#*:} /dev/${link%%:*}; done
mkdir -p /run/bin /run/netns
# Modules load themselves, as anywhere: the kernel calls this.
if [ -n "$NI_KERNEL" ]; then
    printf '#!/bin/sh\nLD_LIBRARY_PATH=%s exec %s/modprobe -d %s "$@"\n' "$NI_KERNEL/tools" "$NI_KERNEL/tools" "$NI_KERNEL/modules" \
        > /run/bin/modprobe
    chmod 755 /run/bin/modprobe
    echo /run/bin/modprobe > /proc/sys/kernel/modprobe
fi
PATH=/run/bin:$PATH${NI_PROGRAMS:+:$NI_PROGRAMS}
hostname guest
ip link set lo up
modprobe -q ipv6
# Tunnels' own interfaces in every new namespace make each take seconds to go.
echo 2 > /proc/sys/net/core/fb_tunnels_only_for_init_net
# Files of overlayfs have no inode numbers of their own.
export TMPDIR=/dev/shm PYTHONDONTWRITEBYTECODE=1
cd "$NI_TREE" || off
sh /out/command > /out/output 2>&1 < /dev/null
echo $? > /out/status
off
