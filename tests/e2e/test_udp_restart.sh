#!/bin/bash
# The promises of test_restart.sh, kept by the udp transport.
PAIR_TRANSPORT=udp exec "$(dirname "$0")/test_restart.sh"
