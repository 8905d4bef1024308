{
  "targets": [
    {
      "target_name": "mailherd",
      "sources": [
        "native/addon.cc",
        "native/cpu_stat.cc",
        "native/disk_stats.cc",
        "native/host_sampler.cc",
        "native/kernel_file.cc",
        "native/key_values.cc",
        "native/mounts.cc",
        "native/plan_call.cc",
        "native/plan_rows.cc",
        "native/plan_search.cc",
        "native/plan_state.cc",
        "native/postfix_processes.cc",
        "native/pressure.cc",
        "native/queue_file.cc",
        "native/queue_id.cc",
        "native/queue_walk.cc",
        "native/store.cc",
      ],
      "defines": [
        "NAPI_VERSION=8",
        "NAPI_DISABLE_CPP_EXCEPTIONS",
        "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS",
      ],
      "cflags": ["-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-fvisibility=hidden", "-ffunction-sections", "-fdata-sections"],
      "cflags_cc!": ["-std=gnu++17", "-std=gnu++20", "-fexceptions", "-frtti"],
      "cflags_cc": ["-std=c++20", "-fno-exceptions", "-fvisibility-inlines-hidden", "-isystem <!(node -p \"require('path').resolve(require('node-addon-api').include_dir)\")"],
      "ldflags": ["-static-libstdc++", "-static-libgcc", "-Wl,--gc-sections", "-Wl,-s", "-Wl,--exclude-libs,ALL"],
    },
    {
      "target_name": "mailherd-tune",
      "type": "executable",
      "sources": ["native/tune/hold.cc", "native/tune/knob.cc", "native/tune/ledger.cc", "native/tune/writer.cc"],
      "cflags": ["-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-ffunction-sections", "-fdata-sections"],
      "cflags_cc!": ["-std=gnu++17", "-std=gnu++20", "-fexceptions", "-frtti"],
      "cflags_cc": ["-std=c++20", "-fno-exceptions", "-fno-rtti"],
      "ldflags": ["-static-libstdc++", "-static-libgcc", "-Wl,--gc-sections", "-Wl,-s"],
    }
  ]
}
