# SPDX-License-Identifier: GPL-2.0
#
# Builds one suite on kselftest's own lib.mk.  Inside a kernel tree that is
# ../lib.mk; elsewhere it comes out of Debian's linux-source package, unpacked
# under the build directory.  What the suite's Makefile says:
#
#   OUTPUT	where its programs go
#   SHARED	files of another suite's library
#   NEWER	headers of <linux/> that Debian's linux-libc-dev is too old for

HERE := $(patsubst %/,%,$(dir $(realpath $(firstword $(MAKEFILE_LIST)))))
KSRC := $(TOP)/build/selftests/kselftest

ifneq ($(wildcard $(HERE)/../lib.mk),)
SELFTESTS := $(HERE)/..
else
SELFTESTS := $(KSRC)/tools/testing/selftests
HEADERS := $(NEWER:%=$(KSRC)/include/uapi/linux/%)
# Not installed, so still with the marks of the kernel.
CFLAGS += $(if $(NEWER),-I$(KSRC)/include/uapi -D__user=)
endif


TEST_GEN_PROGS := $(sort $(patsubst $(HERE)/%.c,%,$(wildcard $(HERE)/*.c)))

LIB_SRC := $(wildcard $(HERE)/lib/*.c) $(SHARED)
LIB_HDR := $(wildcard $(LIB_SRC:.c=.h) $(HERE)/lib/*.h)

CFLAGS += -std=gnu11 -O2 -g -Wall -Wextra -Wno-missing-field-initializers
CFLAGS += -ffile-prefix-map=$(HERE)/=
CFLAGS += -Wno-sign-compare -Wno-unused-parameter -Wno-clobbered
CFLAGS += -Wno-misleading-indentation -pthread -I$(SELFTESTS)
CFLAGS += $(addprefix -I,$(sort $(dir $(LIB_SRC))))
LDFLAGS += -static -pthread
KHDR_INCLUDES := -isystem /usr/include

VPATH := $(HERE)

ifeq ($(filter-out $(wildcard $(SELFTESTS)/lib.mk $(HEADERS)),$(SELFTESTS)/lib.mk $(HEADERS)),)
include $(SELFTESTS)/lib.mk

LIBVT := $(OUTPUT)/lib/libvt.a
LIB_OBJ := $(patsubst %.c,$(OUTPUT)/lib/%.o,$(notdir $(LIB_SRC)))
EXTRA_CLEAN := $(OUTPUT)/lib

define object
$(OUTPUT)/lib/$(notdir $(1:.c=.o)): $(1) $(LIB_HDR)
	@mkdir -p $$(@D)
	$$(CC) $$(CFLAGS) -c $$< -o $$@
endef
$(foreach source,$(LIB_SRC),$(eval $(call object,$(source))))

$(LIBVT): $(LIB_OBJ)
	$(AR) rcs $@ $^

$(TEST_GEN_PROGS): $(OUTPUT)/%: $(HERE)/%.c $(LIBVT) $(LIB_HDR)
	$(CC) $(CFLAGS) $(LDFLAGS) $< \
		-Wl,--whole-archive $(LIBVT) -Wl,--no-whole-archive -o $@
else
# First run: fetch what kselftest provides, then start over with it.
LINUX_SOURCE ?= $(firstword $(wildcard /usr/src/linux-source-*.tar.xz))

all run_tests install emit_tests: $(SELFTESTS)/lib.mk $(HEADERS)
	+$(MAKE) -C $(HERE) OUTPUT=$(OUTPUT) $@

$(SELFTESTS)/lib.mk $(HEADERS) &:
	@test -n "$(LINUX_SOURCE)" || { \
		echo "needs Debian's linux-source package: apt-get install linux-source-6.12" >&2; \
		exit 1; }
	@mkdir -p $(KSRC)
	tar -xJf $(LINUX_SOURCE) -C $(KSRC) --strip-components=1 --wildcards \
		'*/tools/testing/selftests/lib.mk' \
		'*/tools/testing/selftests/kselftest.h' \
		'*/tools/testing/selftests/kselftest_harness.h' \
		'*/tools/testing/selftests/kselftest/*' $(NEWER:%='*/include/uapi/linux/%')
	@touch $(SELFTESTS)/lib.mk $(HEADERS)

clean:

.PHONY: all run_tests install emit_tests clean
endif
