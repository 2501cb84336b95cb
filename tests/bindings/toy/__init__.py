"""A binding kind that exists in tests only: counters. `env.C.next()` counts."""
