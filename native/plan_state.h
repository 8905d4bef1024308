#pragma once

#include <cstdint>
#include <vector>

#include "plan_model.h"
#include "plan_rows.h"

namespace mailherd {

/// An assignment with its cost, kept up to date move by move. Every `Try` costs what changes, not what is there.
class PlanState {
 public:
  explicit PlanState(const PlanModel& model);
  /// Back to any assignment. One that breaks a rule is taken as it is; no move makes it worse.
  void Reset(const int32_t* assignment);

  /// Each makes its change when it is allowed and changes the cost by at most `most`, and says whether it did.
  bool TryShift(int process, int to, double most);
  bool TrySwap(int first, int second, double most);
  /// first goes where second is, second goes to `to`.
  bool TryChain(int first, int second, int to, double most);
  /// Asks for the memory of moves that will be tried soon: of a process; and then, of its way to a machine.
  void ExpectProcess(int process) const noexcept;
  void ExpectMove(int process, int to) const noexcept;
  /// Change in cost of a shift; kNoRoom when it is not allowed.
  double ShiftCost(int process, int to);

  /// Lets moves exceed capacity for so much a unit of each resource, or not at all (empty). The cost then has that in it.
  void Soften(const std::vector<double>& weights, bool hard);
  /// What machines have beyond their capacity, by resource.
  std::vector<double> Lacking() const;

  /// What moves read, by order of magnitude.
  double bytes() const noexcept;
  double cost() const noexcept { return cost_; }
  int At(int process) const noexcept { return at_[static_cast<size_t>(process)]; }
  const std::vector<int32_t>& assignment() const noexcept { return at_; }
  const std::vector<int32_t>& On(int machine) const noexcept { return on_[static_cast<size_t>(machine)]; }
  double LoadCost(int machine) const noexcept { return loadCost_[static_cast<size_t>(machine)]; }
  const PlanModel& model() const noexcept { return m_; }

 private:
  Row RowOf(int machine) const noexcept;
  const Lanes* NeedOf(int process) const noexcept { return needs_.At(static_cast<size_t>(process) * static_cast<size_t>(blocks_)); }
  const LaneMask* MaskOf(int process, int machine) const noexcept { return (m_.home[process] == machine ? stays_ : all_).data(); }
  double BalanceCost(int machine, const double* in, const double* out) const noexcept;
  double MoveCost(int process, int to) const noexcept;
  double ServiceCost(int service, int change) const noexcept;
  bool MayEnter(int process, int to) const noexcept;
  bool HasOnMachine(int service, int machine) const noexcept;
  bool KeepsSpread(int service, int from, int to) const noexcept;
  bool KeepsDependencies(int service, int from, int to) const noexcept;
  int MoveChange(int process, int to) const noexcept;
  double Entered(int process, int to) const noexcept;
  double Left(int process, int from) const noexcept;
  double Exchanged(int machine, int in, int out) const noexcept;
  void Place(int process, int to);
  void MoveFigures(int process, int from, int to);
  void RecostAll();

  const PlanModel& m_;
  int blocks_;
  RowCosts costs_;
  LaneArray needs_;
  LaneArray rows_;
  LaneArray limits_;   // machines: capacity, or what was there from the start
  LaneArray weights_;
  std::vector<LaneMask> all_;
  std::vector<LaneMask> stays_;  // leaves out transient resources
  std::vector<int32_t> at_;
  std::vector<int32_t> slot_;  // place of a process in the list of its machine
  std::vector<std::vector<int32_t>> on_;
  std::vector<double> loadCost_;
  double cost_ = 0;
  double moves_ = 0;  // the part of the cost that is not load

  std::vector<int32_t> exclusiveRow_;  // services: row of its bits, -1 = may share machines
  std::vector<uint64_t> exclusiveBits_;
  size_t exclusiveWords_;
  std::vector<int32_t> spreadRow_;  // services with spread
  std::vector<int32_t> spreadCount_;
  std::vector<int32_t> spreadUsed_;
  std::vector<int32_t> linkRow_;  // services with dependencies, either way
  std::vector<int32_t> linkCount_;
  std::vector<int32_t> dependentStart_;
  std::vector<int32_t> dependents_;
  std::vector<int32_t> movedOf_;    // services: processes away from home
  std::vector<int32_t> movedHist_;  // how many services have moved so many
  int movedMax_ = 0;
};

}  // namespace mailherd
