# CI does not run this: 64-bit Arm Android, by the NDK's own file. Needs ANDROID_NDK_ROOT in the environment.
set(ANDROID_ABI arm64-v8a)
set(ANDROID_PLATFORM android-24)
include($ENV{ANDROID_NDK_ROOT}/build/cmake/android.toolchain.cmake)
