# A Debian cross compiler (KTAP_TRIPLET) with the C library and the others of KTAP_SYSROOT; called by tools/cross.
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES KTAP_TRIPLET KTAP_SYSROOT)
set(CMAKE_SYSTEM_NAME Linux)
string(REGEX REPLACE "-.*" "" CMAKE_SYSTEM_PROCESSOR "${KTAP_TRIPLET}")
set(CMAKE_C_COMPILER ${KTAP_TRIPLET}-gcc)
set(CMAKE_CXX_COMPILER ${KTAP_TRIPLET}-g++)
set(CMAKE_LIBRARY_ARCHITECTURE ${KTAP_TRIPLET})
set(CMAKE_SYSROOT ${KTAP_SYSROOT})
# Before the C library that came with the compiler, which may be older than what the others were built for.
set(CMAKE_EXE_LINKER_FLAGS_INIT "-B${KTAP_SYSROOT}/usr/lib/${KTAP_TRIPLET} -L${KTAP_SYSROOT}/usr/lib/${KTAP_TRIPLET}")
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
# No notes about what GCC 7 changed in 32-bit Arm's calls: all our C++ is built at once.
set(CMAKE_CXX_FLAGS_INIT "-Wno-psabi")
