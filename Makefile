# mpproxy - see README.md. `make help` lists the targets.

VERSION := 0.1.0
B       ?= build
CC      ?= gcc
PREFIX  ?= /usr/local
OPT     ?= -O2 -g
SAN     ?=

LIBEVENT   := libevent_core
PKGS       := $(LIBEVENT) libnl-3.0 libnl-genl-3.0 libnl-route-3.0 jansson libcrypto libcares
PKG_CFLAGS = $(shell pkg-config --cflags $(PKGS))
PKG_LIBS   = $(shell pkg-config --libs $(PKGS)) -liniparser
# sd_notify and the watchdog, where libsystemd is there to build with
HAVE_SYSTEMD := $(shell pkg-config --exists libsystemd && echo 1)
ifeq ($(HAVE_SYSTEMD),1)
PKGS     += libsystemd
CPPFLAGS += -DHAVE_SYSTEMD
endif

WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wpointer-arith -Wwrite-strings -Wundef -Wswitch-enum -Wvla -Wformat=2
CPPFLAGS += -I. -D_GNU_SOURCE -DMPPROXY_VERSION='"$(VERSION)"'
ifeq ($(SAN),)
CPPFLAGS += -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
endif
CFLAGS   = -std=gnu11 $(OPT) $(WARN) $(SAN) -fPIE -fstack-protector-strong \
	   -fno-strict-aliasing $(PKG_CFLAGS) -MMD -MP
LDFLAGS  = $(SAN) -pie -Wl,-z,relro,-z,now

COMMON := $(wildcard common/*.c)
CORE   := $(wildcard daemon/core/*.c)
IO     := $(wildcard daemon/io/*.c)
DAEMON := $(filter-out daemon/main.c,$(wildcard daemon/*.c))
CLIENT := $(wildcard client/*.c)
UNIT   := $(wildcard tests/unit/test_*.c)

obj = $(patsubst %.c,$(B)/%.o,$(1))

LIBS := $(B)/libdaemon.a $(B)/libio.a $(B)/libcore.a $(B)/libcommon.a
UNIT_BINS := $(patsubst tests/unit/%.c,$(B)/tests/%,$(UNIT))

.PHONY: all clean unit
all: $(B)/mpproxyd $(B)/mpproxyctl

$(B)/libcommon.a: $(call obj,$(COMMON))
$(B)/libcore.a: $(call obj,$(CORE))
$(B)/libio.a: $(call obj,$(IO))
$(B)/libdaemon.a: $(call obj,$(DAEMON))
$(B)/%.a:
	@rm -f $@
	$(AR) rcs $@ $^

$(B)/mpproxyd: $(B)/daemon/main.o $(LIBS)
	$(CC) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)
$(B)/mpproxyctl: $(call obj,$(CLIENT)) $(B)/libcore.a $(B)/libcommon.a
	$(CC) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)

$(B)/tests/%: $(B)/tests/unit/%.o $(LIBS)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $< -Wl,--start-group $(LIBS) -Wl,--end-group $(PKG_LIBS) -lcmocka

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

unit: $(UNIT_BINS)
	@set -e; for t in $(UNIT_BINS); do echo "== $$t"; $$t; done

clean:
	rm -rf $(B)

-include $(shell find $(B) -name '*.d' 2>/dev/null)
