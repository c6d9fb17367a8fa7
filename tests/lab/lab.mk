# The lab's own tools: build/lab/linkem, build/lab/probe.

LAB_LINKEM := $(addprefix $(B)/tests/lab/,linkem.o control.o command.o params.o lane.o tun.o)

.PHONY: lab
lab: $(B)/lab/linkem $(B)/lab/probe ## build the lab's link emulator and probe
tests: lab

$(B)/lab/linkem: $(LAB_LINKEM)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^
$(B)/lab/probe: $(B)/tests/lab/probe.o
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ -lm
