// Whole files, for the commands.
#pragma once

#include <string>

namespace ktap::cli {

/// Reads a file into `text`; "-" is standard input. "" or what is wrong, for the user.
std::string read_file(const std::string& path, std::string& text);

/// Puts `text` in place of what the file holds, at once: a reader sees the old text or the new one.
/// "" or what is wrong.
std::string replace_file(const std::string& path, const std::string& text);

}  // namespace ktap::cli
