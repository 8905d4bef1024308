#pragma once

#include <napi.h>

namespace mailherd {

/// Adds what moves mailboxes to the addon's exports: openPipe, readTexts, FilePacker.
void DefineMailboxCalls(Napi::Env env, Napi::Object exports);

}  // namespace mailherd
