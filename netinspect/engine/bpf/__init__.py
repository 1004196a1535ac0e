"""BPF without a compiler or a library: the kernel's types (btf), programs (assembler, kernel), their answers (ring)."""
