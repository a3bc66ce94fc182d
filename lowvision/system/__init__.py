"""Know the machine: devices, processes, memory, the cache and files that appear whole."""
