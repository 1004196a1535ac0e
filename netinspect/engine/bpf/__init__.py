"""BPF without a compiler or a library: the kernel's types (btf), programs (assembler, kernel) and what they tell (ring)."""
