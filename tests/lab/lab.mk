# The lab's own tools: build/lab/linkem.

LAB_LINKEM := $(addprefix $(B)/tests/lab/,linkem.o control.o command.o params.o lane.o tun.o)

.PHONY: lab
lab: $(B)/lab/linkem

$(B)/lab/linkem: $(LAB_LINKEM)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^
