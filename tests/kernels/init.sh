#!/bin/sh
# The first program of a guest. The kernel's command line gives NI_KERNEL (the kernel's directory in the cache), NI_OUT (the
# host's directory that is /out here) and NI_TREE (the repository). The root is the host's, read-only, below files in memory.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 TERM=dumb
tool() { LD_LIBRARY_PATH=$NI_KERNEL/tools "$NI_KERNEL/tools/$@"; }
off() { [ -e /proc/sysrq-trigger ] || mount -t proc proc /proc; echo o > /proc/sysrq-trigger; sleep 30; exit 1; }

mount -t proc proc /proc
mount -t tmpfs -o size=75% memory /mnt || off
version=$(uname -r)
mkdir /mnt/upper /mnt/work /mnt/root
case $version in
5.*)
    # overlayfs of that time runs no program of a hostfs: folders of the host's in a root of our own.
    mount -t tmpfs -o size=75% root /mnt/root
    cd /mnt/root || off
    mkdir usr opt root etc tmp proc sys dev run var out old mnt home srv var/tmp var/lib var/log
    for link in bin sbin lib lib64; do ln -s usr/$link $link; done
    ln -s ../run var/run
    cp -a /etc/. etc/ 2>/dev/null
    for folder in usr opt root; do mount --bind /$folder $folder; done
    for folder in "$NI_KERNEL" "$NI_TREE"; do
        mkdir -p ".$folder"
        case $folder in /root/* | /usr/* | /opt/*) ;; *) mount --bind "$folder" ".$folder" ;; esac
    done
    chmod 1777 tmp
    ;;
*)
    grep -q overlay /proc/filesystems || tool insmod "$NI_KERNEL/modules/lib/modules/$version/kernel/fs/overlayfs/overlay.ko" || off
    mount -t overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work overlay /mnt/root || off
    cd /mnt/root || off
    mkdir -p out old
    ;;
esac
mount -t hostfs -o "$NI_OUT" none out || off
umount /proc
pivot_root . old || off
cd / && umount -l /old

mount -t proc proc /proc && mount -t sysfs sys /sys && mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts -o ptmxmode=0666
mount -t tmpfs -o size=50% shared /dev/shm
mount -t tmpfs run /run
mount -t cgroup2 none /sys/fs/cgroup
mount -t debugfs none /sys/kernel/debug 2>/dev/null
mount -t bpf bpf /sys/fs/bpf 2>/dev/null
for link in fd:fd stdin:fd/0 stdout:fd/1 stderr:fd/2; do ln -sf /proc/self/${link#*:} /dev/${link%%:*}; done
# Modules load themselves, as anywhere: the kernel calls this.
mkdir -p /run/bin /run/netns
printf '#!/bin/sh\nLD_LIBRARY_PATH=%s/tools exec %s/tools/modprobe -d %s/modules "$@"\n' "$NI_KERNEL" "$NI_KERNEL" "$NI_KERNEL" > /run/bin/modprobe
chmod 755 /run/bin/modprobe
echo /run/bin/modprobe > /proc/sys/kernel/modprobe
PATH=/run/bin:$PATH
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
sync
off
