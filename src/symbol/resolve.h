// What a script may write as PATH → the file that is meant: a path; a program's name, as a shell
// finds it; a library's name, as the dynamic linker finds it; all of them inside the root of
// another process (a container) where that is asked for.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "symbol/elf_file.h"

namespace ktap::symbol {

struct ResolveOptions {
  pid_t pid = 0;     ///< of a process whose files are meant (its root, folder, libraries); 0: ours
  std::string root;  ///< instead of the process's root
  std::string search_path;  ///< instead of $PATH: folders between colons
};

struct ResolvedFile {
  std::string root;  ///< "" or "/proc/7/root"
  std::string path;  ///< within the root; no link in it leaves the root
  std::string full() const { return root + path; }
};

/// A program or library that this machine can run; its content is looked at.
/// Errors name what was tried: "'foo': no such program or library; looked in …", "/bin/x: a script
/// (#!/bin/sh), not a program; probe its interpreter /bin/sh", "libc.so: a linker script", …
Result<ResolvedFile> resolve(std::string_view name, const ResolveOptions& options = {});

/// resolve(), and the file opened.
Result<ElfFile> open_named(std::string_view name, const ResolveOptions& options = {});

/// Where the file can be opened that a process has mapped as code by that name and that has been
/// deleted, or replaced on disk, since: "/proc/7/exe", "/proc/7/map_files/…". `name`: a path within
/// the process's root, or a bare name. "": there is none, or the process has the present file
/// mapped too.
std::string deleted_file(pid_t pid, std::string_view name);

/// `path` with its links followed as a process sees them whose root is `root`: absolute ones start
/// there, and `..` does not leave it. Nothing when it does not exist, or its links go in a circle.
std::optional<std::string> canonical_within(const std::string& root, std::string_view path);

}  // namespace ktap::symbol
