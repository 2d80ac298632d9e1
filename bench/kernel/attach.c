// Loads an object that clang compiled for BPF, attaches all its programs, prints one line (`armed`
// and the numbers of the programs) and holds them until its standard input ends.
//
// usage: attach OBJECT
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int quiet(enum libbpf_print_level level, const char* format, va_list args) {
  return level == LIBBPF_WARN ? vfprintf(stderr, format, args) : 0;
}

static int fail(const char* what) {
  perror(what);
  return 1;
}

int main(int argc, char** argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: attach OBJECT\n");
    return 2;
  }
  libbpf_set_print(quiet);
  struct bpf_object* object = bpf_object__open(argv[1]);
  if (object == NULL) return fail(argv[1]);
  if (bpf_object__load(object) != 0) return fail("load");
  char ids[512] = "";
  struct bpf_program* program;
  bpf_object__for_each_program(program, object) {
    if (bpf_program__attach(program) == NULL) return fail(bpf_program__name(program));
    struct bpf_prog_info info;
    unsigned size = sizeof info;
    memset(&info, 0, sizeof info);
    if (bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size) != 0) return fail("info");
    snprintf(ids + strlen(ids), sizeof ids - strlen(ids), " %u", info.id);
  }
  printf("armed%s\n", ids);
  fflush(stdout);
  char byte;
  while (read(STDIN_FILENO, &byte, 1) > 0) {
  }
  return 0;
}
