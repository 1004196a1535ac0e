"""Queueing disciplines (linux/pkt_sched.h, rtnetlink.h, gen_stats.h)."""

from __future__ import annotations

RTM_GETQDISC = 38
TCA_KIND, TCA_STATS2 = 1, 7
TCA_STATS_BASIC, TCA_STATS_QUEUE = 1, 3
TCA_DUMP_INVISIBLE = 10
TC_H_ROOT, TC_H_INGRESS = 0xFFFFFFFF, 0xFFFFFFF1
