#!/bin/bash
# The promises of test_priority.sh, kept by the udp transport.
PAIR_TRANSPORT=udp exec "$(dirname "$0")/test_priority.sh"
