/* Preloaded into a guest's kernel: user-mode-linux before 6.14 has room for 2696 bytes of a process's vector registers, and
   a processor with AMX keeps 11 kB of them, which ptrace(2) sets whole or not at all. */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* The guest's kernel has one thread, whose stacks are small. */
static char registers[65536] __attribute__((aligned(64)));

long ptrace(enum __ptrace_request request, ...)
{
	va_list arguments;
	va_start(arguments, request);
	long process = va_arg(arguments, int);
	void *address = va_arg(arguments, void *);
	void *data = va_arg(arguments, void *);
	va_end(arguments);

	/* PTRACE_PEEKTEXT, PEEKDATA and PEEKUSER return what the kernel writes. */
	if (request >= PTRACE_PEEKTEXT && request <= PTRACE_PEEKUSER) {
		long word, failed = syscall(SYS_ptrace, request, process, address, &word);
		if (failed < 0)
			return failed;
		errno = 0;
		return word;
	}
	int get = request == PTRACE_GETREGSET, set = request == PTRACE_SETREGSET;
	if (!(get || set) || (long)address != NT_X86_XSTATE)
		return syscall(SYS_ptrace, request, process, address, data);

	struct iovec *theirs = data, whole = { registers, sizeof(registers) };
	long result = syscall(SYS_ptrace, PTRACE_GETREGSET, process, address, &whole);
	if (result < 0)
		return result;
	size_t length = whole.iov_len < theirs->iov_len ? whole.iov_len : theirs->iov_len;
	if (get) {
		memcpy(theirs->iov_base, registers, length);
		theirs->iov_len = length;
		return result;
	}
	memcpy(registers, theirs->iov_base, length);
	return syscall(SYS_ptrace, PTRACE_SETREGSET, process, address, &whole);
}
