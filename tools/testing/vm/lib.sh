# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What the lab's scripts share: where things are, and which kernel is which.

PROJECT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
VM=$PROJECT/tools/testing/vm
CACHE=${LAB_CACHE:-/var/cache/vhost-lab}
export PROJECT VM CACHE

say() { printf 'lab: %s\n' "$*" >&2; }
die() { say "$*"; exit 125; }

# The host's own QEMU generation, by Debian release: 12 has QEMU 7, 13 has 10.
host_qemu() {
	local VERSION_ID=
	# shellcheck disable=SC1091
	. /etc/os-release
	case $VERSION_ID in
	12) echo 7 ;;
	13) echo 10 ;;
	*) die "this is neither Debian 12 nor Debian 13" ;;
	esac
}

# The root of the userland that has QEMU $1.
userland() {
	if [[ $1 == "$(host_qemu)" ]]; then
		echo /
	elif [[ $1 == 10 ]]; then
		"$VM/trees" trixie
	else
		die "QEMU $1 is not in this Debian, and only a Debian 13 tree is made"
	fi
}

# Sets K_RELEASE, K_ROOT (where lib/modules/K_RELEASE is) and K_IMAGE.
kernel_find() {
	local -a images
	case $1 in
	6.12) K_ROOT= ;;
	7.2) K_ROOT=$("$VM/trees" trixie) ;;
	debug) K_ROOT=$("$VM/trees" debug) ;;
	*) die "kernel $1 is not one of 6.12, 7.2, debug" ;;
	esac
	case $1 in
	debug) images=("$K_ROOT"/boot/vmlinuz-*) ;;
	*) mapfile -t images < <(printf '%s\n' "$K_ROOT/boot/vmlinuz-$1".*-amd64 |
		grep -Ev -- '-(cloud|rt)-amd64$' | sort -V) ;;
	esac
	K_IMAGE=${images[-1]}
	[[ -r $K_IMAGE ]] || die "no image of kernel $1 under $K_ROOT/boot"
	K_RELEASE=${K_IMAGE##*/vmlinuz-}
}

# Writes an initramfs that can mount the lab's shares on the kernel found.
initramfs() {
	local out=$1 dir module
	dir=$(mktemp -d)
	mkdir -p "$dir"/{bin,dev,proc,modules}
	cp /bin/busybox "$dir/bin/busybox"
	cp "$VM/boot" "$dir/init"
	for module in 9pnet_virtio 9p overlay virtio_pci virtio_console; do
		modprobe -d "${K_ROOT:-/}" -S "$K_RELEASE" --show-depends "$module"
	done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' |
	while read -r module; do
		local name=${module##*/}
		if [[ $name == *.xz ]]; then
			xz -dc "$module" >"$dir/modules/${name%.xz}"
		else
			cp "$module" "$dir/modules/"
		fi
		echo "${name%.xz}" >>"$dir/modules/order"
	done
	(cd "$dir" && find . | cpio --quiet -o -H newc | gzip -1) >"$out"
	rm -rf "$dir"
}
