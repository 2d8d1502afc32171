"""Flags of XLA for processes that compile more than they compute."""

COMPILE_FAST = "--xla_backend_optimization_level=0"  # in half the time; the programs are slower
EIGHT_DEVICES = "--xla_force_host_platform_device_count=8"
