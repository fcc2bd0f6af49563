// Files for the machine: firmware and kernels read whole, images opened in place, and the lock that keeps two runs
// from writing one image (the same protocol as web/src/node/files.ts).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "storage/block.h"

namespace oriel::cli {

// "PATH: reason" of errno `e`.
std::string file_error(const std::string& path, int e);
bool read_whole(const std::string& path, std::vector<u8>& out, std::string& error);
// Whether a file could be created or replaced at `path`; touches nothing.
bool check_output(const std::string& path, std::string& error);
bool write_whole(const std::string& path, const void* data, usize n, std::string& error);

// An image file. A writable one is locked by PATH.lock, which holds our process id, until it is destroyed.
std::unique_ptr<ByteStore> open_file(const std::string& path, bool writable, std::string& error);

}  // namespace oriel::cli
