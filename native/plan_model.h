#pragma once

#include <cstddef>
#include <cstdint>

namespace mailherd {

/// Machine reassignment in flat arrays, row after row; whoever calls keeps them alive and unchanged. Figures are integers below 2^53
/// held in doubles, so that sums are exact in any order. The same model as in coordinator/plan/model.ts, which explains it.
struct PlanModel {
  int machines = 0;
  int processes = 0;
  int resources = 0;
  int services = 0;
  int locations = 0;
  int neighbourhoods = 0;
  int balances = 0;
  const double* capacity = nullptr;      // machines x resources
  const double* safety = nullptr;        // machines x resources
  const double* need = nullptr;          // processes x resources
  const double* loadWeight = nullptr;    // resources
  const uint8_t* transient = nullptr;    // resources: 1 = a moving process fills both ends
  const int32_t* balanceFirst = nullptr;
  const int32_t* balanceSecond = nullptr;
  const double* balanceTarget = nullptr;
  const double* balanceWeight = nullptr;
  const int32_t* home = nullptr;         // processes: where each is now
  const int32_t* service = nullptr;      // processes: -1 = none
  const uint8_t* exclusive = nullptr;    // services: 1 = no two of its processes on one machine
  const int32_t* spread = nullptr;       // services: least number of locations
  const int32_t* dependencyStart = nullptr;  // services + 1
  const int32_t* dependencies = nullptr;
  const int32_t* location = nullptr;       // machines
  const int32_t* neighbourhood = nullptr;  // machines
  const double* moveCost = nullptr;        // processes
  const int32_t* machineMoveCost = nullptr;  // machines x machines, or none
  const uint32_t* offers = nullptr;        // machines: bits
  const uint32_t* accepts = nullptr;       // processes: may enter machines that share a bit, and home
  double processMoveWeight = 0;
  double serviceMoveWeight = 0;
  double machineMoveWeight = 0;
};

}  // namespace mailherd
