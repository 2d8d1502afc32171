"""Flags of XLA for tests, which compile more than they compute."""

# Compiles in less than half the time. An XLA that no longer has this flag ends the process and says so.
OLD_FUSIONS = "--xla_cpu_use_fusion_emitters=false"
COMPILE_FAST = f"--xla_backend_optimization_level=0 {OLD_FUSIONS}"  # the programs are slower
EIGHT_DEVICES = "--xla_force_host_platform_device_count=8"
