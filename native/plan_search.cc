#include "plan_search.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <thread>

#include "plan_state.h"

namespace mailherd {

namespace {

// Measured on the instances that `npm run bench -- plan` reads.
constexpr double kHot = 1.0;          // first heat, in what an average process costs beyond the safety capacity
constexpr double kFew = 20;           // processes a machine, from which on it takes less heat
constexpr double kCold = 0.001;       // last heat, of the first
constexpr double kAgain = 0.1;        // of the heat, for the second half of a cycle
constexpr double kSoftUntil = 0.8;    // share of the run in which moves may exceed capacity
constexpr double kAllowedUntil = 0.5; // share of the run in which the controller lets something lie beyond capacity
constexpr double kAllowedFirst = 0.03;
constexpr double kAllowedLast = 1e-5;
constexpr double kDearer = 1.05;
constexpr double kDearerLate = 1.1;
constexpr double kCheaper = 0.97;
constexpr double kPriceFirst = 20;
constexpr double kPriceLeast = 0.1;
constexpr double kPriceMost = 1e5;
constexpr double kSwaps = 0.5;
constexpr double kChains = 0.3;       // of the first thread and every other one
constexpr double kChainsFewer = 0.08; // of the others: what suits one problem does not suit the next
constexpr double kHomewards = 0.05;
constexpr double kStepsPerMs = 5000;
constexpr double kStepsPerPlace = 4000;
constexpr double kLooksLeast = 500;
constexpr double kBytesNear = 2e6;    // what the caches of a core hold anyway
constexpr double kCyclesMost = 8;

/// splitmix64 (Steele, Lea, Flood 2014): short, and any seed will do.
class Chance {
 public:
  explicit Chance(uint64_t seed) : state_(seed) {}
  uint64_t Next() noexcept {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }
  int Below(int limit) noexcept { return static_cast<int>(((Next() >> 32) * static_cast<uint64_t>(limit)) >> 32); }

 private:
  uint64_t state_;
};

/// -ln(u) for u in steps of 1/4096: looked up, not computed.
struct LogTable {
  static constexpr int kSize = 4096;
  double value[kSize];
  LogTable() {
    for (int i = 0; i < kSize; i++) value[i] = -std::log((i + 0.5) / kSize);
  }
};

using Clock = std::chrono::steady_clock;

class Deadline {
 public:
  explicit Deadline(const PlanLimits& limits) : limits_(limits) {}
  /// 0 at the start, 1 when the limits are reached.
  double Progress(double steps) const {
    const double ms = std::chrono::duration<double, std::milli>(Clock::now() - start_).count();
    return std::max(limits_.steps > 0 ? steps / limits_.steps : 0, limits_.ms > 0 ? ms / limits_.ms : 0);
  }

 private:
  const PlanLimits& limits_;
  Clock::time_point start_ = Clock::now();
};

/// What an average process costs where it lies beyond the safety capacity: the measure of heat.
double AverageCost(const PlanModel& m) {
  double sum = 0;
  for (int p = 0; p < m.processes; p++) {
    for (int r = 0; r < m.resources; r++) sum += m.loadWeight[r] * m.need[static_cast<size_t>(p) * static_cast<size_t>(m.resources) + static_cast<size_t>(r)];
  }
  return m.processes == 0 ? 0 : sum / m.processes;
}

/// What a unit of each resource beyond capacity costs. Moves through states that lack capacity reach what no chain of allowed moves
/// reaches; the prices follow how much is lacking, which is allowed less and less (strategic oscillation, Glover).
class Prices {
 public:
  explicit Prices(const PlanModel& model) : total_(static_cast<size_t>(model.resources), 0), price_(total_.size(), kPriceFirst), unit_(total_.size(), 1) {
    const double average = AverageCost(model);
    for (size_t r = 0; r < total_.size(); r++) {
      double need = 0;
      for (size_t p = 0; p < static_cast<size_t>(model.processes); p++) need += model.need[p * total_.size() + r];
      for (size_t m = 0; m < static_cast<size_t>(model.machines); m++) total_[r] += model.capacity[m * total_.size() + r];
      unit_[r] = model.loadWeight[r] > 0 ? model.loadWeight[r] : std::max(1.0, need > 0 ? average * model.processes / need : 1);
    }
  }
  /// Whole numbers, so that sums stay exact.
  std::vector<double> Now() const {
    std::vector<double> now(price_.size());
    for (size_t r = 0; r < now.size(); r++) now[r] = std::ceil(price_[r] * unit_[r]);
    return now;
  }
  void Follow(const std::vector<double>& lacking, double allowed) {
    const double dearer = allowed > 0 ? kDearer : kDearerLate;
    for (size_t r = 0; r < price_.size(); r++) {
      price_[r] = lacking[r] > allowed * total_[r] ? std::min(price_[r] * dearer, kPriceMost) : std::max(price_[r] * kCheaper, kPriceLeast);
    }
  }

 private:
  std::vector<double> total_;
  std::vector<double> price_;
  std::vector<double> unit_;
};

class Annealing {
 public:
  Annealing(PlanState& state, const PlanLimits& limits, const Deadline& deadline, size_t thread)
      : state_(state), m_(state.model()), limits_(limits), deadline_(deadline), chance_(limits.seed * 1000 + thread), chains_(thread % 2 == 0 ? kChains : kChainsFewer), prices_(m_), found_{state.assignment(), state.cost(), 0} {
    if (limits.steps > 0) rounds_ = static_cast<int>(std::clamp(limits.steps / (kLooksLeast * kRound), 1.0, 16.0));
  }

  PlanFound Run() {
    const int cycles = Cycles();
    const double share = 0.5 / cycles;
    for (int cycle = 0; cycle < cycles; cycle++) {
      Cycle(2 * cycle * share, share, 1);
      state_.Reset(found_.assignment.data());
      Cycle((2 * cycle + 1) * share, share, kAgain);
    }
    return found_;
  }

 private:
  static constexpr int kRound = 1024;

  /// A small problem is better begun anew than annealed ever more slowly.
  int Cycles() const {
    const double steps = std::max(limits_.steps, limits_.ms * kStepsPerMs);
    return static_cast<int>(std::clamp(steps / (kStepsPerPlace * m_.processes * m_.machines), 1.0, kCyclesMost));
  }
  /// From hot to cold once, between two points of the progress. `part` of the heat, and of what may lack, mends a plan that is there.
  void Cycle(double from, double share, double part) {
    // Many processes on a machine even themselves out at less heat than few.
    const double crowd = std::max(1.0, m_.processes / (kFew * m_.machines));
    const double hot = std::max(1.0, kHot * limits_.heat * AverageCost(m_) / crowd);
    bool soft = true;
    state_.Soften(prices_.Now(), false);
    for (double progress = 0; progress < 1 && found_.cost > limits_.enough; progress = (deadline_.Progress(found_.steps) - from) / share) {
      const double heat = hot * part * std::pow(kCold / part, progress);
      for (int i = 0; i < rounds_; i++) Round(heat);
      const std::vector<double> lacking = state_.Lacking();
      const bool fits = std::all_of(lacking.begin(), lacking.end(), [](double lack) { return lack <= 0; });
      if (fits) Keep();
      if (soft && progress > kSoftUntil) {
        soft = false;
        if (fits && state_.cost() > found_.cost) state_.Reset(found_.assignment.data());
        state_.Soften(prices_.Now(), true);
      } else if (soft || !fits) {
        const double passed = progress / kAllowedUntil;
        prices_.Follow(lacking, passed < 1 ? kAllowedFirst * part * std::pow(kAllowedLast / (kAllowedFirst * part), passed) : 0);
        state_.Soften(prices_.Now(), !soft);
      }
    }
  }

  /// A move to try; -1 where it has no second process or no target.
  struct Draw {
    int process;
    int other;
    int to;
    double most;
  };
  void Round(double heat) {
    if (state_.bytes() < kBytesNear) {
      for (int i = 0; i < kRound; i++) Step(Next(heat));
    } else {
      RoundAhead(heat);
    }
    found_.steps += kRound;
  }
  /// The same moves, their memory asked for before they are tried.
  void RoundAhead(double heat) {
    constexpr int kFar = 16, kNear = 8;
    Draw draws[kFar];
    for (int i = 0; i < kRound + kFar; i++) {
      Draw& draw = draws[i % kFar];
      if (i >= kFar) Step(draw);
      if (i < kRound) {
        draw = Next(heat);
        state_.ExpectProcess(draw.process);
        if (draw.other >= 0) state_.ExpectProcess(draw.other);
      }
      const Draw& near = draws[(i + kNear) % kFar];
      if (i < kNear || i >= kRound + kNear) continue;
      state_.ExpectMove(near.process, near.other >= 0 ? state_.At(near.other) : near.to);
      if (near.other >= 0) state_.ExpectMove(near.other, near.to >= 0 ? near.to : state_.At(near.process));
    }
  }
  /// Metropolis: a dearer state is taken with probability exp(-change / heat); `most` is that turned round.
  Draw Next(double heat) {
    static const LogTable logs;
    const uint64_t draw = chance_.Next();
    const double kind = static_cast<double>(draw >> 32) * 0x1.0p-32;
    Draw next = {chance_.Below(m_.processes), -1, -1, heat * logs.value[draw % LogTable::kSize]};
    if (kind < chains_ + kSwaps) next.other = chance_.Below(m_.processes);
    if (kind < chains_) {
      next.to = (draw_ ^= 1) != 0 ? m_.home[next.other] : chance_.Below(m_.machines);
    } else if (kind >= chains_ + kSwaps) {
      next.to = kind < chains_ + kSwaps + kHomewards ? m_.home[next.process] : chance_.Below(m_.machines);
    }
    return next;
  }
  void Step(const Draw& draw) {
    if (draw.other < 0) {
      state_.TryShift(draw.process, draw.to, draw.most);
    } else if (draw.to < 0) {
      state_.TrySwap(draw.process, draw.other, draw.most);
    } else {
      state_.TryChain(draw.process, draw.other, draw.to, draw.most);
    }
  }
  void Keep() {
    if (state_.cost() >= found_.cost) return;
    found_.assignment = state_.assignment();
    found_.cost = state_.cost();
  }

  PlanState& state_;
  const PlanModel& m_;
  const PlanLimits& limits_;
  const Deadline& deadline_;
  Chance chance_;
  const double chains_;
  Prices prices_;
  PlanFound found_;
  int draw_ = 0;
  int rounds_ = 16;  // between two looks at prices and clock
};

}  // namespace

PlanFound SearchPlan(const PlanModel& model, const int32_t* start, const PlanLimits& limits) {
  const Deadline deadline(limits);
  if (model.processes == 0 || !(limits.ms > 0 || limits.steps > 0)) {
    PlanState state(model);
    state.Reset(start);
    return {state.assignment(), state.cost(), 0};
  }
  std::vector<PlanFound> found(static_cast<size_t>(limits.threads));
  const auto work = [&](size_t thread) {
    PlanState state(model);
    state.Reset(start);
    found[thread] = Annealing(state, limits, deadline, thread).Run();
  };
  std::vector<std::thread> threads;
  for (size_t i = 1; i < found.size(); i++) threads.emplace_back(work, i);
  work(0);
  for (auto& thread : threads) thread.join();
  return *std::min_element(found.begin(), found.end(), [](const PlanFound& a, const PlanFound& b) { return a.cost < b.cost; });
}

}  // namespace mailherd
