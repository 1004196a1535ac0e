"""BPF without a compiler or a library: types of the kernel (btf), programs (assembler, kernel), and what they tell (ring)."""
