// Runs a program as on a CPU without AMX: Linux refuses it the tile registers, so that both Vitrail and ONNX Runtime
// multiply with AVX512-VNNI.
//
//   cc -O2 -o build/without_amx bench/peers/without_amx.c
//   build/without_amx taskset -c 0 node bench/peers/compare.mjs --threads 1
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int count, char** arguments) {
  enum { request_permission = 0x1023 };  // ARCH_REQ_XCOMP_PERM
  struct sock_filter steps[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_arch_prctl, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, request_permission, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog filter = {sizeof steps / sizeof steps[0], steps};
  if (count < 2) {
    fprintf(stderr, "usage: %s PROGRAM [ARGUMENT…]\n", arguments[0]);
    return 2;
  }
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) {
    fprintf(stderr, "%s: Linux does not take the filter: %s\n", arguments[0], strerror(errno));
    return 1;
  }
  execvp(arguments[1], arguments + 1);
  fprintf(stderr, "%s: cannot run %s: %s\n", arguments[0], arguments[1], strerror(errno));
  return 1;
}
