#include "cli/files.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <utility>

namespace oriel::cli {

namespace {

class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  ~Fd() {
    if (fd_ >= 0) ::close(fd_);
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

std::string real_path(const std::string& path) {
  char* p = ::realpath(path.c_str(), nullptr);
  std::string r = p ? p : path;
  ::free(p);
  return r;
}

// The process a lock file names; 0: none that can be read. False: there is no lock file.
bool lock_holder(const std::string& lock, std::string& text, pid_t& pid) {
  Fd fd(::open(lock.c_str(), O_RDONLY | O_CLOEXEC));
  pid = 0;
  text.clear();
  if (fd.get() < 0) return errno != ENOENT;
  char buf[64];
  ssize_t n = ::read(fd.get(), buf, sizeof buf - 1);
  if (n <= 0) return true;
  buf[n] = 0;
  text = buf;
  char* end;
  long v = std::strtol(buf, &end, 10);
  if (end != buf && v > 0 && std::strspn(end, " \n") == std::strlen(end)) pid = static_cast<pid_t>(v);
  return true;
}
bool alive(pid_t pid) { return pid > 0 && (::kill(pid, 0) == 0 || errno == EPERM); }

std::string in_use(const std::string& path, pid_t pid, const std::string& lock) {
  const std::string who = pid == ::getpid() ? "this run, as another disk" : "process " + std::to_string(pid);
  return path + ": in use by " + who + " (" + lock + ")";
}

// Takes a lock whose process is gone out of the way by renaming it; puts it back if it was another by then.
void remove_stale(const std::string& lock, const std::string& stale) {
  const std::string aside = lock + "." + std::to_string(::getpid()) + ".stale";
  if (::rename(lock.c_str(), aside.c_str())) return;
  std::string text;
  pid_t pid;
  lock_holder(aside, text, pid);
  if (text != stale && ::link(aside.c_str(), lock.c_str())) return;
  ::unlink(aside.c_str());
}

bool take_lock(const std::string& path, const std::string& lock, std::string& error) {
  for (int tries = 0; tries < 10; tries++) {
    Fd fd(::open(lock.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    if (fd.get() >= 0) {
      const std::string text = std::to_string(::getpid()) + "\n";
      if (::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size())) return true;
      error = path + ": cannot be locked: " + file_error(lock, errno);
      ::unlink(lock.c_str());
      return false;
    }
    if (errno != EEXIST) {
      error = path + ": cannot be locked: " + file_error(lock, errno);
      return false;
    }
    std::string text;
    pid_t pid;
    if (!lock_holder(lock, text, pid)) continue;
    if (alive(pid)) {
      error = in_use(path, pid, lock);
      return false;
    }
    if (pid > 0)
      remove_stale(lock, text);
    else
      ::usleep(50'000);  // its maker is about to write it
  }
  error = path + ": locked, and " + lock + " does not say by whom; remove it if nothing uses the image";
  return false;
}

class ImageFile final : public ByteStore {
 public:
  ImageFile(int fd, u64 size, bool writable, std::string lock)
      : fd_(fd), size_(size), writable_(writable), lock_(std::move(lock)) {}
  ~ImageFile() override {
    ::close(fd_);
    if (!lock_.empty()) ::unlink(lock_.c_str());
  }
  u64 size() const override { return size_; }
  bool writable() const override { return writable_; }
  bool read(u64 offset, void* buf, usize n) override {
    for (u8* p = static_cast<u8*>(buf); n;) {
      ssize_t k = ::pread(fd_, p, n, static_cast<off_t>(offset));
      if (k < 0 && errno == EINTR) continue;
      if (k <= 0) return false;  // an error, or the file got shorter
      p += k, offset += static_cast<u64>(k), n -= static_cast<usize>(k);
    }
    return true;
  }
  bool write(u64 offset, const void* buf, usize n) override {
    for (const u8* p = static_cast<const u8*>(buf); n;) {
      ssize_t k = ::pwrite(fd_, p, n, static_cast<off_t>(offset));
      if (k < 0 && errno == EINTR) continue;
      if (k <= 0) return false;
      p += k, offset += static_cast<u64>(k), n -= static_cast<usize>(k);
    }
    return true;
  }
  bool flush() override { return !writable_ || ::fdatasync(fd_) == 0; }

 private:
  int fd_;
  u64 size_;
  bool writable_;
  std::string lock_;
};

}  // namespace

std::string file_error(const std::string& path, int e) {
  const char* reason = e == ENOENT                 ? "no such file"
                       : e == EISDIR               ? "is a directory"
                       : e == EACCES || e == EPERM ? "permission denied"
                       : e == ENOTDIR              ? "a part of its path is not a directory"
                       : e == ENOSPC               ? "no space left"
                       : e == EROFS                ? "the file system is read-only"
                                                   : std::strerror(e);
  return path + ": " + reason;
}

bool read_whole(const std::string& path, std::vector<u8>& out, std::string& error) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat st;
  if (fd.get() < 0 || ::fstat(fd.get(), &st)) {
    error = file_error(path, errno);
    return false;
  }
  if (S_ISDIR(st.st_mode)) {
    error = file_error(path, EISDIR);
    return false;
  }
  constexpr off_t kMost = off_t{1} << 31;
  if (st.st_size > kMost) {
    error = path + ": too long for a file of this kind";
    return false;
  }
  out.clear();
  usize used = 0;
  for (;;) {
    out.resize(std::max<usize>(used + 65536, static_cast<usize>(st.st_size) + 1));
    ssize_t n = ::read(fd.get(), out.data() + used, out.size() - used);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      error = file_error(path, errno);
      return false;
    }
    if (n == 0) break;
    used += static_cast<usize>(n);
    if (used > static_cast<usize>(kMost)) {
      error = path + ": too long for a file of this kind";
      return false;
    }
  }
  out.resize(used);
  return true;
}

bool check_output(const std::string& path, std::string& error) {
  struct stat st;
  if (::stat(path.c_str(), &st) == 0) {
    if (S_ISDIR(st.st_mode))
      error = file_error(path, EISDIR);
    else if (::access(path.c_str(), W_OK))
      error = file_error(path, errno);
  } else {
    const usize slash = path.rfind('/');
    const std::string dir = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    if (::access(dir.c_str(), W_OK)) error = file_error(path, errno);
  }
  return error.empty();
}

bool write_whole(const std::string& path, const void* data, usize n, std::string& error) {
  Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  const u8* p = static_cast<const u8*>(data);
  while (fd.get() >= 0 && n) {
    ssize_t k = ::write(fd.get(), p, n);
    if (k < 0 && errno == EINTR) continue;
    if (k <= 0) break;
    p += k, n -= static_cast<usize>(k);
  }
  if (fd.get() < 0 || n) error = file_error(path, errno);
  return error.empty();
}

std::unique_ptr<ByteStore> open_file(const std::string& path, bool writable, std::string& error) {
  Fd fd(::open(path.c_str(), (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC));
  struct stat st;
  if (fd.get() < 0 || ::fstat(fd.get(), &st)) {
    error = file_error(path, errno);
    if (writable && (errno == EACCES || errno == EROFS || errno == EPERM)) error += "; --snapshot only reads it";
    return nullptr;
  }
  if (!S_ISREG(st.st_mode)) {
    error = path + (S_ISDIR(st.st_mode) ? ": is a directory" : ": not a regular file");
    return nullptr;
  }
  const std::string lock = real_path(path) + ".lock";
  if (writable) {
    if (!take_lock(path, lock, error)) return nullptr;
  } else {
    std::string text;
    pid_t pid;
    if (lock_holder(lock, text, pid) && alive(pid)) {
      error = in_use(path, pid, lock);
      return nullptr;
    }
  }
  return std::make_unique<ImageFile>(fd.release(), static_cast<u64>(st.st_size), writable, writable ? lock : "");
}

}  // namespace oriel::cli
