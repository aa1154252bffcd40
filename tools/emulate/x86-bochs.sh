#!/usr/bin/env bash
# Run one x86-64 Linux program on an emulated CPU that this machine may not have (AVX-512,
# AVX512-VNNI, AVX-VNNI...).  For correctness only: starting takes about 4 s of CPU time, then
# count on 150 million scalar instructions, 17 million 512-bit vpdpbusd or 3 million 512-bit FMAs
# per second (floating point is emulated in software, lane by lane).
#
#   x86-bochs.sh --install                        once: fetch and build what is needed (see install)
#   x86-bochs.sh [OPTION...] PROGRAM [ARG...]     prints its output, returns its exit status
#   x86-bochs.sh --list-cpus
#
#   --cpu MODEL        default sapphire_rapids.  The useful ones:
#                        corei7_haswell_4770, ryzen    AVX2 and FMA, nothing newer
#                        arrow_lake                    AVX2 + AVX-VNNI, no AVX-512
#                        corei7_skylake_x              AVX-512 F/CD/BW/DQ/VL, no VNNI
#                        corei7_icelake_u, tigerlake   + AVX512_VNNI, no AVX-VNNI
#                        sapphire_rapids               + AVX512_BF16/FP16 and AVX-VNNI
#   --file HOST:GUEST  put a file or folder of the host at this absolute path (repeatable)
#   --env K=V          set an environment variable of the program (repeatable)
#   --memory MB        RAM for the program, beyond its files (default 1024)
#   --verbose          also print the kernel's console
#
# The status is 125 when the emulator itself failed.  The program runs as root in /, on one CPU,
# with an empty standard input; nothing it writes to a file comes back.  Its clocks count emulated
# instructions, so timings mean nothing.  A dynamically linked program gets its libraries by ldd.
#
# How: QEMU's TCG has no AVX-512; Bochs has, but emulates a whole PC, so a kernel must boot.  To
# make that quick there is no BIOS, disk or boot loader: Bochs puts the uncompressed kernel and an
# initramfs straight into RAM, and a 64 KiB ROM, assembled below, jumps to the kernel's PVH entry
# point.  Serial ports carry stdout, stderr, the kernel's console and the exit status.
set -euo pipefail

cache=${XDG_CACHE_HOME:-$HOME/.cache}/vitrail-emulate
ips=${VITRAIL_EMULATE_IPS:-100000000} # emulated clock: lower means more timer interrupts per work
initrd_at=0x8000000                   # 128 MiB: above the kernel, which --install checks
die() { echo "x86-bochs: $*" >&2; exit 125; }

# Needs root only if a compiler or decompressor is missing. Packages come, checked by apt's
# signatures, from the Debian mirror this machine uses, through a private apt state: the host's
# package sources and packages stay as they are.  Bochs is built here because distributions' builds
# are slow and show-ips (a log call in a signal handler) deadlocks now and then.
install() {
  local suite=${VITRAIL_EMULATE_SUITE:-trixie} mirror=${VITRAIL_DEBIAN_MIRROR:-} missing=() c image
  for c in g++:g++ make:make objcopy:binutils xz:xz-utils zstd:zstd; do
    command -v "${c%:*}" >/dev/null || missing+=("${c#*:}")
  done
  if ((${#missing[@]})); then
    ((EUID == 0)) || die "install first (as root): apt-get install ${missing[*]}"
    apt-get install -y --no-install-recommends "${missing[@]}"
  fi
  # shellcheck disable=SC2016  # the $(...) are apt's
  [[ $mirror ]] || mirror=$(apt-get indextargets --format '$(REPO_URI) $(LABEL)' |
    awk '$2 == "Debian" && !m { m = $1 } END { print m }')
  [[ $mirror ]] || die "no Debian mirror among apt's sources: set VITRAIL_DEBIAN_MIRROR"
  mkdir -p "$cache"; b=$(mktemp -d -p "$cache") # not local, for the trap
  trap 'rm -rf "$b"' EXIT; cd "$b"
  mkdir -p lists/partial cache/archives/partial
  for c in deb deb-src; do
    echo "$c [arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main"
  done >sources.list
  printf '%s "%s";\n' Dir::Etc::SourceList "$b/sources.list" Dir::Etc::SourceParts /dev/null \
    Dir::State::Lists "$b/lists" Dir::State::status /dev/null Dir::Cache "$b/cache" \
    APT::Architecture amd64 APT::Sandbox::User '' Acquire::Languages none >apt.conf
  export APT_CONFIG=$b/apt.conf
  apt-get update
  # The "cloud" kernel: the same, with fewer drivers to look for hardware.
  image=$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends: linux-image/ { print $2; exit }')
  apt-get download "$image" busybox-static
  apt-get source --download-only --tar-only bochs

  dpkg-deb --fsys-tarfile busybox-static_*.deb | tar x
  dpkg-deb --fsys-tarfile linux-image-*.deb | tar x ./boot
  # Unpack on the host, not under emulation.  Offsets: the kernel's x86 boot protocol.
  local z; z=$(echo boot/vmlinuz-*)
  field() { od -An -j"$1" -N"$2" -tu"$2" "$z" | tr -d ' '; }
  dd if="$z" of=payload bs=1M iflag=skip_bytes,count_bytes status=none \
    skip=$((($(field 497 1) + 1) * 512 + $(field 584 4))) count=$(($(field 588 4) - 4)) # then 4 bytes of size
  xz -dc payload >vmlinux 2>/dev/null || zstd -qdcf <payload >vmlinux || die "kernel compression?"
  objcopy -O binary vmlinux kernel.bin # what belongs at physical address 16 MiB
  (($(stat -c %s kernel.bin) < initrd_at - 0x1000000)) || die "kernel too large"
  # The PVH entry point is Xen's ELF note 18 (0x12).
  readelf -nW vmlinux | sed -nE 's/.*0x00000012.*data: (..) (..) (..) (..).*/0x\4\3\2\1/p' >entry
  [[ -s entry ]] || die "kernel without PVH entry"

  mkdir src && tar xf bochs_*.orig.tar.* -C src --strip-components=1
  # load_RAM reads a whole file through a pointer that is good for one memory block only.
  sed -i 's/get_vector(offset), size);/get_vector(offset), size < 4096 ? size : 4096);/' src/memory/misc_mem.cc
  grep -q 'size < 4096' src/memory/misc_mem.cc || die "Bochs changed: adapt the load_RAM fix"
  (cd src && ./configure --with-nogui --without-x --disable-plugins --disable-docbook \
    --enable-cpu-level=6 --enable-x86-64 --enable-avx --enable-evex --enable-amx \
    --enable-all-optimizations --disable-show-ips --disable-stats \
    CFLAGS='-O2 -w' CXXFLAGS='-O2 -w' && make -j"${VITRAIL_EMULATE_JOBS:-2}") >build.log 2>&1 ||
    { tail -n 20 build.log >&2; die "building Bochs failed"; }
  mv src/bochs kernel.bin entry "$cache/"; mv ./{usr/,}bin/busybox "$cache/" 2>/dev/null || true
  echo "x86-bochs: ready in $cache"
}

cpu=sapphire_rapids memory=1024 loglevel=quiet files=() envs=()
while (($#)); do
  case $1 in
    --install) install; exit ;;
    --list-cpus) "$cache/bochs" --help cpu 2>&1 | grep -E '^[a-z0-9_]+$' || true; exit ;;
    --verbose) loglevel=ignore_loglevel; shift; continue ;;
    --cpu | --memory | --file | --env) (($# > 1)) || die "$1 needs a value" ;;&
    --cpu) cpu=$2 ;;
    --memory) memory=$2 ;;
    --file) [[ $2 == *:/* ]] || die "--file HOST:/GUEST"; files+=("$2") ;;
    --env) [[ $2 == *=* ]] || die "--env K=V"; envs+=("$2") ;;
    -h | --help) sed -n '2,/^set -/{/^#/s/^# \{0,1\}//p}' "$0"; exit ;;
    --) shift; break ;;
    -*) die "unknown option $1" ;;
    *) break ;;
  esac
  shift 2
done
(($#)) || die "no program given (--help)"
for f in bochs busybox kernel.bin entry; do
  [[ -s $cache/$f ]] || die "not installed: run '$0 --install'"
done
program=$1; shift
[[ -f $program && -x $program ]] || die "$program: not an executable file"

work=$(mktemp -d); pid=
trap '[[ -z $pid ]] || kill -9 "$pid" 2>/dev/null; rm -rf "$work"' EXIT
trap 'exit 130' INT; trap 'exit 143' TERM

# The guest's whole file system.
root=$work/root guest=/program/$(basename "$program")
mkdir -p "$root"/{dev,proc,sys,tmp,program}
cp "$cache/busybox" "$root/busybox"; cp -L "$program" "$root$guest"
while read -r lib; do
  mkdir -p "$root$(dirname "$lib")"; cp -L "$lib" "$root$lib"
done < <({ ldd "$program" 2>/dev/null || true; } | grep -oE '/[^ ]+' | sort -u)
for f in ${files[@]+"${files[@]}"}; do
  mkdir -p "$root$(dirname "${f##*:}")"; cp -rLT "${f%:*}" "$root${f##*:}" || die "cannot copy ${f%:*}"
done
# Where stdout and stderr are one file here, they are one port there: lines stay whole.
[[ /dev/stdout -ef /dev/stderr ]] && stderr='&1' || stderr=/dev/ttyS1
# Raw serial ports, or the tty layer would turn \n into \r\n.  The reboot is a triple fault
# (reboot=t), on which Bochs stops: so it does after a kernel panic.
cat >"$root/init" <<INIT
#!/busybox sh
/busybox mount -t proc none /proc; /busybox mount -t devtmpfs none /dev; /busybox mount -t sysfs none /sys
for t in 0 1 3; do /busybox stty raw 115200 -F /dev/ttyS\$t; done
(cd /; for e in ${envs[@]+"${envs[@]@Q}"}; do export "\$e"; done
 exec ${guest@Q} ${*@Q}) </dev/null >/dev/ttyS0 2>$stderr
echo status \$? >/dev/ttyS3
/busybox reboot -f
INIT
chmod +x "$root/init"
(cd "$root" && find . | "$cache/busybox" cpio -o -H newc >"$work/initrd" 2>/dev/null)
rm -rf "$root"
size=$(stat -c %s "$work/initrd")
ram=$((256 + memory + 2 * size / 1048576)) # files are in RAM twice while they are unpacked
((ram <= 3072)) || die "too much memory: $ram MiB, of at most 3072"

# What is left out of the kernel's start makes it three times shorter: no probing of absent
# hardware, no self-tests, certificates, tracing.  tsc_early_khz and lpj spare two calibrations (the
# TSC counts instructions at the rate $ips).  clearcpuid: with no BIOS to enable
# "fast strings" the kernel drops ERMS but not FSRM, and then its memmove is wrong; Bochs' AMX has no
# XFD, without which the kernel asks for half of the tile state, a fault.
printf '%s' "console=ttyS2,115200 $loglevel rdinit=/init reboot=t panic=-1 \
acpi=off pci=off noapic nolapic nosmp 8250.nr_uarts=4 mitigations=off clearcpuid=fsrm,amx_tile \
tsc=reliable tsc_early_khz=$((ips / 1000)) lpj=$((ips / 250)) random.trust_cpu=on \
audit=0 nowatchdog init_on_alloc=0 rodata=off cryptomgr.notests \
initcall_blacklist=load_system_certificate_list,i8042_init,jent_mod_init,trace_eval_init,\
init_kprobe_trace,tracer_init_tracefs,intel_pstate_init" >"$work/cmdline"

# The ROM: enter 32-bit mode, copy the first page of this ROM to RAM (the kernel writes into the
# information block) and jump.  Layout of the block: struct hvm_start_info.
cat >"$work/rom.s" <<'ASM'
.code16
start: cli
  movw %cs, %ax
  movw %ax, %ds
  lgdtl gdtr - start
  movl %cr0, %eax
  orl $1, %eax
  movl %eax, %cr0
  ljmpl $8, $(protected - start + 0xf0000)
.code32
protected: movl $16, %eax
  movl %eax, %ds
  movl %eax, %es
  movl %eax, %ss
  cld
  movl $0xf0000, %esi
  movl $0x90000, %edi
  movl $1024, %ecx
  rep movsl
  movl $(info - start + 0x90000), %ebx
  movl $ENTRY, %eax
  jmp *%eax
.balign 8
gdt: .quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdtr: .word 23
  .long gdt - start + 0xf0000
.balign 8
info: .long 0x336ec578, 1, 0, 1 # magic, version, flags, number of modules
  .quad modules - start + 0x90000, cmdline - start + 0x90000, 0, map - start + 0x90000
  .long 2, 0 # entries of the memory map
modules: .quad INITRD, INITRD_SIZE, 0, 0
map: .quad 0, 0x90000, 1
  .quad 0x100000, RAM - 0x100000, 1
cmdline: .incbin "cmdline"
  .byte 0
.org 0x1000 # an error if the first page is full
.org 0xfff0
.code16
  ljmp $0xf000, $0 # where the CPU starts
.org 0x10000
ASM
(cd "$work" && as --32 --defsym ENTRY="$(cat "$cache/entry")" --defsym INITRD=$initrd_at \
  --defsym INITRD_SIZE="$size" --defsym RAM=$((ram << 20)) rom.s -o rom.o &&
  objcopy -O binary -j .text rom.o rom.bin && truncate -s 2048 vga.bin &&
  touch out err console status) || die "cannot assemble the ROM"

cat >"$work/bochsrc" <<RC
config_interface: textconfig
display_library: nogui
memory: guest=$ram, host=$ram
cpu: model=$cpu, count=1, ips=$ips, reset_on_triple_fault=0
romimage: file=rom.bin
vgaromimage: file=vga.bin
optramimage1: file=$cache/kernel.bin, address=0x1000000
optramimage2: file=initrd, address=$initrd_at
vga: extension=none, update_freq=1
clock: sync=none, time0=utc
com1: enabled=1, mode=file, dev=out
com2: enabled=1, mode=file, dev=err
com3: enabled=1, mode=file, dev=console
com4: enabled=1, mode=file, dev=status
ata0: enabled=0
ata1: enabled=0
parport1: enabled=0
log: log
panic: action=fatal
error: action=ignore
info: action=ignore
RC
cd "$work"
"$cache/bochs" -q -f bochsrc </dev/null >bochs.out 2>&1 &
pid=$!
tail -s 0.2 --pid=$pid -c +1 -f out & tails=($!)
tail -s 0.2 --pid=$pid -c +1 -f err >&2 & tails+=($!)
[[ $loglevel == quiet ]] || { tail -s 0.2 --pid=$pid -c +1 -f console >&2 & tails+=($!); }
wait $pid || true
pid=
wait "${tails[@]}" || true
status=$(sed -n 's/^status //p' status)
[[ $status ]] || { cat console bochs.out >&2; tail -n 5 log >&2; die "the guest ended without a status"; }
exit "$status"
