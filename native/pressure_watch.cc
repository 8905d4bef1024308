#include "pressure_watch.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cmath>
#include <ctime>

#include "crew.h"

namespace mailherd {

namespace {

constexpr std::array kWindowsMs = {500, 2000};

double MonotonicMs() noexcept {
  timespec now;
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

/// 0 or the errno of the refusal.
int Ask(const PressureTrigger& trigger, int windowMs, UniqueFd& file) {
  file = UniqueFd(::open(trigger.path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (!file) return errno;
  const std::string wish = std::string(trigger.isFull ? "full " : "some ") + std::to_string(std::lround(windowMs * 1000 * trigger.share)) + ' ' + std::to_string(windowMs * 1000);
  return ::write(file.get(), wish.c_str(), wish.size() + 1) < 0 ? errno : 0;
}

}  // namespace

Result<std::shared_ptr<PressureWatch>> PressureWatch::Open(const std::vector<PressureTrigger>& triggers) {
  auto watch = std::make_shared<PressureWatch>();
  watch->stop_ = UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!watch->stop_) return SysError{errno, "eventfd", ""};
  for (const PressureTrigger& trigger : triggers) {
    UniqueFd file;
    double granted = 0;
    int err = 0;
    for (const int windowMs : kWindowsMs) {
      err = Ask(trigger, windowMs, file);
      if (err == 0) granted = windowMs;
      if (err == 0 || err == ENOENT || err == EOPNOTSUPP) break;
    }
    if (err != 0) {
      file.reset();
      watch->errors_.push_back(SysError{err, "trigger", trigger.path});
    }
    watch->files_.push_back(std::move(file));
    watch->windowsMs_.push_back(granted);
  }
  return watch;
}

int PressureWatch::Start(const std::shared_ptr<PressureWatch>& watch, Tell tell) {
  watch->tell_ = std::move(tell);
  auto* kept = new std::shared_ptr<PressureWatch>(watch);
  const int err = RunOnThread(Run, kept);
  if (err != 0) delete kept;
  return err;
}

void PressureWatch::Stop() noexcept {
  const uint64_t one = 1;
  // Fails only when it has been told already.
  (void)!::write(stop_.get(), &one, sizeof one);
}

void PressureWatch::Run(void* data) {
  const std::unique_ptr<std::shared_ptr<PressureWatch>> kept(static_cast<std::shared_ptr<PressureWatch>*>(data));
  (*kept)->Wait();
}

void PressureWatch::Wait() {
  std::vector<pollfd> polled = {{stop_.get(), POLLIN, 0}};
  for (const UniqueFd& file : files_) polled.push_back({file.get(), POLLPRI, 0});
  for (;;) {
    if (::poll(polled.data(), polled.size(), -1) < 0) {
      if (errno == EINTR) continue;
      return;
    }
    if (polled[0].revents != 0) return;
    const double nowMs = MonotonicMs();
    for (size_t i = 1; i < polled.size(); i++) {
      // A group that is gone signals an error for ever after.
      if ((polled[i].revents & (POLLERR | POLLNVAL)) != 0) polled[i].fd = -1;
      else if ((polled[i].revents & POLLPRI) != 0) tell_({i - 1, nowMs});
    }
  }
}

}  // namespace mailherd
