#include "plan_state.h"

#include <algorithm>
#include <numeric>

namespace mailherd {

namespace {
constexpr int kNobody = -1;
size_t Size(int count) { return static_cast<size_t>(count); }
}  // namespace

PlanState::PlanState(const PlanModel& model)
    : m_(model),
      blocks_((model.resources + kLanes - 1) / kLanes),
      needs_(Size(model.processes) * Size(blocks_)),
      rows_(Size(model.machines) * Size(blocks_) * 4),
      limits_(Size(model.machines) * Size(blocks_)),
      weights_(2 * Size(blocks_)),
      exclusiveWords_((Size(model.machines) + 63) / 64) {
  costs_ = {blocks_, weights_.At(0), weights_.At(Size(blocks_)), true};
  all_.assign(Size(blocks_), LaneMask{-1, -1, -1, -1});
  stays_ = all_;
  for (int r = 0; r < m_.resources; r++) {
    weights_.At(0)[r / kLanes][r % kLanes] = m_.loadWeight[r];
    if (m_.transient[r] != 0) stays_[Size(r / kLanes)][r % kLanes] = 0;
  }
  for (int p = 0; p < m_.processes; p++) {
    Lanes* need = needs_.At(Size(p) * Size(blocks_));
    for (int r = 0; r < m_.resources; r++) need[r / kLanes][r % kLanes] = m_.need[Size(p) * Size(m_.resources) + Size(r)];
  }
  // What a machine holds too much from the start is no reason to refuse a plan: it may stay, and must not grow.
  for (int p = 0; p < m_.processes; p++) {
    Lanes* limit = limits_.At(Size(m_.home[p]) * Size(blocks_));
    for (int i = 0; i < blocks_; i++) limit[i] += NeedOf(p)[i];
  }
  for (int machine = 0; machine < m_.machines; machine++) {
    Lanes* limit = limits_.At(Size(machine) * Size(blocks_));
    for (int r = 0; r < m_.resources; r++) {
      limit[r / kLanes][r % kLanes] = std::max(limit[r / kLanes][r % kLanes], m_.capacity[Size(machine) * Size(m_.resources) + Size(r)]);
    }
  }
  std::vector<int32_t> sizes(Size(m_.services), 0);
  for (int p = 0; p < m_.processes; p++) {
    if (m_.service[p] >= 0) sizes[Size(m_.service[p])]++;
  }
  int exclusive = 0, spread = 0, linked = 0;
  exclusiveRow_.assign(Size(m_.services), -1);
  spreadRow_.assign(Size(m_.services), -1);
  linkRow_.assign(Size(m_.services), -1);
  dependentStart_.assign(Size(m_.services) + 1, 0);
  const auto link = [&](int s) {
    if (linkRow_[Size(s)] < 0) linkRow_[Size(s)] = linked++;
  };
  for (int s = 0; s < m_.services; s++) {
    if (m_.exclusive[s] != 0 && sizes[Size(s)] > 1) exclusiveRow_[Size(s)] = exclusive++;
    if (m_.spread[s] > 1) spreadRow_[Size(s)] = spread++;
    for (int i = m_.dependencyStart[s]; i < m_.dependencyStart[s + 1]; i++) {
      link(s);
      link(m_.dependencies[i]);
      dependentStart_[Size(m_.dependencies[i]) + 1]++;
    }
  }
  std::partial_sum(dependentStart_.begin(), dependentStart_.end(), dependentStart_.begin());
  dependents_.resize(Size(dependentStart_.back()));
  std::vector<int32_t> next(dependentStart_.begin(), dependentStart_.end() - 1);
  for (int s = 0; s < m_.services; s++) {
    for (int i = m_.dependencyStart[s]; i < m_.dependencyStart[s + 1]; i++) dependents_[Size(next[Size(m_.dependencies[i])]++)] = s;
  }
  exclusiveBits_.resize(Size(exclusive) * exclusiveWords_);
  spreadCount_.resize(Size(spread) * Size(m_.locations));
  spreadUsed_.resize(Size(spread));
  linkCount_.resize(Size(linked) * Size(m_.neighbourhoods));
  movedOf_.resize(Size(m_.services));
  movedHist_.resize(Size(m_.processes) + 2);
  loadCost_.resize(Size(m_.machines));
  at_.resize(Size(m_.processes));
  slot_.resize(Size(m_.processes));
  on_.resize(Size(m_.machines));
  Reset(m_.home);
}

Row PlanState::RowOf(int machine) const noexcept {
  Lanes* start = rows_.At(Size(machine) * Size(blocks_) * 4);
  return {start, start + blocks_, start + 2 * blocks_, start + 3 * blocks_};
}

double PlanState::bytes() const noexcept {
  const double process = 20 + sizeof(Lanes) * static_cast<double>(blocks_);
  const double machine = 4 * sizeof(Lanes) * static_cast<double>(blocks_) + (m_.machineMoveCost == nullptr ? 0 : 4.0 * m_.machines);
  return m_.processes * process + m_.machines * machine;
}

void PlanState::ExpectProcess(int process) const noexcept {
  const size_t p = Size(process);
  __builtin_prefetch(&at_[p]);
  __builtin_prefetch(m_.home + p);
  __builtin_prefetch(m_.service + p);
  __builtin_prefetch(m_.moveCost + p);
  const Lanes* need = NeedOf(process);
  for (int i = 0; i < blocks_; i += 2) __builtin_prefetch(need + i);
}

void PlanState::ExpectMove(int process, int to) const noexcept {
  const int from = at_[Size(process)];
  for (const int machine : {from, to}) {
    const Lanes* row = rows_.At(Size(machine) * Size(blocks_) * 4);
    for (int i = 0; i < 4 * blocks_; i += 2) __builtin_prefetch(row + i);
    __builtin_prefetch(&loadCost_[Size(machine)]);
    if (m_.balances > 0) __builtin_prefetch(m_.capacity + Size(machine) * Size(m_.resources));
  }
  if (m_.machineMoveCost == nullptr) return;
  const int32_t* moves = m_.machineMoveCost + Size(m_.home[process]) * Size(m_.machines);
  __builtin_prefetch(moves + from);
  __builtin_prefetch(moves + to);
}

void PlanState::Reset(const int32_t* assignment) {
  std::copy(assignment, assignment + m_.processes, at_.begin());
  for (auto& list : on_) list.clear();
  std::fill(exclusiveBits_.begin(), exclusiveBits_.end(), 0);
  std::fill(spreadCount_.begin(), spreadCount_.end(), 0);
  std::fill(spreadUsed_.begin(), spreadUsed_.end(), 0);
  std::fill(linkCount_.begin(), linkCount_.end(), 0);
  std::fill(movedOf_.begin(), movedOf_.end(), 0);
  std::fill(movedHist_.begin(), movedHist_.end(), 0);
  for (int machine = 0; machine < m_.machines; machine++) {
    Lanes* row = rows_.At(Size(machine) * Size(blocks_) * 4);
    for (int i = 0; i < blocks_; i++) row[i] = row[2 * blocks_ + i] = Lanes{0, 0, 0, 0};
    for (int r = 0; r < m_.resources; r++) {
      const size_t from = Size(machine) * Size(m_.resources) + Size(r);
      row[blocks_ + r / kLanes][r % kLanes] = m_.safety[from];
    }
    for (int i = 0; i < blocks_; i++) row[3 * blocks_ + i] = limits_.At(Size(machine) * Size(blocks_))[i];
  }
  double moves = 0;
  for (int p = 0; p < m_.processes; p++) {
    const int to = at_[Size(p)], home = m_.home[p], s = m_.service[p];
    const Row row = RowOf(to), old = RowOf(home);
    const Lanes* need = NeedOf(p);
    for (int i = 0; i < blocks_; i++) {
      row.use[i] += need[i];
      row.occupied[i] += need[i];
      if (to != home) old.occupied[i] += (Lanes)((LaneMask)need[i] & ~stays_[Size(i)]);
    }
    slot_[Size(p)] = static_cast<int32_t>(on_[Size(to)].size());
    on_[Size(to)].push_back(p);
    if (to != home) {
      moves += m_.processMoveWeight * m_.moveCost[p];
      if (m_.machineMoveCost != nullptr) moves += m_.machineMoveWeight * m_.machineMoveCost[Size(home) * Size(m_.machines) + Size(to)];
    }
    if (s < 0) continue;
    if (to != home) movedOf_[Size(s)]++;
    if (exclusiveRow_[Size(s)] >= 0) exclusiveBits_[Size(exclusiveRow_[Size(s)]) * exclusiveWords_ + Size(to) / 64] |= 1ull << (to % 64);
    if (spreadRow_[Size(s)] >= 0 && spreadCount_[Size(spreadRow_[Size(s)]) * Size(m_.locations) + Size(m_.location[to])]++ == 0) spreadUsed_[Size(spreadRow_[Size(s)])]++;
    if (linkRow_[Size(s)] >= 0) linkCount_[Size(linkRow_[Size(s)]) * Size(m_.neighbourhoods) + Size(m_.neighbourhood[to])]++;
  }
  movedMax_ = 0;
  for (const int moved : movedOf_) {
    movedHist_[Size(moved)]++;
    movedMax_ = std::max(movedMax_, moved);
  }
  moves_ = moves + m_.serviceMoveWeight * movedMax_;
  RecostAll();
}

void PlanState::RecostAll() {
  cost_ = moves_;
  for (int machine = 0; machine < m_.machines; machine++) cost_ += loadCost_[Size(machine)] = Exchanged(machine, kNobody, kNobody);
}

void PlanState::Soften(const std::vector<double>& weights, bool hard) {
  costs_.hard = hard;
  Lanes* lack = weights_.At(Size(blocks_));
  for (int r = 0; r < m_.resources; r++) lack[r / kLanes][r % kLanes] = weights[Size(r)];
  RecostAll();
}

std::vector<double> PlanState::Lacking() const {
  std::vector<double> lacking(Size(m_.resources), 0);
  for (int machine = 0; machine < m_.machines; machine++) {
    const Row row = RowOf(machine);
    for (int r = 0; r < m_.resources; r++) lacking[Size(r)] += std::max(0.0, row.occupied[r / kLanes][r % kLanes] - row.capacity[r / kLanes][r % kLanes]);
  }
  return lacking;
}

double PlanState::BalanceCost(int machine, const double* in, const double* out) const noexcept {
  if (m_.balances == 0) return 0;
  const Row row = RowOf(machine);
  const auto* use = reinterpret_cast<const double*>(row.use);
  const double* capacity = m_.capacity + Size(machine) * Size(m_.resources);
  double sum = 0;
  for (int b = 0; b < m_.balances; b++) {
    const int r = m_.balanceFirst[b], q = m_.balanceSecond[b];
    double first = capacity[r] - use[r], second = capacity[q] - use[q];
    if (in != nullptr) first -= in[r], second -= in[q];
    if (out != nullptr) first += out[r], second += out[q];
    const double lack = m_.balanceTarget[b] * first - second;
    if (lack > 0) sum += m_.balanceWeight[b] * lack;
  }
  return sum;
}

double PlanState::Entered(int process, int to) const noexcept {
  const Lanes* need = NeedOf(process);
  const double load = CostEntering(costs_, RowOf(to), need, MaskOf(process, to));
  return load == kNoRoom ? load : load + BalanceCost(to, reinterpret_cast<const double*>(need), nullptr);
}

double PlanState::Left(int process, int from) const noexcept {
  const Lanes* need = NeedOf(process);
  return CostLeaving(costs_, RowOf(from), need, MaskOf(process, from)) + BalanceCost(from, nullptr, reinterpret_cast<const double*>(need));
}

double PlanState::Exchanged(int machine, int in, int out) const noexcept {
  if (in < 0) {
    static constexpr int kBlocksMax = 64;
    static const Lanes nothing[kBlocksMax] = {};
    static const LaneMask none[kBlocksMax] = {};
    return CostLeaving(costs_, RowOf(machine), nothing, none) + BalanceCost(machine, nullptr, nullptr);
  }
  const Lanes *come = NeedOf(in), *go = NeedOf(out);
  const double load = CostExchanging(costs_, RowOf(machine), come, MaskOf(in, machine), go, MaskOf(out, machine));
  return load == kNoRoom ? load : load + BalanceCost(machine, reinterpret_cast<const double*>(come), reinterpret_cast<const double*>(go));
}

double PlanState::MoveCost(int process, int to) const noexcept {
  const int home = m_.home[process], from = at_[Size(process)];
  double change = m_.processMoveWeight * m_.moveCost[process] * ((to != home) - (from != home));
  if (m_.machineMoveCost != nullptr) {
    const int32_t* row = m_.machineMoveCost + Size(home) * Size(m_.machines);
    change += m_.machineMoveWeight * (row[to] - row[from]);
  }
  return change;
}

int PlanState::MoveChange(int process, int to) const noexcept {
  return (to != m_.home[process]) - (at_[Size(process)] != m_.home[process]);
}

double PlanState::ServiceCost(int service, int change) const noexcept {
  if (service < 0 || change == 0) return 0;
  const int moved = movedOf_[Size(service)];
  if (moved + change > movedMax_) return m_.serviceMoveWeight * (moved + change - movedMax_);
  if (moved < movedMax_ || change > 0 || movedHist_[Size(movedMax_)] > 1) return 0;
  // Alone at the top: the next level is that of another service or its own.
  return -m_.serviceMoveWeight * (change == -1 || movedHist_[Size(movedMax_ - 1)] > 0 ? 1 : 2);
}

bool PlanState::HasOnMachine(int service, int machine) const noexcept {
  if (service < 0 || exclusiveRow_[Size(service)] < 0) return false;
  return ((exclusiveBits_[Size(exclusiveRow_[Size(service)]) * exclusiveWords_ + Size(machine) / 64] >> (machine % 64)) & 1) != 0;
}

bool PlanState::MayEnter(int process, int to) const noexcept {
  return (m_.accepts[process] & m_.offers[to]) != 0 || m_.home[process] == to;
}

bool PlanState::KeepsSpread(int service, int from, int to) const noexcept {
  if (service < 0 || spreadRow_[Size(service)] < 0) return true;
  const int left = m_.location[from], entered = m_.location[to];
  if (left == entered) return true;
  const int32_t* counts = spreadCount_.data() + Size(spreadRow_[Size(service)]) * Size(m_.locations);
  if (counts[left] > 1 || counts[entered] == 0) return true;
  return spreadUsed_[Size(spreadRow_[Size(service)])] > m_.spread[service];
}

bool PlanState::KeepsDependencies(int service, int from, int to) const noexcept {
  if (service < 0 || linkRow_[Size(service)] < 0) return true;
  const int left = m_.neighbourhood[from], entered = m_.neighbourhood[to];
  if (left == entered) return true;
  const auto count = [&](int s, int neighbourhood) { return linkCount_[Size(linkRow_[Size(s)]) * Size(m_.neighbourhoods) + Size(neighbourhood)]; };
  if (count(service, left) == 1) {
    for (int i = dependentStart_[Size(service)]; i < dependentStart_[Size(service) + 1]; i++) {
      const int dependent = dependents_[Size(i)];
      if (dependent != service && count(dependent, left) > 0) return false;
    }
  }
  if (count(service, entered) > 0) return true;
  for (int i = m_.dependencyStart[service]; i < m_.dependencyStart[service + 1]; i++) {
    if (m_.dependencies[i] != service && count(m_.dependencies[i], entered) == 0) return false;
  }
  return true;
}

void PlanState::MoveFigures(int process, int from, int to) {
  const Lanes* need = NeedOf(process);
  const Row old = RowOf(from), row = RowOf(to);
  const LaneMask *out = MaskOf(process, from), *in = MaskOf(process, to);
  for (int i = 0; i < blocks_; i++) {
    old.use[i] -= need[i];
    old.occupied[i] -= (Lanes)((LaneMask)need[i] & out[i]);
    row.use[i] += need[i];
    row.occupied[i] += (Lanes)((LaneMask)need[i] & in[i]);
  }
}

/// All that follows a process but its cost: that of load is told by the callers, who know it already.
void PlanState::Place(int process, int to) {
  const int from = at_[Size(process)], s = m_.service[process];
  const int change = MoveChange(process, to);
  MoveFigures(process, from, to);
  auto& list = on_[Size(from)];
  const int32_t last = list.back();
  list[Size(slot_[Size(process)])] = last;
  slot_[Size(last)] = slot_[Size(process)];
  list.pop_back();
  slot_[Size(process)] = static_cast<int32_t>(on_[Size(to)].size());
  on_[Size(to)].push_back(process);
  at_[Size(process)] = to;
  if (s < 0) return;
  if (change != 0) {
    movedHist_[Size(movedOf_[Size(s)])]--;
    movedOf_[Size(s)] += change;
    movedHist_[Size(movedOf_[Size(s)])]++;
    movedMax_ = std::max(movedMax_, movedOf_[Size(s)]);
    while (movedMax_ > 0 && movedHist_[Size(movedMax_)] == 0) movedMax_--;
  }
  if (exclusiveRow_[Size(s)] >= 0) {
    uint64_t* bits = exclusiveBits_.data() + Size(exclusiveRow_[Size(s)]) * exclusiveWords_;
    bits[from / 64] &= ~(1ull << (from % 64));
    bits[to / 64] |= 1ull << (to % 64);
  }
  if (spreadRow_[Size(s)] >= 0) {
    int32_t* counts = spreadCount_.data() + Size(spreadRow_[Size(s)]) * Size(m_.locations);
    int32_t& used = spreadUsed_[Size(spreadRow_[Size(s)])];
    if (--counts[m_.location[from]] == 0) used--;
    if (counts[m_.location[to]]++ == 0) used++;
  }
  if (linkRow_[Size(s)] >= 0) {
    int32_t* counts = linkCount_.data() + Size(linkRow_[Size(s)]) * Size(m_.neighbourhoods);
    counts[m_.neighbourhood[from]]--;
    counts[m_.neighbourhood[to]]++;
  }
}

double PlanState::ShiftCost(int process, int to) {
  const int from = at_[Size(process)], s = m_.service[process];
  if (from == to || !MayEnter(process, to) || HasOnMachine(s, to)) return kNoRoom;
  const double entered = Entered(process, to);
  if (entered == kNoRoom || !KeepsSpread(s, from, to) || !KeepsDependencies(s, from, to)) return kNoRoom;
  const double load = entered - loadCost_[Size(to)] + Left(process, from) - loadCost_[Size(from)];
  return load + MoveCost(process, to) + ServiceCost(s, MoveChange(process, to));
}

bool PlanState::TryShift(int process, int to, double most) {
  const int from = at_[Size(process)], s = m_.service[process];
  if (from == to || !MayEnter(process, to) || HasOnMachine(s, to)) return false;
  const double entered = Entered(process, to);
  if (entered == kNoRoom) return false;
  const double come = entered - loadCost_[Size(to)];
  if (from == m_.home[process] && come - loadCost_[Size(from)] > most) return false;
  const double left = Left(process, from);
  const double load = come + left - loadCost_[Size(from)];
  double moves = MoveCost(process, to);
  if (load + moves - m_.serviceMoveWeight > most) return false;
  moves += ServiceCost(s, MoveChange(process, to));
  if (load + moves > most || !KeepsSpread(s, from, to) || !KeepsDependencies(s, from, to)) return false;
  Place(process, to);
  loadCost_[Size(from)] = left;
  loadCost_[Size(to)] = entered;
  moves_ += moves;
  cost_ += load + moves;
  return true;
}

bool PlanState::TrySwap(int first, int second, double most) {
  const int a = at_[Size(first)], b = at_[Size(second)];
  const int s = m_.service[first], t = m_.service[second];
  if (a == b || !MayEnter(first, b) || !MayEnter(second, a)) return false;
  const bool same = s >= 0 && s == t;
  if (!same && (HasOnMachine(s, b) || HasOnMachine(t, a))) return false;
  const double onB = Exchanged(b, first, second);
  if (onB == kNoRoom) return false;
  const double onA = Exchanged(a, second, first);
  if (onA == kNoRoom) return false;
  const double load = onA + onB - loadCost_[Size(a)] - loadCost_[Size(b)];
  double moves = MoveCost(first, b) + MoveCost(second, a);
  if (load + moves - 2 * m_.serviceMoveWeight > most) return false;
  if (same) {
    moves += ServiceCost(s, MoveChange(first, b) + MoveChange(second, a));
    if (load + moves > most) return false;
  } else {
    if (!KeepsSpread(s, a, b) || !KeepsSpread(t, b, a) || !KeepsDependencies(s, a, b)) return false;
  }
  const double before = m_.serviceMoveWeight * movedMax_;
  Place(first, b);
  if (same) {
    Place(second, a);
    if (exclusiveRow_[Size(s)] >= 0) {  // both are where they were, as a set
      uint64_t* bits = exclusiveBits_.data() + Size(exclusiveRow_[Size(s)]) * exclusiveWords_;
      bits[a / 64] |= 1ull << (a % 64);
      bits[b / 64] |= 1ull << (b % 64);
    }
  } else {
    const bool kept = KeepsDependencies(t, b, a);
    if (kept) {
      Place(second, a);
      moves += m_.serviceMoveWeight * movedMax_ - before;
    }
    if (!kept || load + moves > most) {
      if (kept) Place(second, b);
      Place(first, a);
      return false;
    }
  }
  loadCost_[Size(a)] = onA;
  loadCost_[Size(b)] = onB;
  moves_ += moves;
  cost_ += load + moves;
  return true;
}

bool PlanState::TryChain(int first, int second, int to, double most) {
  const int a = at_[Size(first)], b = at_[Size(second)];
  const int s = m_.service[first], t = m_.service[second];
  if (a == b || to == b || to == a || (s >= 0 && s == t)) return false;
  if (!MayEnter(first, b) || !MayEnter(second, to) || HasOnMachine(s, b) || HasOnMachine(t, to)) return false;
  const double onTo = Entered(second, to);
  if (onTo == kNoRoom) return false;
  const double onB = Exchanged(b, first, second);
  if (onB == kNoRoom) return false;
  const double onA = Left(first, a);
  const double load = onA + onB + onTo - loadCost_[Size(a)] - loadCost_[Size(b)] - loadCost_[Size(to)];
  double moves = MoveCost(first, b) + MoveCost(second, to);
  if (load + moves - 2 * m_.serviceMoveWeight > most) return false;
  if (!KeepsSpread(s, a, b) || !KeepsSpread(t, b, to) || !KeepsDependencies(t, b, to)) return false;
  const double before = m_.serviceMoveWeight * movedMax_;
  Place(second, to);
  const bool kept = KeepsDependencies(s, a, b);
  if (kept) {
    Place(first, b);
    moves += m_.serviceMoveWeight * movedMax_ - before;
  }
  if (!kept || load + moves > most) {
    if (kept) Place(first, a);
    Place(second, b);
    return false;
  }
  loadCost_[Size(a)] = onA;
  loadCost_[Size(b)] = onB;
  loadCost_[Size(to)] = onTo;
  moves_ += moves;
  cost_ += load + moves;
  return true;
}

}  // namespace mailherd
