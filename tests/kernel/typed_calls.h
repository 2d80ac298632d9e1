// Functions of the load that have debug information; see load.c.
#pragma once

/// N calls of typed_plain (not optimised) or typed_fast.
void call_typed(const char* which, long number);
