#!/bin/sh
# The first program of a guest. The kernel's command line gives NI_KERNEL (the kernel's directory in the cache), NI_OUT (the
# host's directory that is /out here), NI_TREE (the repository) and, where the host lacks programs, NI_PROGRAMS (a directory
# of them). The root is the host's, read-only, below files in memory.
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
    for folder in "$NI_KERNEL" "$NI_TREE" ${NI_PROGRAMS:+"$NI_PROGRAMS"}; do
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

exec sh "$NI_TREE/tests/kernels/settle.sh"
