#!/busybox sh
# The first program of the guest for s390x: files of the host over 9p, below files in memory, then settle.sh. The kernel
# gives NI_TREE, the repository. NI_KERNEL is not there: the root has a modprobe of its own.
b=/busybox
$b mount -t proc proc /proc
for file in /*.ko; do $b insmod $file; done
how=trans=virtio,version=9p2000.L,msize=512000
$b mount -t 9p -o $how,ro,cache=loose root /lower
$b mount -t tmpfs -o size=75% memory /memory
$b mkdir /memory/upper /memory/work /memory/root
$b mount -t overlay -o lowerdir=/lower,upperdir=/memory/upper,workdir=/memory/work overlay /memory/root
cd /memory/root
$b mkdir -p out "./$NI_TREE" tmp/venv/bin
$b mount -t 9p -o $how out out
$b mount -t 9p -o $how,ro,cache=loose tree "./$NI_TREE"
# A .venv with the guest's Python and the host's packages, but for those with compiled parts: these are the guest's own.
venv=./$NI_TREE/.venv
for folder in "$venv"/lib/python*; do packages=$folder/site-packages; done
$b mkdir -p tmp/packages tmp/venv/lib/python3.11/site-packages
$b mount -o bind "$packages" tmp/packages
for entry in tmp/packages/*; do
    name=${entry##*/}
    case $name in
    *hypothesis* | jsonschema* | referencing* | rpds* | attr | attrs*) ;;
    *) $b ln -s "/tmp/packages/$name" tmp/venv/lib/python3.11/site-packages/ ;;
    esac
done
for entry in usr/lib/python3/dist-packages/*; do
    [ -e "tmp/venv/lib/python3.11/site-packages/${entry##*/}" ] || $b ln -s "/$entry" tmp/venv/lib/python3.11/site-packages/
done
for name in python python3 python3.11; do $b ln -s /usr/bin/python3 tmp/venv/bin/$name; done
$b cp "$venv/bin/netinspect" "$venv/bin/netinspect-python" tmp/venv/bin/
$b cp "$venv/pyvenv.cfg" tmp/venv/
$b mount -o bind tmp/venv "$venv"
$b umount /proc
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 TERM=dumb
exec $b switch_root . /bin/sh "$NI_TREE/tests/kernels/settle.sh"
