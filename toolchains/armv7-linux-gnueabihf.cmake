# 32-bit Arm Linux with NEON and VFPv4 (Cortex-A5, A7, A15 and later), with g++-arm-linux-gnueabihf and qemu-user.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR armv7l)
set(CMAKE_CXX_COMPILER arm-linux-gnueabihf-g++)
# The portable float kernels need VFPv4 for their fma; without it they call the C library for each one.
set(CMAKE_CXX_FLAGS_INIT "-march=armv7-a+neon-vfpv4")
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-arm -L /usr/arm-linux-gnueabihf)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
