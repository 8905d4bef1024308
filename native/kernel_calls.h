#pragma once

#include <napi.h>

namespace mailherd {

/// Adds what reads the kernel to the addon's exports: KernelReader, ListenReader, PortReader, readProcessUse, PressureWatch.
void DefineKernelCalls(Napi::Env env, Napi::Object exports);

}  // namespace mailherd
