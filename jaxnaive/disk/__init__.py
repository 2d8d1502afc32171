"""Where bytes are kept: files that are whole or not there, checkpoints, and arrays that load at once."""
