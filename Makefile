# SPDX-License-Identifier: GPL-2.0
# The front door. `make help` lists what it opens.

VM := tools/testing/vm
KERNELS := $(or $(KERNEL),$(shell grep -v '^#' SUPPORTED))
RELEASE ?= $(shell uname -r)
export RELEASE

all: modules

modules: $(KERNELS:%=modules-%)
modules-%: FORCE
	$(VM)/build $*

sparse: $(KERNELS:%=sparse-%)
sparse-%: FORCE
	$(VM)/build $* sparse

checkpatch: FORCE
	$(VM)/checkpatch

deps: FORCE
	$(VM)/deps

check: FORCE
	$(VM)/check $(if $(ONLY),--only $(ONLY)) $(if $(KERNEL),--kernel $(KERNEL)) $(if $(TEST),--test $(TEST))

demo: deps
	$(VM)/demo $(if $(DEVICE),--device $(DEVICE)) $(if $(QEMU),--qemu $(QEMU)) $(if $(KERNEL),--kernel $(KERNEL))

# vhost-scsi-ctl
tools: FORCE
	$(MAKE) -C tools/vhost

bench: deps modules
	tools/testing/bench/run

# For the kernel that runs here, or RELEASE.
modules_install: modules-host
	$(VM)/build host INSTALL_MOD_DIR=updates modules_install
	depmod $(RELEASE)

# Which vhost_scsi is loaded, and which one would be.
status: FORCE
	@compat/status

dkms-deb: FORCE
	compat/dkms-deb

clean: FORCE
	rm -rf build

help: FORCE
	@echo 'make                      the modules for all kernels in SUPPORTED, in build/KERNEL/'
	@echo 'make modules KERNEL=K     for one: 6.12, 7.2, debug, or host for the one that runs here'
	@echo 'make modules_install      for the kernel that runs here (or RELEASE=...), under updates/'
	@echo 'make status               which vhost_scsi is loaded, and which one would be'
	@echo 'make dkms-deb             a Debian package that builds the module for each kernel installed'
	@echo 'make deps                 install the Debian packages that all of this needs'
	@echo 'make check                every test; ONLY=step KERNEL=K TEST=name for a part'
	@echo 'make demo                 a guest migrates, its disk on the stock module and on ours;'
	@echo '                          DEVICE=mdev for mediated devices, DEVICE=both, QEMU=10'
	@echo 'make tools                vhost-scsi-ctl, in build/vhost-scsi-ctl/; install it with make -C tools/vhost install'
	@echo 'make bench                instructions and memory per request, ours and stock'
	@echo 'make sparse, checkpatch   the static checks alone'
	@echo 'make clean                remove build/; the cache stays in $${LAB_CACHE:-/var/cache/vhost-lab}'

FORCE:
.PHONY: all modules sparse check demo bench tools help FORCE
