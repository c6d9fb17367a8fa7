# mpproxy - see README.md. `make help` lists the targets.

VERSION := 0.1.0
B       ?= build
PREFIX  ?= /usr/local
OPT     ?= -O2 -g
SAN     ?=
# make itself says cc where nobody says anything
ifeq ($(origin CC),default)
CC := gcc
endif

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
# V=1 shows the commands
Q := $(if $(V),,@)
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
# what several tests share
HELP   := $(filter-out $(UNIT),$(wildcard tests/unit/*.c))
FUZZ   := $(wildcard tests/fuzz/fuzz_*.c)
SIM    := $(wildcard tests/sim/sim_*.c)
# what the simulations share
SIMLIB := $(filter-out $(SIM),$(wildcard tests/sim/*.c))

obj = $(patsubst %.c,$(B)/%.o,$(1))

LIBS := $(B)/libdaemon.a $(B)/libio.a $(B)/libcore.a $(B)/libcommon.a
UNIT_BINS := $(patsubst tests/unit/%.c,$(B)/tests/%,$(UNIT))
SIM_BINS := $(patsubst tests/sim/sim_%.c,$(B)/tests/sim/%,$(SIM))

FUZZ_BINS := $(patsubst tests/%.c,$(B)/%,$(FUZZ))
PROGRAMS := $(B)/mpproxyd $(B)/mpproxyctl

.PHONY: all everything fuzz unit tidy clean help
all: $(PROGRAMS) ## build the programs: build/mpproxyd, build/mpproxyctl

$(B)/libcommon.a: $(call obj,$(COMMON))
$(B)/libcore.a: $(call obj,$(CORE))
$(B)/libio.a: $(call obj,$(IO))
$(B)/libdaemon.a: $(call obj,$(DAEMON))
$(B)/libunit.a: $(call obj,$(HELP))
$(B)/libsim.a: $(call obj,$(SIMLIB))
$(B)/%.a:
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

$(B)/mpproxyd: $(B)/daemon/main.o $(LIBS)
	@echo "  LD $@"
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)
$(B)/mpproxyctl: $(call obj,$(CLIENT)) $(B)/libio.a $(B)/libcore.a $(B)/libcommon.a
	@echo "  LD $@"
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)

# tests/unit/heap.h makes allocations fail
WRAP := -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc
$(B)/tests/%: $(B)/tests/unit/%.o $(B)/libunit.a $(LIBS)
	@mkdir -p $(@D)
	@echo "  LD $@"
	$(Q)$(CC) $(LDFLAGS) $(WRAP) -o $@ $< -Wl,--start-group $(B)/libunit.a $(LIBS) -Wl,--end-group \
		$(PKG_LIBS) -lcmocka

# Simulations are of the core: nothing else is there to link with.
$(B)/tests/sim/%: $(B)/tests/sim/sim_%.o $(B)/libsim.a $(B)/libunit.a $(B)/libcore.a $(B)/libcommon.a
	@mkdir -p $(@D)
	@echo "  LD $@"
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(PKG_LIBS) -lcmocka

$(B)/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC $@"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

$(B)/fuzz/%: $(B)/tests/fuzz/%.o $(B)/libunit.a $(LIBS)
	@mkdir -p $(@D)
	@echo "  LD $@"
	$(Q)$(CC) $(LDFLAGS) -fsanitize=fuzzer -o $@ $< $(B)/libunit.a \
		-Wl,--start-group $(LIBS) -Wl,--end-group $(PKG_LIBS)

everything: all lab $(UNIT_BINS) $(SIM_BINS)
fuzz: everything $(FUZZ_BINS)

unit: $(UNIT_BINS) ## build and run the unit tests only
	@set -e; for t in $(UNIT_BINS); do echo "== $$t"; $$t; done

# `make asan-TARGET`, `make clang-TARGET`: TARGET in the build of that name. UBSan
# stops at its first finding, or nothing would fail; clang's build serves the fuzzers.
SAN_COMMON := address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
asan-%:
	@$(MAKE) B=build-asan OPT="-O1 -g" SAN="-fsanitize=$(SAN_COMMON)" $*
clang-%:
	@$(MAKE) B=build-clang CC=clang OPT="-O1 -g" \
		SAN="-fsanitize=fuzzer-no-link,$(SAN_COMMON)" $*

# A file is looked at again when it or a header of its changed, as its object is.
ALL_C := $(wildcard $(foreach d,common daemon daemon/core daemon/io client,$(d)/*.c))
tidy: $(ALL_C:%.c=$(B)/%.tidy)
$(B)/%.tidy: %.c $(B)/%.o .clang-tidy
	@echo "  TIDY $<"
	$(Q)clang-tidy --quiet $< -- -std=gnu11 $(CPPFLAGS) $(PKG_CFLAGS) 2>/dev/null
	@touch $@

.PHONY: check check-long check-mutants demo bench bench-full
check: ## everything that must pass; STEP=REGEX runs those steps only
	@tests/run-check $(if $(STEP),--only '$(STEP)')
check-long: ## what takes longer: fuzzers a minute each, mutants, tests/long
	@tests/run-check --long $(if $(STEP),--only '$(STEP)')
check-mutants: everything ## bugs planted in the core: a test must see each of them
	@tests/mutants/run
demo: ## a download over three uplinks, one of them cut (needs root)
	@tests/prepare build test
	@tests/demo/run
bench: ## measure against kernel MPTCP, TCP and others, an hour (needs root)
	@tests/prepare build test bench
	@tests/bench/run --missing
bench-full: ## the same both ways, with 16 streams as well, in hours (needs root)
	@tests/prepare build test bench
	@tests/bench/run --missing --full

include tests/lab/lab.mk

# A configuration that is there is the user's: only samples are written.
BINDIR  = $(DESTDIR)$(PREFIX)/bin
LIBDIR  = $(DESTDIR)$(PREFIX)/lib
DATADIR = $(DESTDIR)$(PREFIX)/share
CONFDIR = $(DESTDIR)/etc/mpproxy
MAN     = $(wildcard docs/*.[158])
SAMPLES = $(wildcard conf/*.conf)
COMPLETIONS = $(wildcard contrib/completions/*.bash)
INSTALLED = $(PROGRAMS:$(B)/%=$(BINDIR)/%) \
	$(foreach m,$(MAN),$(DATADIR)/man/man$(subst .,,$(suffix $(m)))/$(notdir $(m))) \
	$(patsubst conf/%,$(CONFDIR)/%.sample,$(SAMPLES)) \
	$(patsubst contrib/completions/%.bash,$(DATADIR)/bash-completion/completions/%,$(COMPLETIONS)) \
	$(LIBDIR)/systemd/system/mpproxyd@.service $(LIBDIR)/sysusers.d/mpproxy.conf

.PHONY: install uninstall
install: all ## install below DESTDIR and PREFIX (/usr/local)
	$(foreach p,$(PROGRAMS),install -D -m 755 $(p) $(BINDIR)/$(notdir $(p)) &&) :
	$(foreach m,$(MAN),install -D -m 644 $(m) \
		$(DATADIR)/man/man$(subst .,,$(suffix $(m)))/$(notdir $(m)) &&) :
	$(foreach c,$(SAMPLES),install -D -m 644 $(c) $(CONFDIR)/$(notdir $(c)).sample &&) :
	$(foreach c,$(COMPLETIONS),install -D -m 644 $(c) \
		$(DATADIR)/bash-completion/completions/$(basename $(notdir $(c))) &&) :
	install -d $(CONFDIR)
	install -D -m 644 systemd/mpproxy.sysusers $(LIBDIR)/sysusers.d/mpproxy.conf
	install -d $(LIBDIR)/systemd/system
	sed 's|@BINDIR@|$(PREFIX)/bin|' systemd/mpproxyd@.service \
		>$(LIBDIR)/systemd/system/mpproxyd@.service
ifeq ($(DESTDIR),)
	systemd-sysusers $(LIBDIR)/sysusers.d/mpproxy.conf
	! test -d /run/systemd/system || systemctl daemon-reload
endif

uninstall: ## remove what `make install` wrote; keys and configurations stay
	rm -f $(INSTALLED)
	-rmdir --ignore-fail-on-non-empty $(CONFDIR)

# keep the tests' objects: they are looked at as often as the others
.SECONDARY:

clean: ## remove what was built
	rm -rf build build-asan build-clang

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

-include $(shell find $(B) -name '*.d' 2>/dev/null)
