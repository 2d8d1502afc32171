"""Flags of XLA for processes that compile more than they compute."""

OLD_FUSIONS = "--xla_cpu_use_fusion_emitters=false"  # compiles in less than half the time
COMPILE_FAST = f"--xla_backend_optimization_level=0 {OLD_FUSIONS}"  # the programs are slower
EIGHT_DEVICES = "--xla_force_host_platform_device_count=8"
