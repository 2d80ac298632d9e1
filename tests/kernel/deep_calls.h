// See deep_calls.c.
#pragma once

long deep_outer(volatile long* n);
long deep_wide(volatile long* n);
