"""Vector packing: services of many replicas onto the fewest, or cheapest, hosts. Values in, values out; numpy inside.

Import nothing from here where `--help` or `ps` would pay for it: numpy loads with `arrays`,
HiGHS with `columns` and `lp`.
"""
